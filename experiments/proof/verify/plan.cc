#include "experiments/proof/verify/plan.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

constexpr char kServer[] = "parameter_server";

// The small model has 2304 parameters. Buckets: three of 767 and one of 3 elements, fewer than
// there are workers or servers; nine of 256; one of all.
constexpr int64_t kUneven = 4 * 767;
constexpr int64_t kSmall = 4 * 256;
constexpr int64_t kWhole = 1 << 20;

// Graeco-Latin squares: row i, column j take bucket (i + j) mod 3 and transport (i - j) mod 3.
// Where co-located servers are, no square of nine cells has every pair, so one cell comes with both
// placements.
constexpr Setting kSettings[] = {
    {3, "ring", 0, false, kUneven, "tcp"},
    {3, "direct", 0, false, kSmall, "grpc"},
    {3, "reduce_broadcast", 0, false, kWhole, "shm"},
    {4, "ring", 0, false, kSmall, "shm"},
    {4, "direct", 0, false, kWhole, "tcp"},
    {4, "reduce_broadcast", 0, false, kUneven, "grpc"},
    {8, "ring", 0, false, kWhole, "grpc"},
    {8, "direct", 0, false, kUneven, "shm"},
    {8, "reduce_broadcast", 0, false, kSmall, "tcp"},
    {3, kServer, 1, true, kUneven, "tcp"},
    {3, kServer, 2, true, kSmall, "grpc"},
    {3, kServer, 3, false, kWhole, "shm"},
    {3, kServer, 3, true, kWhole, "shm"},
    {4, kServer, 1, false, kSmall, "shm"},
    {4, kServer, 2, false, kWhole, "tcp"},
    {4, kServer, 3, true, kUneven, "grpc"},
    {8, kServer, 1, false, kWhole, "grpc"},
    {8, kServer, 2, false, kUneven, "shm"},
    {8, kServer, 3, true, kSmall, "tcp"},
    {3, kServer, 1, true, kWhole, "inproc"},
    {4, kServer, 1, true, kUneven, "inproc"},
    {8, kServer, 1, true, kSmall, "inproc"},
};

absl::StatusOr<RunSpec> Arm(const char* arm, const std::string& suffix, const RunSpec& base) {
  RM_ASSIGN_OR_RETURN(RunSpec spec, MakeArm(arm, base));
  spec.set_name(absl::StrCat(arm, suffix));
  return Resolve(std::move(spec), {});
}

RunSpec SmallBase(int32_t workers, uint64_t seed) {
  RunSpec spec;
  spec.mutable_model()->set_name("mlp");
  spec.mutable_model()->add_mlp_hidden(31);
  DataSpec* data = spec.mutable_data();
  data->set_name("synthetic");
  data->set_seed(seed);
  // 20 steps of 24 to 64 samples cross the border of an epoch
  data->mutable_synthetic()->set_train_samples(307);
  data->mutable_synthetic()->set_test_samples(67);
  data->mutable_synthetic()->set_height(9);
  data->mutable_synthetic()->set_width(7);
  TrainingSpec* training = spec.mutable_training();
  training->set_workers(workers);
  training->set_batch_per_worker(8);
  training->set_steps(kSmallSteps);
  training->set_seed(seed);
  training->set_evaluate_every_samples(0);
  training->set_kernels("cpu");
  training->set_bucket_bytes(kUneven);
  spec.mutable_transport()->set_name("tcp");
  return spec;
}

absl::StatusOr<RunSpec> FromSetting(const Setting& setting, const RunSpec& base) {
  RunSpec spec = base;
  spec.mutable_training()->set_bucket_bytes(setting.bucket_bytes);
  spec.mutable_transport()->set_name(setting.transport);
  StrategySpec* strategy = spec.mutable_strategy();
  const bool threads = std::string(setting.transport) == "inproc";
  strategy->set_launch(threads ? THREADS : PROCESSES);
  std::string what = setting.exchange;
  if (setting.servers == 0) {
    strategy->mutable_all_reduce()->set_collective(setting.exchange);
  } else {
    ParameterServerSpec* server = strategy->mutable_parameter_server();
    server->set_servers(setting.servers);
    server->set_placement(setting.colocated ? ParameterServerSpec::COLOCATED
                                            : ParameterServerSpec::DEDICATED);
    what = absl::StrCat(threads ? "dp " : "ps ", setting.servers,
                        setting.colocated ? " co-located" : " dedicated");
  }
  spec.set_name(absl::StrCat(what, " N=", setting.workers, " bucket=", setting.bucket_bytes, " ",
                             setting.transport));
  return Resolve(std::move(spec), {});
}

