#include "experiments/program/run/memory/memory_plan.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/message.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/collective/plan.h"
#include "common/collective/schedule.h"
#include "common/config/describe.h"
#include "common/params/param_layout.h"
#include "common/scheme/gradient_arenas.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "common/update/update_rule.h"
#include "experiments/program/run/memory/model_memory.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/worker_parts.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloat = sizeof(float);

// Measured with a model of some kilobytes. Of each process: what it writes of libraries' data, its
// heap, stacks and traces; where workers live, what kernels and batches take beside that.
constexpr int64_t kServingBytes = 7'000'000;
constexpr int64_t kWorkingBytes = 13'500'000;
// Code and constants, which all processes of the machine share.
constexpr int64_t kSharedProgramBytes = 7'000'000;
// Of each pair of processes: lanes of shared memory, or buffers of sockets.
constexpr int64_t kPairBytes = 300'000;

// Of one sample and its labels, as loading leaves it.
int64_t SampleBytes(const RunSpec& spec, const SampleShape& shape) {
  const int64_t labels = shape.labels() * static_cast<int64_t>(sizeof(int32_t));
  if (shape.context > 0) return 2 * labels;
  if (DatasetPartFor(spec) == DatasetPart::kLabels) return labels;
  // Files have bytes for pixels, and they stay bytes.
  return labels + shape.features() * (spec.data().has_synthetic() ? kFloat : 1);
}

// Of all buckets together, since the last ones of a step are on their way at once.
absl::StatusOr<int64_t> ScratchBytes(const RunSpec& spec, const ParamLayout& layout) {
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.gossip.has_value()) return layout.count() * kFloat;
  if (traits.collective.empty() || traits.workers < 2) return 0;
  int64_t bytes = 0;
  for (const Bucket& bucket : layout.buckets()) {
    RM_ASSIGN_OR_RETURN(
        const std::unique_ptr<Schedule> schedule,
        CreateSchedule(traits.collective, {spec.transport().name(), traits.workers,
                                           bucket.count * kFloat, traits.group_size}));
    bytes += MakePlan(*schedule, {0, traits.workers, bucket.count, kFloat}).scratch_bytes;
  }
  return bytes;
}

// What a run does with memory, worked out once for all its processes.
class Planner {
 public:
  Planner(const RunSpec& spec, const MemoryFacts& facts)
      : spec_(spec),
        facts_(facts),
        traits_(TraitsOf(spec)),
        processes_(PlaceNodes(spec)),
        arena_(facts.parameters * kFloat),
        has_servers_(traits_.weights == WeightHolder::kServers),
        shard_(has_servers_ ? arena_ / std::max(1, traits_.servers) : 0),
        together_(traits_.updates == Updates::kTogether && traits_.backup_workers == 0) {
    const std::string& wire = spec.transport().name();
    shares_ = processes_.size() > 1 && (wire == "shm" || wire == "auto");
    const auto codec = CreateCodec(spec.codec());
    exact_ = !codec.ok() || (*codec)->traits().exact;
    encoded_ = exact_ ? 0 : (*codec)->MaxEncodedBytes(facts.parameters);
    encoded_bucket_ = exact_ ? 0 : (*codec)->MaxEncodedBytes(facts.largest_bucket);
    is_summed_ = codec.ok() && (*codec)->traits().summable_as.has_value();
    if (const CodecSpec* const down = DownCodecOf(spec); down != nullptr) {
      const auto down_codec = CreateCodec(*down);
      down_ = arena_ + (down_codec.ok() ? (*down_codec)->MaxEncodedBytes(facts.parameters) : 0);
    }
  }

  std::vector<MemoryNeed> Plan() const {
    std::vector<MemoryNeed> needs;
    for (const std::vector<NodeId>& nodes : processes_) {
      MemoryNeed need;
      AddProcess(nodes, &need);
      for (const NodeId& id : nodes) {
        need.add_nodes(ToString(id));
        id.role == Role::kWorker ? AddWorker(id.index, nodes, &need)
                                 : AddServer(id.index, nodes, &need);
      }
      AddStart(nodes, &need);
      needs.push_back(std::move(need));
    }
    return needs;
  }

 private:
  static bool Has(const std::vector<NodeId>& nodes, Role role) {
    return std::any_of(nodes.begin(), nodes.end(),
                       [role](const NodeId& id) { return id.role == role; });
  }

  // Nodes of that role in other processes.
  int64_t Elsewhere(const std::vector<NodeId>& nodes, Role role) const {
    const auto here = std::count_if(nodes.begin(), nodes.end(),
                                    [role](const NodeId& id) { return id.role == role; });
    return (role == Role::kWorker ? traits_.workers : traits_.servers) - here;
  }

