#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SPEC_FLAGS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SPEC_FLAGS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "experiments/program/cli/parser/parser.h"

namespace ringmaster {

class RunSpec;

// The flags that edit a spec, the same for every command. Each is a short form of --set
// field.path=value.
class SpecFlags {
 public:
  // Declares the flags on `command`; this object outlives the parsing.
  void Declare(Command command);

  // The same for a command that trains nothing: model, data, workers, kernels, --seed and --set.
  void DeclareForEvaluation(Command command);

  // The same for a benchmark of training, which decides data and steps: model, workers, batch,
  // servers, transport, kernels, --seed and --set.
  void DeclareForBench(Command command);

  // Edits `spec` (not yet resolved) by the flags that were given, --set last. The folder of --tls
  // becomes that of this process and of those that it starts (SetTlsFolder). InvalidArgument names
  // the flag.
  absl::Status Apply(RunSpec* spec) const;

  // What --set was given, in its order, as of CheckTaken (common/config/arms.h).
  const std::vector<std::string>& sets() const { return sets_; }

 private:
  void DeclareSome(Command command, absl::FunctionRef<bool(absl::string_view field)> wanted);
  void DeclareSeedAndSet(Command command);
  void DeclareSecurity(Command command);

  std::vector<std::pair<Option, std::string>> fields_;  // option, field path
  std::vector<std::string> sets_;
  std::string tls_folder_;
  bool is_insecure_ = false;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SPEC_FLAGS_H_
