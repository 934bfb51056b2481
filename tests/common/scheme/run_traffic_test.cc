// What the schemes say of their bytes, from schedules and codecs, is what verify's formula says,
// which knows neither.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "experiments/proof/verify/payload_formula.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

Param ParamOf(std::vector<int64_t> shape) {
  Param param;
  param.name = "weight";
  param.shape = std::move(shape);
  return param;
}

constexpr int64_t kSteps = 11;

// Buckets of 101, 101, 101 and 2 elements, whether they cut tensors or not: none divides evenly.
ParamLayout Layout(const RunSpec& spec) {
  const BucketLayout layout = BucketLayoutOf(spec.training());
  if (layout == BucketLayout::kCut) return ParamLayout({ParamOf({305})}, 101);
  std::vector<Param> params;
  for (int bucket = 0; bucket < 3; ++bucket) {
    params.push_back(ParamOf({10, 10}));
    params.push_back(ParamOf({1}));
  }
  params.push_back(ParamOf({2}));
  return ParamLayout(std::move(params), 101, layout);
}

RunSpec ArmOf(const std::string& name, int32_t workers, int32_t servers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(1);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
  return *Resolve(*MakeArm(name, base), {});
}

TEST(RunTraffic, OfEveryWorkerOfEveryArmIsTheFormula) {
  for (const ArmInfo& arm : Arms()) {
    for (int32_t workers = 1; workers <= 6; ++workers) {
      const RunSpec spec = ArmOf(arm.name, workers, 3);
      const ParamLayout layout = Layout(spec);
      const SchemeTraits traits = TraitsOf(spec);
      if (!traits.engine.empty()) {
        EXPECT_EQ(RunTrafficOf(spec, layout, {Role::kWorker, 0}, kSteps).status().code(),
                  absl::StatusCode::kUnimplemented);
        continue;
      }
      int64_t sent = 0;
      for (int32_t rank = 0; rank < traits.workers; ++rank) {
        SCOPED_TRACE(absl::StrCat(arm.name, " N=", workers, " rank ", rank));
        const auto traffic = RunTrafficOf(spec, layout, {Role::kWorker, rank}, kSteps);
        const auto formula = PayloadFormula(spec, layout, rank, kSteps);
        ASSERT_TRUE(traffic.ok() && formula.ok()) << traffic.status() << formula.status();
        EXPECT_EQ(traffic->sent, formula->up);
        EXPECT_EQ(traffic->received, formula->down);
        sent += traffic->sent;
      }
      if (workers > 1) {
        EXPECT_EQ(sent > 0, traits.exchanges) << arm.name << " N=" << workers;
      }
    }
  }
}

// Lengths that follow from the step and from which tensors a slice holds.
TEST(RunTraffic, WithSmallTensorsAndAWarmUpIsTheFormula) {
  std::vector<Param> params;
  for (const int64_t count : {200, 7, 150, 3, 9, 100}) {
    Param param;
    param.name = absl::StrCat("p", params.size());
    param.shape = {count};
    params.push_back(param);
  }
  const ParamLayout layout(std::move(params), 160, BucketLayout::kWholeTensors);
  for (const char* arm : {"ring-topk", "ps-sharded"}) {
    RunSpec spec = ArmOf(arm, 4, 3);
    spec.mutable_codec()->set_name("topk");
    spec.mutable_codec()->set_density(0.1);
    spec.mutable_codec()->set_min_tensor_elements(10);
    spec.mutable_codec()->set_warmup_steps(2);
    SetCodecDefaults(spec.mutable_codec());
    for (int32_t rank = 0; rank < 4; ++rank) {
      const auto traffic = RunTrafficOf(spec, layout, {Role::kWorker, rank}, kSteps);
      const auto formula = PayloadFormula(spec, layout, rank, kSteps);
      ASSERT_TRUE(traffic.ok() && formula.ok()) << traffic.status() << formula.status();
      EXPECT_EQ(traffic->sent, formula->up) << arm;
      EXPECT_EQ(traffic->received, formula->down) << arm;
    }
  }
}

TEST(RunTraffic, WhatWorkersSendServersGetAndTheOtherWayRound) {
  const auto has_servers = [](const ArmUnderTest& arm) { return arm.traits.servers > 0; };
  for (const std::string& arm : ArmsThat(has_servers)) {
    const RunSpec spec = ArmOf(arm, 4, 3);
    const ParamLayout layout = Layout(spec);
    const SchemeTraits traits = TraitsOf(spec);
    RunTraffic workers, servers;
    for (int32_t rank = 0; rank < traits.workers; ++rank) {
      const RunTraffic traffic = *RunTrafficOf(spec, layout, {Role::kWorker, rank}, kSteps);
      workers.sent += traffic.sent;
      workers.received += traffic.received;
    }
    for (int32_t server = 0; server < traits.servers; ++server) {
      const RunTraffic traffic = *RunTrafficOf(spec, layout, {Role::kServer, server}, kSteps);
      servers.sent += traffic.sent;
      servers.received += traffic.received;
    }
    EXPECT_EQ(workers.sent, servers.received) << arm;
    EXPECT_EQ(workers.received, servers.sent) << arm;
    EXPECT_GT(servers.sent, 0) << arm;
  }
}

}  // namespace
}  // namespace ringmaster