  void AddProcess(const std::vector<NodeId>& nodes, MemoryNeed* need) const {
    const auto processes = static_cast<int64_t>(processes_.size());
    need->set_program_bytes((Has(nodes, Role::kWorker) ? kWorkingBytes : kServingBytes) +
                            kSharedProgramBytes / processes + kPairBytes * (processes - 1));
    if (!Has(nodes, Role::kWorker)) return;
    const int64_t samples = facts_.train_samples + facts_.test_samples;
    need->set_data_bytes(samples * facts_.sample_bytes);
  }

  // While nodes are made the initial weights lie there too, all of them; a worker takes them over.
  void AddStart(const std::vector<NodeId>& nodes, MemoryNeed* need) const {
    if (MayReform(spec_)) return need->set_weights_bytes(need->weights_bytes() + arena_);
    if (Has(nodes, Role::kWorker)) return;
    const int64_t start = arena_ + shard_ * static_cast<int64_t>(nodes.size());
    const int64_t later = need->weights_bytes() + need->gradients_bytes() + need->codec_bytes();
    need->set_weights_bytes(need->weights_bytes() + std::max<int64_t>(0, start - later));
  }

  // Whether servers read gradients where workers have written them.
  bool LendsGradients() const { return shares_ && exact_ && traits_.local_steps == 0; }

  void AddWorker(int32_t rank, const std::vector<NodeId>& nodes, MemoryNeed* need) const {
    const int64_t servers_elsewhere = Elsewhere(nodes, Role::kServer);
    int64_t weights = (1 + traits_.exchange_arenas) * arena_;
    int64_t gradients = GradientArenas(traits_) * arena_;
    if (has_servers_ && LendsGradients())
      gradients -= GradientArenas(traits_) * servers_elsewhere * shard_ / 2;
    if (has_servers_ && shares_) weights += servers_elsewhere * AnswerShare(nodes);
    // A worker that computes the batches of others, or accumulates, has an arena more for each.
    // Emulated ones are copied from what was drawn.
    const TrainingSpec& training = spec_.training();
    gradients += (training.workers() > traits_.workers ? arena_ : 0) +
                 (training.accumulate() > 1 ? arena_ : 0) +
                 (training.has_emulated_compute() ? arena_ : 0);
    need->set_weights_bytes(need->weights_bytes() + weights);
    need->set_gradients_bytes(need->gradients_bytes() + gradients + facts_.scratch_bytes);
    const int64_t optimizer = OptimizerOf(Role::kWorker);
    if (!facts_.workers_have_gpus) need->set_optimizer_bytes(need->optimizer_bytes() + optimizer);
    need->set_codec_bytes(need->codec_bytes() + CodecOfWorker());
    need->set_activations_bytes(need->activations_bytes() + facts_.activation_bytes +
                                (training.has_emulated_compute() ? 0 : BatchesBytes()));
    const int64_t orders = 2 * facts_.train_samples * static_cast<int64_t>(sizeof(int32_t));
    need->set_data_bytes(need->data_bytes() + orders);
    AddMarks(MarksOfWorker(), need);
    AddCheckpoints(arena_ + optimizer + CodecMemoryBytes(spec_.codec(), facts_.parameters), need);
  }

  int64_t BatchesBytes() const { return (1 + spec_.data().prefetch()) * facts_.batch_bytes; }

  // Of what one server's answers lie in, a reader's share.
  int64_t AnswerShare(const std::vector<NodeId>& reader) const {
    if (!together_) return shard_ / 2;
    const bool reads_own = Has(reader, Role::kServer);
    return shard_ / (traits_.workers + (reads_own ? 0 : 1));
  }

  int64_t OptimizerOf(Role role) const {
    const int64_t all = facts_.optimizer_arrays * arena_;
    if (has_servers_ && traits_.updated != nullptr)
      return role == Role::kServer ? all / traits_.servers : 0;
    if (role == Role::kServer) return 0;
    return traits_.updated != nullptr ? all / traits_.workers : all;
  }

  int64_t CodecOfWorker() const {
    int64_t bytes = CodecMemoryBytes(spec_.codec(), facts_.parameters) + facts_.reducer_bytes;
    if (down_ > 0) bytes += down_;
    if (exact_ || facts_.reducer_bytes > 0) return bytes;
    if (has_servers_) return bytes + 2 * encoded_;  // of two steps
    const int64_t in_flight = std::min<int64_t>(kEncodedInFlightMax, facts_.buckets);
    return bytes + in_flight * (is_summed_ ? 1 : traits_.workers) * encoded_bucket_;
  }

  int64_t MarksOfWorker() const {
    const int64_t copies = MarkCopies(spec_);
    if (copies == 0) return 0;
    if (has_servers_ && !traits_.marks_are_averages) return 0;
    // The copies, and the one that is scored.
    return copies * arena_ * MarkHolders(spec_) / traits_.workers + arena_;
  }

