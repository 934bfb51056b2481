#ifndef RINGMASTER_WORKER_MODEL_PROGRAM_MODEL_H_
#define RINGMASTER_WORKER_MODEL_PROGRAM_MODEL_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "common/params/param_layout.h"
#include "worker/model/model.h"

namespace ringmaster {

class ProgramModelSpec;

// The name of models whose gradients the user's program computes.
inline constexpr char kProgramModel[] = "program";

// Whether a program's tensor of this name is a running statistic: "running_mean" and "running_var",
// or a name that ends in one of them behind a dot, as those of batch norm are called in PyTorch.
// Pure.
bool IsStatisticName(absl::string_view name);

// The arena of the program's tensors, in their order. Pure.
ParamLayout ProgramLayout(const ProgramModelSpec& spec, const ModelOptions& options);

// What of a program's model is known to everybody else: its layout. FailedPrecondition of all that
// would compute; InitWeights writes zeros, since the program alone knows its weights.
std::unique_ptr<Model> CreateDescribedModel(ParamLayout layout);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_PROGRAM_MODEL_H_
