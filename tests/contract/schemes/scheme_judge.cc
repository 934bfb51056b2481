#include "tests/contract/schemes/scheme_judge.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"
#include "tests/contract/schemes/scheme_oracle.h"
#include "tests/support/arms.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int64_t kCount = 305;
constexpr int64_t kBucketElements = 101;  // buckets of 101, 101, 101 and 2
// Of local SGD with three steps alone: two synchronous ones, three averages, and one left for the
// drain.
constexpr int64_t kSteps = 12;
constexpr int32_t kSynchronousSteps = 2;
// Twelve steps on weights of about 1 round a few dozen times, by 6e-8 each; a wrong term is larger
// than 1e-3.
constexpr double kBound = 1e-5;

// A bowl of each worker's own, and noise; where the order of updates is nobody's to say noise
// alone.
double GradientAt(bool depends, int32_t rank, int64_t step, int64_t element, double weight) {
  const double noise = Random(MixSeed(MixSeed(rank, step), element)).Normal();
  return depends ? (1 + rank) * (weight - 0.1 * rank) + 0.3 * noise : noise;
}

std::vector<float> InitialWeights() {
  std::vector<float> weights(kCount);
  for (int64_t i = 0; i < kCount; ++i) weights[i] = std::sin(static_cast<float>(i + 1));
  return weights;
}

bool Depends(const SchemeTraits& traits) { return traits.updates == Updates::kTogether; }

template <typename... Text>
absl::Status Broken(size_t rank, const Text&... text) {
  return absl::FailedPreconditionError(absl::StrCat("worker/", rank, ": ", text...));
}

absl::Status Near(const char* what, size_t rank, absl::Span<const float> values,
                  absl::Span<const double> expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::fabs(values[i] - expected[i]) <= kBound) continue;
    return Broken(rank, "element ", i, " of its ", what, " is ", values[i], ", by the definition ",
                  expected[i]);
  }
  return absl::OkStatus();
}

absl::Status JudgeDistance(size_t rank, std::optional<double> told, bool is_around_model,
                           const SchemeEnd& end) {
  if (told.has_value() != is_around_model)
    return Broken(rank, "it tells its distance from the model, or does not, against the traits");
  if (!told.has_value()) return absl::OkStatus();
  double squares = 0, size = 0;
  for (size_t i = 0; i < end.model.size(); ++i) {
    const double away = end.replicas[rank][i] - end.model[i];
    squares += away * away;
    size += end.model[i] * end.model[i];
  }
  const double expected = std::sqrt(squares / size);
  if (std::fabs(*told - expected) <= kBound) return absl::OkStatus();
  return Broken(rank, "it tells ", *told, " as its distance from the model, expected ", expected);
}

absl::Status JudgeRun(const RunSpec& spec, const SchemeRun& run) {
  const SchemeTraits traits = TraitsOf(spec);
  const std::vector<float> initial = InitialWeights();
  RM_ASSIGN_OR_RETURN(
      const SchemeEnd end,
      PlayScheme(spec, {initial.begin(), initial.end()}, kSteps,
                 [&traits](int32_t rank, int64_t step, int64_t element, double weight) {
                   return GradientAt(Depends(traits), rank, step, element, weight);
                 }));
  const bool is_equal =
      traits.replicas == Replicas::kEqualAfterStep || traits.replicas == Replicas::kEqualAfterDrain;
  for (size_t rank = 0; rank < run.models.size(); ++rank) {
    RM_RETURN_IF_ERROR(Near("replica", rank, run.replicas[rank], end.replicas[rank]));
    RM_RETURN_IF_ERROR(Near("model", rank, run.models[rank], end.model));
    if (run.models[rank] != run.models[0])
      return Broken(rank, "its model has other bits than that of worker/0");
    if (is_equal && run.replicas[rank] != run.replicas[0])
      return Broken(rank, "its replica has other bits than that of worker/0");
    RM_RETURN_IF_ERROR(
        JudgeDistance(rank, run.distances[rank], traits.replicas == Replicas::kOnAverage, end));
  }
  return absl::OkStatus();
}

}  // namespace