// Of every arm whose updates are made from the exact sum of all workers' gradients, by messages of
// ours: single's bits are theirs where N is 2.
absl::StatusOr<std::vector<const char*>> ArmsThatAgree(const RunSpec& base) {
  std::vector<const char*> arms = {"single"};
  for (const ArmInfo& info : Arms()) {
    RM_ASSIGN_OR_RETURN(const RunSpec spec, Arm(info.name, "", base));
    const SchemeTraits traits = TraitsOf(spec);
    if (!traits.exchanges || traits.updates != Updates::kTogether || !traits.engine.empty() ||
        traits.delay > 0 || traits.replicas != Replicas::kEqualAfterStep)
      continue;
    const std::optional<CodecTraits> codec = CodecTraitsOf(spec.codec());
    if (codec.has_value() && codec->exact) arms.push_back(info.name);
  }
  return arms;
}

absl::Status AddArms(const std::vector<const char*>& arms, const std::string& suffix,
                     const RunSpec& base, std::vector<RunSpec>* specs) {
  for (const char* arm : arms) {
    RM_ASSIGN_OR_RETURN(RunSpec spec, Arm(arm, suffix, base));
    specs->push_back(std::move(spec));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Span<const Setting> CoveringSettings() { return kSettings; }

absl::StatusOr<std::vector<RunSpec>> TwoWorkerRuns(const DataSpec& data, const std::string& kernels,
                                                   uint64_t seed) {
  RunSpec base;
  base.mutable_model()->set_name("lenet");
  *base.mutable_data() = data;
  base.mutable_data()->set_seed(seed);
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_steps(kTwoWorkerSteps);
  base.mutable_training()->set_seed(seed);
  base.mutable_training()->set_evaluate_every_samples(0);
  base.mutable_training()->set_kernels(kernels);
  std::vector<RunSpec> specs;
  RM_ASSIGN_OR_RETURN(const std::vector<const char*> arms, ArmsThatAgree(base));
  RM_RETURN_IF_ERROR(AddArms(arms, " N=2", base, &specs));
  // Where sums are written in place.
  base.mutable_transport()->set_name("shm");
  RM_RETURN_IF_ERROR(AddArms({"ps-sharded", "ring", "binomial-tree"}, " N=2 shm", base, &specs));
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> ExactSumRuns(int32_t workers, uint64_t seed) {
  RunSpec base = SmallBase(workers, seed);
  base.mutable_training()->set_deterministic(true);
  std::vector<RunSpec> specs;
  RM_RETURN_IF_ERROR(AddArms({"single"}, absl::StrCat(" N=", workers), base, &specs));
  for (const Setting& setting : kSettings) {
    if (setting.workers != workers) continue;
    RM_ASSIGN_OR_RETURN(RunSpec spec, FromSetting(setting, base));
    specs.push_back(std::move(spec));
  }
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> RoundedSumRuns(int32_t workers, uint64_t seed) {
  RunSpec base = SmallBase(workers, seed);
  base.mutable_optimizer()->set_learning_rate(0.01f);
  base.mutable_training()->set_report_weights(true);
  std::vector<RunSpec> specs;
  RM_RETURN_IF_ERROR(AddArms({"single", "ring", "ps", "direct"},
                             absl::StrCat(" N=", workers, " rounded"), base, &specs));
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> CodecRuns(uint64_t seed) {
  RunSpec base = SmallBase(3, seed);
  std::vector<RunSpec> specs;
  for (const CodecInfo& codec : CodecsAndReducers()) {
    if (codec.traits.exact) continue;
    RunSpec spec = base;
    if (codec.traits.in_rounds)
      spec.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
    spec.set_name(absl::StrCat("ring N=3 ", codec.name));
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
    spec.mutable_codec()->set_name(codec.name);
    if (FindOption(codec, "density") != nullptr) spec.mutable_codec()->set_density(0.05);
    RM_ASSIGN_OR_RETURN(spec, Resolve(std::move(spec), {}));
    specs.push_back(std::move(spec));
  }
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> WeightRuns(uint64_t seed) {
  const RunSpec base = SmallBase(3, seed);
  std::vector<const char*> arms = {"ring"};
  for (const ArmInfo& info : Arms()) {
    RM_ASSIGN_OR_RETURN(const RunSpec spec, Arm(info.name, "", base));
    const SchemeTraits traits = TraitsOf(spec);
    if (traits.exchanged == Exchanged::kGradients || traits.exchange_every > kSmallSteps) continue;
    arms.push_back(info.name);
  }
  std::vector<RunSpec> specs;
  RM_RETURN_IF_ERROR(AddArms(arms, " N=3 weights", base, &specs));
  return specs;
}

absl::StatusOr<std::vector<RunSpec>> ArrivalRuns(uint64_t seed) {
  RunSpec base = SmallBase(3, seed);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
  std::vector<const char*> arms = {"ring"};
  for (const ArmInfo& info : Arms()) {
    RM_ASSIGN_OR_RETURN(const RunSpec spec, Arm(info.name, "", base));
    const SchemeTraits traits = TraitsOf(spec);
    if (traits.updates == Updates::kOnArrival && traits.engine.empty()) arms.push_back(info.name);
  }
  std::vector<RunSpec> specs;
  RM_RETURN_IF_ERROR(AddArms(arms, " N=3 on arrival", base, &specs));
  return specs;
}

}  // namespace ringmaster
