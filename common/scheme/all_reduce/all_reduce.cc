#include "common/scheme/all_reduce/all_reduce.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/collective/hierarchical.h"
#include "common/engine/engine_names.h"
#include "common/scheme/all_reduce/sums.h"
#include "common/scheme/group_order.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = 4;

constexpr ArmInfo kArms[] = {
    {"ring", "ring all-reduce of the gradients, every worker applies the update", 70, true,
     "strategy { all_reduce { collective: 'ring' } }", ""},
    {"direct", "all-reduce in two rounds in which everybody sends to everybody", 100, false,
     "strategy { all_reduce { collective: 'direct' } }", ""},
    {"reduce-broadcast",
     "gradients to rank 0, summed there and sent out: a central server built from collectives", 110,
     false, "strategy { all_reduce { collective: 'reduce_broadcast' } }", ""},
    {"halving-doubling",
     "all-reduce by recursive halving and doubling: about the ring's bytes in fewer rounds", 120,
     false, "strategy { all_reduce { collective: 'halving_doubling' } }", ""},
    {"binomial-tree", "all-reduce up a tree to rank 0 and down again", 130, false,
     "strategy { all_reduce { collective: 'binomial_tree' } }", ""},
    {"recursive-doubling",
     "all-reduce by whole buckets between pairs: the fewest rounds, for more bytes", 140, false,
     "strategy { all_reduce { collective: 'recursive_doubling' } }", ""},
    {"hierarchical",
     "all-reduce in groups: rings inside them, and across them of what each rank has summed", 142,
     false, "strategy { all_reduce { collective: 'hierarchical' } }",
     "strategy.all_reduce.group_size"},
    {"double-binary-tree", "all-reduce up and down two trees, each for half of every bucket", 144,
     false, "strategy { all_reduce { collective: 'double_binary_tree' } }", ""},
    {"all-reduce-auto", "all-reduce, for every bucket by the collective that its size and N choose",
     150, false, "strategy { all_reduce { collective: 'auto' } }", ""},
    {"all-reduce-mpi",
     "all-reduce by Open MPI, whose ranks mpirun starts; its bytes are not metered", 160, false,
     "strategy { all_reduce { collective: 'mpi' } }", ""},
    {"all-reduce-mpich",
     "all-reduce by MPICH, whose ranks mpiexec.hydra starts; its bytes are not metered", 165, false,
     "strategy { all_reduce { collective: 'mpich' } }", ""},
    {"all-reduce-gloo", "all-reduce by Gloo, over sockets of its own; its bytes are not metered",
     170, false, "strategy { all_reduce { collective: 'gloo' } }", ""},
    {"all-reduce-cuda-ipc",
     "all-reduce in the memory of the GPU that workers share; its bytes are not metered", 180,
     false, "strategy { all_reduce { collective: 'cuda_ipc' } }", ""},
    {"ring-fp16", "the ring in half precision, summed on the wire", 190, false,
     "strategy { all_reduce { collective: 'ring' } } codec { name: 'fp16' }",
     "codec.error_feedback"},
    {"ring-topk", "the largest 1 % of every bucket with error feedback, gathered around the ring",
     200, false, "strategy { all_reduce { collective: 'ring' } } codec { name: 'topk' }",
     "codec.density,codec.error_feedback"},
    {"ring-powersgd",
     "two factors of rank 4 in place of every matrix, with error feedback, summed around the ring",
     205, false,
     "strategy { all_reduce { collective: 'ring' } } codec { name: 'powersgd' } "
     "training { bucket_layout: WHOLE_TENSORS }",
     "codec.rank,codec.error_feedback"},
};

// Without a size groups are those of hosts, which are known once all have joined.
void Resolve(int32_t, StrategySpec* strategy) {
  AllReduceSpec* all_reduce = strategy->mutable_all_reduce();
  if (all_reduce->collective().empty()) all_reduce->set_collective("ring");
}

