#include "experiments/study/predict/calibrate.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/machine/machine.h"
#include "common/network/flow_network.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/network.h"
#include "experiments/program/run/placement.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/proof/bench/bench_turns.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "experiments/study/predict/simulated_cluster.h"
#include "experiments/study/results/statistics.h"
#include "proto/run_record.pb.h"
#include "worker/loop/slowdown.h"

namespace ringmaster {
namespace {

// Of two workers that exchange nothing.
constexpr double kSoloSeconds = 3;
constexpr double kSoloStepsMin = 30;
constexpr double kSoloStepsMax = 200;
constexpr int32_t kSoloWarmUp = 5;
// Of what a loop measures; the best block counts.
constexpr size_t kRepetitions = 25;
constexpr size_t kBlock = 5;
constexpr int64_t kCopiedBytes = 1 << 20;

// A step that no codec begins differently in.
constexpr int64_t kLongAfterWarmUp = int64_t{1} << 40;

constexpr double kMegabit = 1e6 / 8;  // bytes

double BestSeconds(const std::function<void()>& what) {
  what();
  std::vector<double> seconds;
  for (size_t i = 0; i < kRepetitions; ++i) {
    const BenchClock::time_point begin = BenchClock::now();
    what();
    seconds.push_back(SecondsSince(begin));
  }
  return BestBlock(seconds, kBlock).median;
}

// Of the sum of a bucket in rounds; what one rank does of it.
absl::StatusOr<CodecCosts> ReducerCosts(const RunSpec& spec, const ParamLayout& layout,
                                        const Bucket& bucket) {
  const ReducerDefinition& definition = *FindReducer(spec.codec().name());
  RM_ASSIGN_OR_RETURN(const auto reducer,
                      definition.create(spec.codec(), layout, spec.training().seed()));
  CodecCosts costs;
  costs.rounds = RoundsOf(spec, layout);
  Random random(1);
  std::vector<float> gradient(bucket.count), whole(bucket.count);
  for (float& value : whole) value = random.Normal();
  std::vector<double> encode, between, decode;
  for (size_t i = 0; i <= kRepetitions; ++i) {
    gradient = whole;
    const auto timed = [i](std::vector<double>* seconds, const auto& what) {
      const BenchClock::time_point begin = BenchClock::now();
      auto round = what();
      if (i > 0) seconds->push_back(SecondsSince(begin));  // the first warms up
      return round;
    };
    const auto step = static_cast<int64_t>(i) + spec.codec().warmup_steps();
    absl::StatusOr<ReducerRound> round =
        timed(&encode, [&] { return reducer->Begin(step, bucket.id, absl::MakeSpan(gradient)); });
    while (round.ok() && !round->floats.empty()) {
      round =
          timed(round->is_last ? &decode : &between, [&] { return reducer->Summed(bucket.id); });
    }
    RM_RETURN_IF_ERROR(round.status());
  }
  const auto each = [&bucket](const std::vector<double>& seconds) {
    if (seconds.empty()) return 0.0;
    return BestBlock(seconds, kBlock).median / static_cast<double>(bucket.count);
  };
  costs.encode = each(encode);
  costs.between = each(between);
  costs.decode = each(decode);
  return costs;
}

// What decides how long workers compute.
std::string ComputeKey(const RunSpec& spec) {
  RunSpec key = SoloOf(spec, /*workers=*/1, 1, 0);
  key.clear_transport();
  key.clear_limits();
  key.clear_output();
  key.mutable_training()->clear_seed();
  key.mutable_training()->clear_evaluate_every_samples();
  key.mutable_data()->clear_seed();
  return key.SerializeAsString();
}

}  // namespace

NetworkCosts MeasuredNetwork(const RunSpec& spec, const LinkFit& fit, double copy_rate) {
  RunSpec measured = spec;
  NetworkSpec* const network = measured.mutable_transport()->mutable_network();
  // What was measured has half of the jitter on the average.
  const double latency_ms = std::max(0.0, 1000 * fit.latency - network->jitter_ms() / 2);
  for (LinkSpec& link : *network->mutable_links()) {
    link.set_latency_ms(std::max(0.0, latency_ms + link.latency_ms() - network->latency_ms()));
  }
  network->set_latency_ms(latency_ms);
  network->set_megabits_per_second(fit.rate / kMegabit);
  for (NodeNetworkSpec& node : *network->mutable_nodes()) {
    if (!node.has_egress_megabits_per_second())
      node.set_egress_megabits_per_second(network->megabits_per_second());
    if (!node.has_ingress_megabits_per_second())
      node.set_ingress_megabits_per_second(network->megabits_per_second());
  }
  absl::StatusOr<NetworkPlan> plan = PlanNetwork(*NetworkOf(measured), PlaceNodes(spec));
  RM_CHECK(plan.ok());  // it names nodes of the run alone
  NetworkCosts costs;
  costs.copy_rate = copy_rate;
  costs.plan = *std::move(plan);
  return costs;
}

absl::StatusOr<Prediction> Predictor::Predict(const RunSpec& spec) {
  RM_RETURN_IF_ERROR(CheckPredictable(spec));
  RM_ASSIGN_OR_RETURN(const ComputeProfile* const alone, AloneOf(spec));
  const SchemeTraits traits = TraitsOf(spec);
  LinkFit link;
  if (traits.exchanges && traits.processes > 1) {
    RM_ASSIGN_OR_RETURN(link, LinkOf(spec));
  }
  Costs costs;
  RM_ASSIGN_OR_RETURN(costs.compute, TogetherOf(spec, *alone));
  costs.network = MeasuredNetwork(spec, link, CopyRate());
  costs.cores.cores = DescribeMachine().cores();
  costs.cores.computes = !spec.training().has_emulated_compute();
  costs.cores.message = link.cpu_message;
  costs.cores.byte = link.cpu_byte;
  RM_ASSIGN_OR_RETURN(costs.codec, CodecOf(spec, *alone));
  RM_ASSIGN_OR_RETURN(
      const std::unique_ptr<EncodingSizes> sizes,
      EncodingSizes::Create(EncodedRunOf(spec, *alone->layout), nullptr, kLongAfterWarmUp));
  costs.codec.sizes = sizes.get();
  std::vector<Slowdown> slowdowns;
  for (int32_t rank = 0; rank < traits.workers; ++rank) {
    slowdowns.emplace_back(spec.training(), rank, [] { return absl::OkStatus(); });
    costs.factors.push_back(slowdowns.back().factor());
  }
  if (!spec.training().slowdowns().empty()) {
    costs.delay = [&slowdowns](int32_t rank, int64_t step) {
      return absl::ToDoubleSeconds(slowdowns[rank].DelayOf(step));
    };
  }
  RM_ASSIGN_OR_RETURN(const SimulatedStep step,
                      SimulateStep(spec, alone->buckets, std::move(costs)));
  Prediction prediction;
  prediction.set_step_ms(1000 * step.step);
  prediction.set_compute_ms(1000 * step.compute);
  prediction.set_exposed_ms(1000 * step.exposed);
  prediction.set_communication_ms(1000 * step.communication);
  prediction.set_latency_us(1e6 * link.latency);
  prediction.set_bytes_per_second(std::isfinite(link.rate) ? link.rate : 0);
  prediction.set_round_trip_samples(static_cast<double>(link.samples));
  return prediction;
}

ComputeCosts AmongWorkers(const ComputeCosts& alone, const ComputeCosts& pair,
                          const Sharing& sharing) {
  if (sharing.workers == 1) return alone;
  const auto whole = [](const ComputeCosts& costs) {
    return costs.load + costs.compute + costs.update;
  };
  double factor = std::max(1.0, static_cast<double>(sharing.workers) / std::max(2, sharing.cores));
  if (sharing.on_device) {
    const double more = std::max(0.0, whole(pair) - whole(alone));
    factor = (whole(pair) + (sharing.workers - 2) * more) / whole(pair);
  }
  ComputeCosts costs = pair;
  costs.load *= factor;
  costs.compute *= factor;
  costs.update *= factor;
  return costs;
}

LinkFit AmongNodes(const LinkFit& pair, const RunSpec& spec, int32_t cores) {
  LinkFit fit = pair;
  const double megabits = spec.transport().network().megabits_per_second();
  if (megabits > 0) {
    fit.rate = megabits * kMegabit;
    if (fit.cpu_byte > 0) fit.rate = std::min(fit.rate, 1 / fit.cpu_byte);
    return fit;
  }
  fit.rate *= std::min(1.0, static_cast<double>(std::max(2, cores)) / spec.training().workers());
  return fit;
}

absl::StatusOr<const ComputeProfile*> Predictor::AloneOf(const RunSpec& spec) {
  const std::string key = ComputeKey(spec);
  const auto known = alone_.find(key);
  if (known != alone_.end()) return &known->second;
  Tell("one worker computes alone");
  auto alone = ProfileCompute(spec, options_.device, options_.interrupted);
  RM_RETURN_IF_ERROR(Annotate(alone.status(), "measuring one worker's computing"));
  return &alone_.emplace(key, *std::move(alone)).first->second;
}

absl::StatusOr<const ComputeCosts*> Predictor::PairOf(const RunSpec& spec,
                                                      const ComputeProfile& alone) {
  const std::string key = ComputeKey(spec);
  const auto known = pairs_.find(key);
  if (known != pairs_.end()) return &known->second;
  Tell("two workers compute, exchanging nothing");
  const auto steps = static_cast<int64_t>(
      std::clamp(kSoloSeconds / std::max(alone.step, 1e-6), kSoloStepsMin, kSoloStepsMax));
  RunArmOptions arm;
  arm.device = options_.device;
  arm.interrupted = options_.interrupted;
  const RunRecord record =
      RunArm(SoloOf(spec, /*workers=*/2, steps + kSoloWarmUp, kSoloWarmUp), arm);
  if (options_.interrupted != nullptr && *options_.interrupted)
    return absl::CancelledError("interrupted");
  if (record.status() != "ok") {
    return absl::UnavailableError(
        absl::StrCat("measuring what two workers compute: ", record.status()));
  }
  return &pairs_.emplace(key, CostsOfSolo(record, alone)).first->second;
}

absl::StatusOr<ComputeCosts> Predictor::TogetherOf(const RunSpec& spec,
                                                   const ComputeProfile& alone) {
  const int32_t workers = TraitsOf(spec).workers;
  const bool is_alone = workers == 1 || spec.training().has_emulated_compute();
  if (is_alone) return alone.costs;
  RM_ASSIGN_OR_RETURN(const ComputeCosts* const pair, PairOf(spec, alone));
  return AmongWorkers(alone.costs, *pair, {workers, DescribeMachine().cores(), alone.on_device});
}

absl::StatusOr<LinkFit> Predictor::LinkOf(const RunSpec& spec) {
  // Within a rack; what uplinks add is the description's to say.
  RunSpec inside = spec;
  if (inside.transport().has_network())
    inside.mutable_transport()->mutable_network()->clear_racks();
  const std::string key = inside.transport().SerializeAsString();
  auto known = links_.find(key);
  if (known == links_.end()) {
    Tell(absl::StrCat("messages between two processes over ", spec.transport().name()));
    const auto times = options_.measure_link(inside, /*ranks=*/2);
    RM_RETURN_IF_ERROR(Annotate(times.status(),
                                absl::StrCat("measuring messages over ", spec.transport().name())));
    known = links_.emplace(key, FitLink(*times)).first;
  }
  return AmongNodes(known->second, spec, DescribeMachine().cores());
}

absl::StatusOr<CodecCosts> Predictor::CodecOf(const RunSpec& spec, const ComputeProfile& alone) {
  const auto largest =
      std::max_element(alone.buckets.begin(), alone.buckets.end(),
                       [](const Bucket& a, const Bucket& b) { return a.count < b.count; });
  const int64_t count = largest->count;
  const std::string key =
      absl::StrCat(count, " ", alone.layout->fingerprint(), " ", spec.codec().SerializeAsString());
  const auto known = codecs_.find(key);
  if (known != codecs_.end()) return known->second;
  if (FindReducer(spec.codec().name()) != nullptr) {
    Tell(absl::StrCat("codec ", spec.codec().name()));
    RM_ASSIGN_OR_RETURN(codecs_[key], ReducerCosts(spec, *alone.layout, *largest));
    return codecs_[key];
  }
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(spec.codec()));
  if (codec->traits().exact) return CodecCosts();
  Tell(absl::StrCat("codec ", spec.codec().name()));
  Random random(1);
  std::vector<float> gradient(count), residual(count);
  for (float& value : gradient) value = random.Normal();
  std::vector<std::byte> encoded(codec->MaxEncodedBytes(count));
  int64_t bytes = 0;
  CodecCosts costs;
  costs.encode = BestSeconds([&] {
                   bytes = spec.codec().error_feedback()
                               ? codec->EncodeCorrected({1}, gradient, absl::MakeSpan(residual),
                                                        absl::MakeSpan(encoded))
                               : codec->Encode({1}, gradient, absl::MakeSpan(encoded));
                 }) /
                 static_cast<double>(count);
  absl::Status decoded;
  costs.decode = BestSeconds([&] {
                   decoded = codec->Decode({1}, absl::MakeConstSpan(encoded).first(bytes),
                                           absl::MakeSpan(gradient));
                 }) /
                 static_cast<double>(count);
  RM_RETURN_IF_ERROR(decoded);
  codecs_[key] = costs;
  return costs;
}

double Predictor::CopyRate() {
  if (copy_rate_ == 0) {
    std::vector<char> from(kCopiedBytes, 1), to(kCopiedBytes);
    copy_rate_ =
        kCopiedBytes / BestSeconds([&] { std::memcpy(to.data(), from.data(), kCopiedBytes); });
  }
  return copy_rate_;
}

void Predictor::Tell(absl::string_view what) const {
  if (options_.tell) options_.tell(what);
}

}  // namespace ringmaster
