#include "common/scheme/all_reduce/all_reduce.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/engine/engine_names.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

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
    {"all-reduce-auto", "all-reduce, for every bucket by the collective that its size and N choose",
     150, false, "strategy { all_reduce { collective: 'auto' } }", ""},
    {"all-reduce-mpi",
     "all-reduce by Open MPI, whose ranks mpirun starts; its bytes are not metered", 160, false,
     "strategy { all_reduce { collective: 'mpi' } }", ""},
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
};

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

// What a codec must do for the schedules that add on the way; the ring can gather instead.
void CheckCodecSpec(const RunSpec& spec, Problems* problems) {
  const std::string& collective = spec.strategy().all_reduce().collective();
  const CodecInfo* const codec = FindCodec(spec.codec().name());
  if (codec == nullptr || codec->traits.summable_as.has_value() || collective == "ring") return;
  problems->AddName(
      "codec.name", codec->name,
      absl::StrCat("its payloads cannot be summed on the wire, as collective \"", collective,
                   "\" does; use collective \"ring\", which gathers them, or codec ",
                   QuotedCodecs(IsLossyAndSummed, " or ")));
}

void Check(const RunSpec& spec, Problems* problems) {
  const std::string& collective = spec.strategy().all_reduce().collective();
  std::vector<std::string> names = RegistryNames(CollectiveChoices());
  for (const EngineInfo& engine : Engines()) names.emplace_back(engine.name);
  problems->Known("strategy.all_reduce.collective", "collective", collective, names);
  if (IsEngine(collective)) CheckEngineSpec(spec, problems);
  CheckCodecSpec(spec, problems);
}

// The registry's own name, which outlives every spec; empty where it has no such name.
template <typename Infos>
absl::string_view NameIn(const Infos& infos, absl::string_view name) {
  for (const auto& info : infos) {
    if (info.name == name) return info.name;
  }
  return {};
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  SchemeTraits traits;
  traits.workers = workers;
  traits.collective = NameIn(CollectiveChoices(), strategy.all_reduce().collective());
  traits.engine = NameIn(Engines(), strategy.all_reduce().collective());
  return traits;
}

// What can be added in its encoded form goes the schedule's way; the rest is gathered around the
// ring, whole.
absl::StatusOr<StepTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node) {
  const SchemeTraits traits = Traits(spec.strategy(), spec.training().workers());
  if (!traits.engine.empty()) {
    return absl::UnimplementedError(
        absl::StrCat("collective \"", traits.engine, "\" sends its own messages"));
  }
  StepTraffic traffic;
  if (traits.workers == 1) return traffic;
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
  const bool summed = codec->traits().summable_as.has_value();
  for (const Bucket& bucket : layout.buckets()) {
    if (!summed) {
      const int64_t bytes = (traits.workers - 1) * codec->MaxEncodedBytes(bucket.count);
      traffic.sent += bytes;
      traffic.received += bytes;
      continue;
    }
    const int64_t element_bytes = codec->MaxEncodedBytes(1);
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<Schedule> schedule,
                        CreateSchedule(traits.collective, {spec.transport().name(), traits.workers,
                                                           bucket.count * element_bytes}));
    for (const Step& step : schedule->StepsOf(node.index, traits.workers)) {
      const int64_t bytes = ElementsOf(step, traits.workers, bucket.count).count * element_bytes;
      (step.op == Step::Op::kSend ? traffic.sent : traffic.received) += bytes;
    }
  }
  return traffic;
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
};

}  // namespace ringmaster