// What another library's all-reduce cannot do.
void CheckEngineSpec(const RunSpec& spec, Problems* problems) {
  const std::string& name = spec.strategy().all_reduce().collective();
  const CodecInfo* const codec = FindCodec(spec.codec().name());
  if (codec == nullptr || !codec->traits.exact) {
    problems->AddName("codec.name", spec.codec().name(),
                      absl::StrCat("collective \"", name,
                                   "\" sums float32 in a library of its own, which knows no codec; "
                                   "use \"none\", or collective \"ring\""));
  }
  if (spec.strategy().launch() == THREADS) {
    problems->Add("strategy.launch", "THREADS",
                  absl::StrCat("a process is one rank of \"", name,
                               "\"; use PROCESSES, or collective \"ring\""));
  }
  const std::string& kernels = spec.training().kernels();
  const EngineGpus gpus = EngineGpusOf(name);
  if (gpus != EngineGpus::kNone && kernels != "cublas" && kernels != "cublas_tf32" &&
      kernels != "auto") {
    problems->AddName(
        "strategy.all_reduce.collective", name,
        absl::StrCat("sums in the memory of ",
                     gpus == EngineGpus::kOneEach ? "a GPU for each worker" : "the workers' GPU",
                     ", and training.kernels is \"", kernels,
                     "\"; use kernels \"cublas\", or collective \"mpi\", \"gloo\" or \"ring\""));
  }
}

void CheckGroups(const RunSpec& spec, Problems* problems) {
  constexpr char kField[] = "strategy.all_reduce.group_size";
  const AllReduceSpec& all_reduce = spec.strategy().all_reduce();
  if (!HasGroups(all_reduce.collective())) {
    if (!all_reduce.has_group_size()) return;
    problems->Add(
        kField, all_reduce.group_size(),
        absl::StrCat("collective \"", all_reduce.collective(),
                     "\" has no groups; use collective \"hierarchical\", or leave it out"));
    return;
  }
  if (!all_reduce.has_group_size()) return;
  const absl::Status status = CheckGroupSize(all_reduce.group_size(), spec.training().workers());
  if (!status.ok()) problems->Add(kField, all_reduce.group_size(), std::string(status.message()));
}

void Check(const RunSpec& spec, Problems* problems) {
  const std::string& collective = spec.strategy().all_reduce().collective();
  std::vector<std::string> names = RegistryNames(CollectiveChoices());
  for (const EngineInfo& engine : Engines()) names.emplace_back(engine.name);
  problems->Known("strategy.all_reduce.collective", "collective", collective, names);
  if (IsEngine(collective)) CheckEngineSpec(spec, problems);
  CheckSummedCodec(spec, collective, problems);
  CheckGroups(spec, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const AllReduceSpec& all_reduce = strategy.all_reduce();
  SchemeTraits traits;
  traits.workers = workers;
  traits.collective = ScheduleNameOf(all_reduce.collective());
  traits.sums_in_rounds = true;
  traits.group_size = GroupSizeFor(traits.collective, strategy.group_order(), workers);
  if (HasGroups(traits.collective) && all_reduce.has_group_size())
    traits.group_size = all_reduce.group_size();
  for (const EngineInfo& engine : Engines()) {
    if (engine.name == all_reduce.collective()) traits.engine = engine.name;
  }
  // A library's group cannot lose a rank.
  traits.may_reform = traits.engine.empty();
  return traits;
}

absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const SchemeTraits traits = Traits(spec.strategy(), spec.training().workers());
  if (!traits.engine.empty()) {
    return absl::UnimplementedError(
        absl::StrCat("collective \"", traits.engine, "\" sends its own messages"));
  }
  return SumTraffic(spec, traits, layout, node, steps);
}

std::string Rule(const RunSpec&) {
  return "Each gradient carries the factor 1/N, so its sum is the average. At the end of the step "
         "every worker's own optimizer gets it: all have the same bits of it, so their weights "
         "stay equal.";
}

}  // namespace

constexpr Scheme kAllReduceScheme = {
    "all_reduce",
    "every worker holds the weights; gradients are summed by a collective during backward",
    kArms,
    Resolve,
    Check,
    Traits,
    TrafficOf,
    Rule,
};

}  // namespace ringmaster