  void AddServer(int32_t index, const std::vector<NodeId>& nodes, MemoryNeed* need) const {
    const int64_t workers_elsewhere = Elsewhere(nodes, Role::kWorker);
    const int64_t workers = traits_.workers;
    // The copies that answers are sent from, of which some lie half at their workers; and of the
    // shard itself where that is what is sent.
    int64_t weights = shard_ + traits_.server_arenas * shard_;
    if (shares_ && together_) weights -= shard_ * workers_elsewhere / (workers_elsewhere + 1);
    if (shares_ && !together_) weights -= workers_elsewhere * shard_ / 2;
    int64_t gradients = 0;
    if (exact_) {
      // Within a process they are read in place too.
      const int64_t lent = LendsGradients() ? workers_elsewhere : 0;
      gradients +=
          lent * GradientArenas(traits_) * shard_ / 2 + (workers_elsewhere - lent) * shard_;
    }
    const bool sums = traits_.updates == Updates::kTogether;
    const bool clips = spec_.optimizer().has_clip_norm();
    if (sums && (workers - traits_.backup_workers > 2 || (clips && workers > 1)))
      gradients += shard_;
    int64_t codec = workers * encoded_ / traits_.servers;
    if (!exact_) codec += sums ? workers * shard_ : facts_.largest_bucket * kFloat;
    codec += (together_ ? 1 : workers) * down_ / traits_.servers;
    need->set_weights_bytes(need->weights_bytes() + weights);
    need->set_gradients_bytes(need->gradients_bytes() + gradients);
    need->set_codec_bytes(need->codec_bytes() + codec);
    const int64_t optimizer = OptimizerOf(Role::kServer);
    need->set_optimizer_bytes(need->optimizer_bytes() + optimizer);
    if (!traits_.marks_are_averages) AddMarks(MarkCopies(spec_) * shard_, need);
    AddCheckpoints(shard_ + optimizer, need);
  }

  static void AddMarks(int64_t bytes, MemoryNeed* need) {
    need->set_marks_bytes(need->marks_bytes() + bytes);
  }

  // A state that is written, the next, one that was read; and those before the last two steps, and
  // one that is made.
  void AddCheckpoints(int64_t state, MemoryNeed* need) const {
    const int64_t states =
        (spec_.output().checkpoints().empty() ? 0 : 3) + (MayReform(spec_) ? 3 : 0);
    need->set_checkpoints_bytes(need->checkpoints_bytes() + states * state);
  }

  const RunSpec& spec_;
  const MemoryFacts& facts_;
  const SchemeTraits traits_;
  const std::vector<std::vector<NodeId>> processes_;
  const int64_t arena_;
  const bool has_servers_;
  const int64_t shard_;  // of one server
  const bool together_;  // all workers are told the same weights
  bool shares_ = false;  // processes read each other's memory
  bool exact_ = true;    // gradients go as floats
  bool is_summed_ = true;
  int64_t encoded_ = 0;         // of all parameters
  int64_t encoded_bucket_ = 0;  // of the largest bucket
  int64_t down_ = 0;            // of encoded weights: what is held, and encodings
};

}  // namespace

absl::StatusOr<MemoryFacts> MemoryFactsOf(const RunSpec& spec) {
  MemoryFacts facts;
  RM_ASSIGN_OR_RETURN(const SampleShape shape,
                      InspectDataset(spec.data(), &facts.train_samples, &facts.test_samples));
  RM_ASSIGN_OR_RETURN(const WorkerParts host, CreateHostModel(spec, shape));
  const ParamLayout& layout = host.model->layout();
  facts.parameters = layout.count();
  facts.buckets = static_cast<int64_t>(layout.buckets().size());
  for (const Bucket& bucket : layout.buckets())
    facts.largest_bucket = std::max(facts.largest_bucket, bucket.count);
  facts.sample_bytes = SampleBytes(spec, shape);
  facts.batch_bytes = spec.training().batch_per_worker() *
                      (shape.features() * kFloat + (shape.labels() + shape.context) * kFloat);
  if (const ReducerDefinition* reducer = FindReducer(spec.codec().name()))
    facts.reducer_bytes = reducer->memory_bytes(spec.codec(), layout);
  RM_ASSIGN_OR_RETURN(facts.scratch_bytes, ScratchBytes(spec, layout));
  RM_ASSIGN_OR_RETURN(facts.optimizer_arrays, OptimizerArrays(spec.optimizer()));
  facts.workers_have_gpus = RunsOnGpu(spec.training().kernels());
  RM_ASSIGN_OR_RETURN(facts.activation_bytes, ModelMemoryBytes(spec, shape));
  return facts;
}

std::vector<MemoryNeed> PlanMemory(const RunSpec& spec, const MemoryFacts& facts) {
  return Planner(spec, facts).Plan();
}

}  // namespace ringmaster
