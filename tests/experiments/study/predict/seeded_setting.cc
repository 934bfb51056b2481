#include "tests/experiments/study/predict/seeded_setting.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "common/scheme/registry.h"
#include "experiments/study/predict/all_reduce_plan.h"
#include "tests/common/config/known_names.h"
#include "tests/support/arms.h"

namespace ringmaster {

std::string Setting::name() const {
  return absl::StrCat(arm, " N=", workers, " K=", servers, " ", down, goes_on ? " going on" : "",
                      reforms ? " re-forming" : "");
}

std::vector<Setting> SeededSettings() {
  std::vector<Setting> settings;
  const auto has_dedicated_servers = [](const ArmUnderTest& arm) {
    return Exchanges(arm) && arm.traits.servers > 0 && !arm.traits.servers_beside_workers;
  };
  const auto has_none = [&](const ArmUnderTest& arm) {
    return Exchanges(arm) && !has_dedicated_servers(arm);
  };
  for (const std::string& arm : ArmsThat(has_none)) {
    for (const int32_t workers : {2, 3, 5}) settings.push_back({arm, workers, 0});
  }
  for (const std::string& arm : ArmsThat(has_dedicated_servers)) {
    for (const int32_t servers : {1, 2}) {
      for (const int32_t workers : {2, 4}) settings.push_back({arm, workers, servers});
    }
  }
  for (const char* down : {"topk", "qsgd"}) {
    settings.push_back({"ps", 4, 2, false, down});
    settings.push_back({"ps-sharded", 3, 0, false, down});
    settings.push_back({"async", 4, 2, false, down});
  }
  return settings;
}

std::vector<Setting> GoingOnSettings() {
  std::vector<Setting> settings;
  for (Setting& setting : SeededSettings()) {
    setting.goes_on = TraitsOf(SpecOf(setting)).may_continue;
    if (setting.goes_on) settings.push_back(std::move(setting));
  }
  return settings;
}

std::vector<Setting> ReformingSettings() {
  std::vector<Setting> settings;
  for (Setting& setting : SeededSettings()) {
    setting.reforms = true;
    if (Validate(SpecOf(setting), TestNames()).ok()) settings.push_back(std::move(setting));
  }
  return settings;
}

RunSpec SpecOf(const Setting& setting) {
  RunSpec base;
  base.mutable_training()->set_workers(setting.workers);
  base.mutable_training()->set_steps(kSeededSteps);
  base.mutable_training()->set_warmup_steps(0);
  base.mutable_optimizer()->set_learning_rate(0.1);
  base.mutable_limits()->set_wait_seconds(60);
  if (setting.servers > 0)
    base.mutable_strategy()->mutable_parameter_server()->set_servers(setting.servers);
  RunSpec arm = *MakeArm(setting.arm, base);
  if (!setting.down.empty()) {
    CodecSpec* const down =
        arm.mutable_strategy()->mutable_parameter_server()->mutable_down_codec();
    down->set_name(setting.down);
    if (setting.down == "topk") down->set_density(0.3);
  }
  if (setting.goes_on) arm.mutable_strategy()->set_on_failure(StrategySpec::CONTINUE);
  if (setting.reforms) {
    // A global batch that those left can share when one is lost; two of five are too many.
    const int64_t batch = std::max(2, setting.workers - 1);
    arm.mutable_strategy()->set_on_failure(StrategySpec::REFORM);
    arm.mutable_training()->set_batch_per_worker(static_cast<int32_t>(batch));
    arm.mutable_training()->set_evaluate_every_samples(2 * batch * setting.workers);
    arm.mutable_limits()->set_join_seconds(2);
  }
  RunSpec spec = *Resolve(std::move(arm), {});
  ExchangeOften(&spec);
  if (setting.without_lambda) {
    spec.mutable_strategy()->mutable_parameter_server()->mutable_delay_compensation()->set_lambda(
        0);
  }
  if (setting.servers > 0 && spec.strategy().has_elastic()) {
    spec.mutable_strategy()->mutable_elastic()->set_servers(setting.servers);
    spec.mutable_strategy()->mutable_elastic()->set_period(3);
  }
  // so that matrices of 4 by 4 shrink
  if (CodecTraitsOf(spec.codec())->in_rounds) spec.mutable_codec()->set_rank(1);
  if (TraitsOf(spec).updates == Updates::kTogether) {
    spec.mutable_optimizer()->set_name("momentum");
    spec.mutable_optimizer()->set_momentum(0.9);
  } else if (TraitsOf(spec).staleness_bound.has_value()) {
    // so that some wait
    spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(1);
  }
  return spec;
}

std::vector<float> SeededWeights() {
  Random random(1);
  std::vector<float> weights(kSeededElements);
  for (float& weight : weights) weight = random.Normal();
  return weights;
}

bool CountsLots(const RunSpec& spec) {
  const SchemeTraits traits = TraitsOf(spec);
  return traits.weights == WeightHolder::kServers && traits.updates == Updates::kOnArrival &&
         traits.local_steps == 0 && !traits.compensates_delay && !traits.weights_encoded &&
         CodecTraitsOf(spec.codec())->exact;
}

RunSpec FaultSpecOf(const Setting& setting) {
  RunSpec spec = SpecOf(setting);
  if (CountsLots(spec)) spec.mutable_optimizer()->set_learning_rate(1);
  return spec;
}

Costs DrawCosts(const RunSpec& spec, const ParamLayout& layout, int32_t processes, Random* random) {
  const auto draw = [random](double max) { return random->Uniform() * max; };
  Costs costs;
  NetworkPlan& network = costs.network.plan;
  network.seed = random->Below(1 << 30);
  for (int32_t process = 0; process < processes; ++process) {
    network.egress.push_back(1e-5 + random->Uniform() *
                                        1e-3);  // 10 kB to 1 MB a second: some ms for a bucket
    network.ingress.push_back(1e-5 + random->Uniform() * 1e-3);
  }
  for (int32_t pair = 0; pair < processes * processes; ++pair) {
    const auto latency = static_cast<Nanoseconds>(random->Below(1'000'000));
    const auto jitter = static_cast<Nanoseconds>(random->Below(2'000'000));
    network.links[{pair / processes, pair % processes}] = {kUnlimitedRate, latency, jitter};
  }
  if (random->Below(2) == 0) {
    costs.codec = {draw(1e-5), draw(1e-5), draw(1e-5), {}};
    costs.compute.update = draw(kMillisecond);
  }
  costs.codec.rounds = RoundsOf(spec, layout);
  costs.compute.load = draw(kMillisecond);
  costs.compute.compute = draw(3 * kMillisecond);
  for (size_t bucket = 0; bucket < layout.buckets().size(); ++bucket) {
    costs.compute.bucket_ready.push_back(random->Uniform());
  }
  std::sort(costs.compute.bucket_ready.begin(), costs.compute.bucket_ready.end());
  const uint64_t seed = random->Below(1 << 30);
  costs.delay = [seed](int32_t rank, int64_t step) {
    Random random(MixSeed(MixSeed(seed, rank), step));
    return random.Below(4) == 0 ? random.Uniform() * 20 * kMillisecond : 0;
  };
  return costs;
}

}  // namespace ringmaster