RunSpec JudgedSpec(const std::string& arm, int32_t workers, const std::string& optimizer) {
  RunSpec base = GroupSpec(workers, 0.03f);
  base.mutable_training()->set_steps(kSteps);
  base.mutable_optimizer()->set_name(optimizer);
  if (optimizer == "momentum") base.mutable_optimizer()->set_momentum(0.9f);
  StrategySpec* strategy = base.mutable_strategy();
  if (MakeArm(arm, base)->strategy().has_local_sgd()) {
    strategy->mutable_local_sgd()->set_synchronous_steps(kSynchronousSteps);
  } else {
    strategy->mutable_parameter_server()->set_servers(2);
  }
  RunSpec spec = *MakeArm(arm, base);
  ExchangeOften(&spec);
  if (TraitsOf(spec).attraction > 0) spec.mutable_strategy()->mutable_elastic()->set_period(5);
  if (spec.strategy().has_parameter_server()) {
    ParameterServerSpec* server = spec.mutable_strategy()->mutable_parameter_server();
    // so that some steps are left for the drain
    if (server->has_local_steps()) server->set_local_steps(5);
    if (server->has_backup_workers()) server->set_backup_workers(0);
    if (server->has_delay_compensation()) server->mutable_delay_compensation()->set_lambda(0);
  }
  return *Resolve(spec, {});
}

absl::StatusOr<SchemeRun> RunScheme(const RunSpec& spec, const StrategyFactory& create) {
  const SchemeTraits traits = TraitsOf(spec);
  GroupOptions options;
  options.create_strategy = create;
  StrategyGroup group(spec, InitialWeights(), kBucketElements, options);
  SchemeRun run;
  run.replicas.resize(group.workers());
  run.models.resize(group.workers());
  const double share = traits.divisor == Divisor::kAllBatches ? 1.0 / group.workers() : 1.0;
  RM_RETURN_IF_ERROR(group.Run([&](GroupWorker& worker) {
    const auto source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                            absl::Span<float> out) {
      for (int64_t i = 0; i < bucket.count; ++i) {
        const int64_t element = bucket.begin + i;
        out[i] = static_cast<float>(
            share * GradientAt(Depends(traits), rank, step, element, worker.front()[element]));
      }
    };
    RM_RETURN_IF_ERROR(worker.Steps(0, kSteps, source));
    RM_RETURN_IF_ERROR(worker.strategy().Drain());
    const absl::Span<const float> model = worker.strategy().ModelWeights().host();
    run.replicas[worker.rank()].assign(worker.front().begin(), worker.front().end());
    run.models[worker.rank()].assign(model.begin(), model.end());
    return absl::OkStatus();
  }));
  run.distances = group.consensus_distances();
  return run;
}

absl::Status JudgeScheme(const std::string& arm, const StrategyFactory& create) {
  // A center goes to each worker in turn: where it ends depends on their order.
  const bool is_ordered = DescribeArm(arm).traits.attraction > 0;
  for (const int32_t workers :
       is_ordered ? std::vector<int32_t>{1} : std::vector<int32_t>{2, 3, 4}) {
    for (const char* optimizer : {"sgd", "momentum"}) {
      const RunSpec spec = JudgedSpec(arm, workers, optimizer);
      if (!Depends(TraitsOf(spec)) && spec.optimizer().name() != "sgd") continue;
      const std::string setting = absl::StrCat(arm, " N=", workers, " ", optimizer);
      const absl::StatusOr<SchemeRun> run = RunScheme(spec, create);
      RM_RETURN_IF_ERROR(Annotate(run.status(), setting));
      RM_RETURN_IF_ERROR(Annotate(JudgeRun(spec, *run), setting));
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
