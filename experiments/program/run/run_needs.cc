#include "experiments/program/run/run_needs.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/machine/address_space.h"
#include "common/scheme/gradient_arenas.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/worker_parts.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

// Measured with a model of some kilobytes, over every transport: below it libraries fail that do
// not check.
constexpr int64_t kProcessBytes = 144'000'000;
// A lane in the own control block, and the one in the peer's (common/transport/shm/layout.h).
constexpr int64_t kPairBytes = 2 * (1100 << 10);

}  // namespace

absl::StatusOr<ParamLayout> LayoutOf(const RunSpec& spec) {
  int64_t train = 0, test = 0;
  RM_ASSIGN_OR_RETURN(const SampleShape shape, InspectDataset(spec.data(), &train, &test));
  RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec, shape));
  return host.model->layout();
}

absl::StatusOr<int64_t> ParameterCount(const RunSpec& spec) {
  RM_ASSIGN_OR_RETURN(const ParamLayout layout, LayoutOf(spec));
  return layout.count();
}

int64_t LeastAddressSpace(const RunSpec& spec, int64_t parameters) {
  const std::string& transport = spec.transport().name();
  const bool shares_memory = transport == "shm" || transport == "auto";
  const SchemeTraits traits = TraitsOf(spec);
  // The weights, gradients, and where servers hold the weights, those that arrive.
  const int64_t arenas = 1 + GradientArenas(traits) +
                         (traits.weights == WeightHolder::kServers ? 1 : 0) +
                         (spec.training().has_emulated_compute() ? 1 : 0);
  return kProcessBytes + arenas * parameters * static_cast<int64_t>(sizeof(float)) +
         (shares_memory ? kPairBytes * (traits.processes - 1) : 0);
}

absl::Status CheckAddressSpace(const RunSpec& spec) {
  const std::optional<int64_t> limit = AddressSpaceLimit();
  if (!limit.has_value()) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const int64_t parameters, ParameterCount(spec));
  const int64_t least = LeastAddressSpace(spec, parameters);
  if (*limit >= least) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "a rank of this run needs at least ", least,
      " bytes of address space, and processes are limited to ", *limit,
      " bytes (ulimit -v, RLIMIT_AS); raise the limit, or use fewer ranks or a smaller model"));
}

}  // namespace ringmaster
