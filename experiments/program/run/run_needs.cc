#include "experiments/program/run/run_needs.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/config/describe.h"
#include "common/machine/address_space.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/update/update_rule.h"
#include "experiments/program/run/worker_parts.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

// Measured with a model of some kilobytes, over every transport: below it libraries fail that do
// not check.
constexpr int64_t kProcessBytes = 144'000'000;
// Initial weights, the replica's, and gradients of two steps; and where servers hold the weights,
// those that arrive.
constexpr int64_t kArenas = 4;
// A lane in the own control block, and the one in the peer's (common/transport/shm/layout.h).
constexpr int64_t kPairBytes = 2 * (1100 << 10);

// Resident: code and libraries, most of which the processes of a machine share, but each counts.
constexpr int64_t kResidentBytes = 48'000'000;
constexpr int64_t kFloat = sizeof(float);

// Of one sample and its labels, as loading leaves it.
int64_t SampleBytes(const RunSpec& spec, const SampleShape& shape) {
  const int64_t labels = shape.labels() * static_cast<int64_t>(sizeof(int32_t));
  if (shape.context > 0) return 2 * labels;
  if (DatasetPartFor(spec) == DatasetPart::kLabels) return labels;
  // Files have bytes for pixels, and they stay bytes.
  return labels + shape.features() * (spec.data().has_synthetic() ? kFloat : 1);
}

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
  const int64_t arenas = kArenas + (TraitsOf(spec).weights == WeightHolder::kServers ? 1 : 0) +
                         (spec.training().has_emulated_compute() ? 1 : 0);
  return kProcessBytes + arenas * parameters * static_cast<int64_t>(sizeof(float)) +
         (shares_memory ? kPairBytes * (TraitsOf(spec).processes - 1) : 0);
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

absl::StatusOr<MemoryFacts> MemoryFactsOf(const RunSpec& spec) {
  MemoryFacts facts;
  RM_ASSIGN_OR_RETURN(const SampleShape shape,
                      InspectDataset(spec.data(), &facts.train_samples, &facts.test_samples));
  RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec, shape));
  facts.parameters = host.model->layout().count();
  facts.sample_bytes = SampleBytes(spec, shape);
  if (const ReducerDefinition* reducer = FindReducer(spec.codec().name()))
    facts.reducer_bytes = reducer->memory_bytes(spec.codec(), host.model->layout());
  RM_ASSIGN_OR_RETURN(facts.optimizer_arrays, OptimizerArrays(spec.optimizer()));
  return facts;
}

MemoryPlan PlanMemory(const RunSpec& spec, const MemoryFacts& facts) {
  const SchemeTraits traits = TraitsOf(spec);
  const int64_t arena = facts.parameters * kFloat;
  const int64_t workers = traits.workers, processes = traits.processes;
  const bool has_servers = traits.weights == WeightHolder::kServers;
  // A worker that computes the batches of others, or accumulates, has an arena more for each.
  // Emulated ones are copied from what was drawn.
  const int64_t gradient_arenas = 2 + (spec.training().workers() > workers ? 1 : 0) +
                                  (spec.training().accumulate() > 1 ? 1 : 0) +
                                  (spec.training().has_emulated_compute() ? 1 : 0);
  const auto codec = CreateCodec(spec.codec());
  const bool is_exact = !codec.ok() || (*codec)->traits().exact;
  const int64_t encoded = is_exact ? 0 : (*codec)->MaxEncodedBytes(facts.parameters);
  MemoryPlan plan;
  plan.programs = processes * kResidentBytes;
  plan.weights = processes * arena + workers * (1 + traits.exchange_arenas) * arena;
  plan.gradients = workers * gradient_arenas * arena;
  // All servers, or all workers that update a share, together hold it once; workers that update all
  // of their weights, once each.
  plan.optimizer = (traits.updated != nullptr ? 1 : workers) * facts.optimizer_arrays * arena;
  plan.codec = workers * (CodecMemoryBytes(spec.codec(), facts.parameters) + encoded);
  plan.codec += workers * facts.reducer_bytes;
  if (has_servers) {  // All of them together hold the arena once, and what each worker has sent.
    plan.weights += (1 + traits.server_arenas) * arena;
    plan.gradients += arena + workers * arena;
    plan.codec += workers * encoded;
  }
  if (const CodecSpec* const down = DownCodecOf(spec); down != nullptr) {
    // What a worker holds lies at both ends, and so do the encodings: at the servers once where all
    // workers are told the same.
    const bool alike = traits.updates == Updates::kTogether && traits.backup_workers == 0;
    const auto down_codec = CreateCodec(*down);
    const int64_t room = down_codec.ok() ? (*down_codec)->MaxEncodedBytes(facts.parameters) : 0;
    plan.codec += (workers + (alike ? 1 : workers)) * (arena + room);
  }
  plan.marks = MarkCopies(spec) * MarkHolders(spec) * arena;
  const bool has_checkpoints = !spec.output().checkpoints().empty();
  if (has_checkpoints || MayReform(spec)) {
    const int64_t states = (workers + (has_servers ? 1 : 0)) * arena + plan.optimizer +
                           workers * CodecMemoryBytes(spec.codec(), facts.parameters);
    // One that is written, the next, one that was read; and those before the last two steps, and
    // one that is made.
    plan.checkpoints = ((has_checkpoints ? 3 : 0) + (MayReform(spec) ? 3 : 0)) * states;
  }
  // A process of servers alone has no samples; threads share them.
  const int64_t readers = std::min(workers, processes);
  plan.train_set = readers * facts.train_samples * facts.sample_bytes;
  plan.test_set = readers * facts.test_samples * facts.sample_bytes;
  return plan;
}

}  // namespace ringmaster
