// What the schemes say of their bytes, from schedules and codecs, is what verify's formula says,
// which knows neither.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "experiments/proof/verify/payload_formula.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

// Buckets of 101, 101, 101 and 2 elements: none divides evenly.
ParamLayout Layout() {
  Param param;
  param.name = "weight";
  param.shape = {305};
  return ParamLayout({param}, 101);
}

RunSpec ArmOf(const std::string& name, int32_t workers, int32_t servers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(1);
  base.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
  return *Resolve(*MakeArm(name, base), {});
}

TEST(StepTraffic, OfEveryWorkerOfEveryArmIsTheFormula) {
  const ParamLayout layout = Layout();
  for (const ArmInfo& arm : Arms()) {
    for (int32_t workers = 1; workers <= 6; ++workers) {
      const RunSpec spec = ArmOf(arm.name, workers, 3);
      const SchemeTraits traits = TraitsOf(spec);
      if (!traits.engine.empty()) {
        EXPECT_EQ(StepTrafficOf(spec, layout, {Role::kWorker, 0}).status().code(),
                  absl::StatusCode::kUnimplemented);
        continue;
      }
      int64_t sent = 0;
      for (int32_t rank = 0; rank < traits.workers; ++rank) {
        SCOPED_TRACE(absl::StrCat(arm.name, " N=", workers, " rank ", rank));
        const auto traffic = StepTrafficOf(spec, layout, {Role::kWorker, rank});
        const auto formula = PayloadFormula(spec, layout, rank);
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

TEST(StepTraffic, WhatWorkersSendServersGetAndTheOtherWayRound) {
  const ParamLayout layout = Layout();
  const auto has_servers = [](const ArmUnderTest& arm) { return arm.traits.servers > 0; };
  for (const std::string& arm : ArmsThat(has_servers)) {
    const RunSpec spec = ArmOf(arm, 4, 3);
    const SchemeTraits traits = TraitsOf(spec);
    StepTraffic workers, servers;
    for (int32_t rank = 0; rank < traits.workers; ++rank) {
      const StepTraffic traffic = *StepTrafficOf(spec, layout, {Role::kWorker, rank});
      workers.sent += traffic.sent;
      workers.received += traffic.received;
    }
    for (int32_t server = 0; server < traits.servers; ++server) {
      const StepTraffic traffic = *StepTrafficOf(spec, layout, {Role::kServer, server});
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
