// Shaped networks, emulated computing and slow ranks in specs: how they are said, filled in,
// refused and told.
#include <string>
#include <vector>

#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/config/network_text.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

RunSpec Spec(const std::vector<std::string>& assignments) {
  RunSpec spec;
  for (const std::string& assignment : assignments) {
    const absl::Status status = SetField(assignment, &spec);
    EXPECT_TRUE(status.ok()) << status;
  }
  const auto resolved = Resolve(spec, {"/data", 60000});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

std::string ErrorOf(const std::vector<std::string>& assignments) {
  return std::string(Validate(Spec(assignments), TestNames()).message());
}

TEST(Network, IsAbsentUnlessSaidAndThenFilledIn) {
  EXPECT_FALSE(Spec({}).transport().has_network());
  const NetworkSpec network =
      Spec({"transport.network.megabits_per_second=100", "transport.network.latency_ms=2",
            "transport.network.nodes=[{node: \"worker/0\" egress_megabits_per_second: 10}, {node: "
            "\"server/0\"}]",
            "transport.network.links={from: \"worker/0\" to: \"worker/1\" jitter_ms: 1}"})
          .transport()
          .network();
  ASSERT_EQ(network.nodes_size(), 2);
  EXPECT_EQ(network.nodes(0).egress_megabits_per_second(), 10);
  EXPECT_EQ(network.nodes(0).ingress_megabits_per_second(), 100);
  EXPECT_EQ(network.nodes(1).egress_megabits_per_second(), 100);
  ASSERT_EQ(network.links_size(), 1);
  EXPECT_EQ(network.links(0).latency_ms(), 2);
  EXPECT_EQ(network.links(0).jitter_ms(), 1);
  EXPECT_FALSE(network.links(0).has_megabits_per_second());
  EXPECT_EQ(network.jitter_ms(), 0);
  EXPECT_EQ(network.seed(), 1);
}

TEST(Network, RacksAreFilledInAndCheckedAgainstTheWorkers) {
  const std::string racks = "transport.network.racks.";
  const RacksSpec filled = Spec({racks + "workers_each=2", racks + "uplink_megabits_per_second=10"})
                               .transport()
                               .network()
                               .racks();
  EXPECT_EQ(filled.uplink_latency_ms(), 0);
  EXPECT_EQ(filled.servers(), RacksSpec::SPREAD);
  EXPECT_EQ(ErrorOf({racks + "workers_each=2"}), "");
  EXPECT_THAT(ErrorOf({racks + "uplink_latency_ms=1"}),
              HasSubstr("racks.workers_each = (none): racks need it"));
  EXPECT_THAT(ErrorOf({racks + "workers_each=0"}), HasSubstr("racks.workers_each = 0"));
  EXPECT_THAT(ErrorOf({racks + "workers_each=5", "training.workers=4"}),
              HasSubstr("racks.workers_each = 5"));
  EXPECT_THAT(ErrorOf({racks + "workers_each=1", racks + "uplink_megabits_per_second=0"}),
              HasSubstr("racks.uplink_megabits_per_second = 0"));
  EXPECT_THAT(ErrorOf({racks + "workers_each=1", racks + "uplink_latency_ms=-1"}),
              HasSubstr("racks.uplink_latency_ms = -1"));
}

TEST(Network, ValuesOutOfRangeAreNamed) {
  EXPECT_EQ(
      ErrorOf({"transport.network.megabits_per_second=1000", "transport.network.latency_ms=50"}),
      "");
  EXPECT_THAT(ErrorOf({"transport.network.megabits_per_second=0"}),
              HasSubstr("transport.network.megabits_per_second = 0: expected 0.001 to 1e+06"));
  EXPECT_THAT(ErrorOf({"transport.network.latency_ms=-1"}),
              HasSubstr("transport.network.latency_ms = -1"));
  EXPECT_THAT(ErrorOf({"transport.network.jitter_ms=99999"}),
              HasSubstr("transport.network.jitter_ms = 99999"));
  EXPECT_THAT(
      ErrorOf({"transport.network.nodes={node: \"worker/0\" ingress_megabits_per_second: -4}"}),
      HasSubstr("transport.network.nodes[0].ingress_megabits_per_second = -4"));
  EXPECT_THAT(
      ErrorOf({"transport.network.links={from: \"worker/0\" to: \"worker/1\" latency_ms: -4}"}),
      HasSubstr("transport.network.links[0].latency_ms = -4"));
}

TEST(Network, NodesThatCannotBeOfTheRunAreNamedAndServersOfOtherArmsAreNot) {
  for (const char* name : {"worker/2", "server/2", "worker/-1", "worker/01", "master", ""}) {
    EXPECT_THAT(ErrorOf({"strategy.solo={}",
                         std::string("transport.network.nodes={node: \"") + name + "\"}"}),
                HasSubstr(std::string("transport.network.nodes[0].node = \"") + name + "\""));
  }
  EXPECT_EQ(ErrorOf({"strategy.solo={}",
                     "transport.network.nodes=[{node: \"worker/1\"}, {node: \"server/1\"}]"}),
            "");
  EXPECT_EQ(ErrorOf({"strategy.parameter_server.servers=5",
                     "transport.network.nodes={node: \"server/4\"}"}),
            "");
  EXPECT_THAT(ErrorOf({"transport.network.nodes=[{node: \"worker/1\"}, {node: \"worker/1\"}]"}),
              HasSubstr("twice"));
  EXPECT_THAT(ErrorOf({"transport.network.links=[{from: \"worker/0\" to: \"worker/1\"}, {from: "
                       "\"worker/0\" to: \"worker/1\"}]"}),
              HasSubstr("twice"));
  EXPECT_THAT(ErrorOf({"transport.network.links={from: \"worker/0\" to: \"worker/9\"}"}),
              HasSubstr("transport.network.links[0].to = \"worker/9\""));
}

TEST(Network, IsRefusedWhereNothingPassesThroughIt) {
  EXPECT_THAT(ErrorOf({"transport.network.latency_ms=1", "strategy.launch=threads"}),
              HasSubstr("THREADS"));
  EXPECT_THAT(ErrorOf({"transport.network.latency_ms=1", "strategy.all_reduce.collective=gloo"}),
              HasSubstr("collective \"gloo\" has connections of its own"));
  EXPECT_THAT(ErrorOf({"transport.network.latency_ms=1", "transport.allow_remote=true"}),
              HasSubstr("allow_remote"));
  EXPECT_THAT(ErrorOf({"transport.network.latency_ms=1", "transport.listen_address=10.0.0.1",
                       "transport.allow_remote=true"}),
              HasSubstr("processes of one host"));
}

TEST(EmulatedCompute, NeedsATimeAndRefusesWhatItWouldLeaveEmpty) {
  EXPECT_EQ(ErrorOf({"training.emulated_compute.milliseconds=10"}), "");
  EXPECT_DOUBLE_EQ(Spec({"training.emulated_compute.milliseconds=10"})
                       .training()
                       .emulated_compute()
                       .backward_share(),
                   2.0 / 3);
  EXPECT_THAT(ErrorOf({"training.emulated_compute={}"}),
              HasSubstr("training.emulated_compute.milliseconds = (none)"));
  EXPECT_THAT(ErrorOf({"training.emulated_compute.milliseconds=-1"}),
              HasSubstr("milliseconds = -1"));
  // longer than limits.wait_seconds
  EXPECT_EQ(ErrorOf({"training.emulated_compute.milliseconds=40000"}), "");
  EXPECT_THAT(ErrorOf({"training.emulated_compute={milliseconds: 1 backward_share: 1.5}"}),
              HasSubstr("training.emulated_compute.backward_share = 1.5"));
  EXPECT_THAT(ErrorOf({"training.emulated_compute.milliseconds=1", "output.save_weights=/tmp/w"}),
              HasSubstr("output.save_weights"));
  EXPECT_THAT(ErrorOf({"training.emulated_compute.milliseconds=1", "evaluation={}"}),
              HasSubstr("evaluation"));
}

TEST(Slowdowns, AreCheckedOneByOne) {
  EXPECT_EQ(
      ErrorOf(
          {"training.slowdowns=[{ranks: [0, 1] factor: 4}, {ranks: 1 random {probability: 0.1 "
           "milliseconds: 5}}, {ranks: 0 periodic {every_steps: 10 milliseconds: 20}}, {ranks: 1 "
           "pause {step: 3 milliseconds: 100}}]"}),
      "");
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 2 factor: 4}"}),
              HasSubstr("training.slowdowns[0].ranks = 2"));
  EXPECT_THAT(ErrorOf({"training.slowdowns={factor: 4}"}),
              HasSubstr("training.slowdowns[0].ranks = (none)"));
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 0}"}), HasSubstr("set one of factor"));
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 0 factor: 0.5}"}),
              HasSubstr("training.slowdowns[0].factor = 0.5"));
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 0 random {probability: 2}}"}),
              HasSubstr("probability = 2"));
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 0 periodic {milliseconds: 2}}"}),
              HasSubstr("every_steps = 0"));
  EXPECT_THAT(ErrorOf({"training.steps=10",
                       "training.slowdowns={ranks: 0 pause {step: 10 milliseconds: 2}}"}),
              HasSubstr("pause.step = 10"));
  EXPECT_EQ(ErrorOf({"training.slowdowns={ranks: 0 pause {step: 1 milliseconds: 30000}}"}), "");
  EXPECT_THAT(ErrorOf({"training.slowdowns={ranks: 0 pause {step: 1 milliseconds: -1}}"}),
              HasSubstr("training.slowdowns[0].pause.milliseconds = -1"));
}

TEST(Override, ListsOfMessagesAreSetAsAWholeAndNotThroughAField) {
  RunSpec spec;
  ASSERT_TRUE(SetField("training.slowdowns={ranks: 1 factor: 2}", &spec).ok());
  ASSERT_TRUE(SetField("training.slowdowns=[{ranks: 0 factor: 3}]", &spec).ok());
  ASSERT_EQ(spec.training().slowdowns_size(), 1);
  EXPECT_EQ(spec.training().slowdowns(0).factor(), 3);
  ASSERT_TRUE(SetField("training.slowdowns=[]", &spec).ok());
  EXPECT_EQ(spec.training().slowdowns_size(), 0);
  EXPECT_THAT(std::string(SetField("training.slowdowns=4", &spec).message()),
              HasSubstr("[{...}, {...}]"));
  EXPECT_THAT(std::string(SetField("training.slowdowns={ranks: x}", &spec).message()),
              HasSubstr("got: x"));
  EXPECT_THAT(std::string(SetField("training.slowdowns.factor=4", &spec).message()),
              HasSubstr("\"training.slowdowns\" is a list"));
}

TEST(Comparable, OtherNetworksAndSlowdownsAreNamed) {
  RunSpec a = Spec({"strategy.solo={}"});
  RunSpec b = Spec({"strategy.all_reduce={}", "training.slowdowns={ranks: 1 factor: 2}"});
  EXPECT_THAT(std::string(CheckComparable(a, b).message()),
              HasSubstr("training.slowdowns is [] in \"solo\" and [{ranks: 1 factor: 2}]"));
  b = Spec({"strategy.all_reduce={}", "transport.network.latency_ms=1"});
  EXPECT_THAT(std::string(CheckComparable(a, b).message()),
              HasSubstr("transport.network.latency_ms is not set"));
}

TEST(NetworkText, IsReadAndToldInTheSameUnits) {
  TransportSpec transport;
  ASSERT_TRUE(ReadNetwork("100mbit, 5ms", &transport).ok());
  EXPECT_EQ(transport.network().megabits_per_second(), 100);
  EXPECT_EQ(transport.network().latency_ms(), 5);
  EXPECT_FALSE(transport.network().has_jitter_ms());
  EXPECT_EQ(NetworkText(transport), "100 Mbit/s, 5 ms");
  ASSERT_TRUE(ReadNetwork("2.5gbit/s,50us,20us", &transport).ok());
  EXPECT_EQ(NetworkText(transport), "2500 Mbit/s, 0.05 ms, up to 0.02 ms more");
  ASSERT_TRUE(ReadNetwork("1s", &transport).ok());
  EXPECT_EQ(transport.network().latency_ms(), 1000);
  ASSERT_TRUE(ReadNetwork("none", &transport).ok());
  ASSERT_TRUE(ReadNetwork("1gbit,racks:2:100mbit:1ms:first", &transport).ok());
  EXPECT_EQ(transport.network().racks().workers_each(), 2);
  EXPECT_EQ(transport.network().racks().uplink_megabits_per_second(), 100);
  EXPECT_EQ(transport.network().racks().uplink_latency_ms(), 1);
  EXPECT_EQ(transport.network().racks().servers(), RacksSpec::FIRST_RACK);
  EXPECT_EQ(NetworkText(transport),
            "1000 Mbit/s, racks of 2 behind 100 Mbit/s and 1 ms more, servers in the first");
  ASSERT_TRUE(ReadNetwork("racks:4", &transport).ok());
  EXPECT_EQ(NetworkText(transport), "1000 Mbit/s, racks of 4");
  ASSERT_TRUE(ReadNetwork("none", &transport).ok());
  EXPECT_EQ(NetworkText(transport), "");
  for (const char* text : {"", "100", "fast", "5ms,1ms,1ms", "1mbit,2mbit", "mbit",
                           "racks:", "racks:2:fast", "racks:2:1ms:2ms", "racks:2,racks:3"}) {
    EXPECT_THAT(std::string(ReadNetwork(text, &transport).message()), HasSubstr("100mbit,5ms"))
        << text;
    EXPECT_FALSE(transport.has_network()) << text;
  }
}

TEST(RackGrid, IsReadAndSaysHowManyWorkers) {
  RunSpec spec;
  ASSERT_TRUE(ReadNetwork("1gbit,50us", spec.mutable_transport()).ok());
  ASSERT_TRUE(ReadRackGrid("8x4, uplink=10gbit/s,latency=20us,servers=first", &spec).ok());
  EXPECT_EQ(spec.training().workers(), 32);
  EXPECT_EQ(NetworkText(spec.transport()),
            "1000 Mbit/s, 0.05 ms, racks of 4 behind 10000 Mbit/s and 0.02 ms more, servers in the "
            "first");
  ASSERT_TRUE(ReadRackGrid("2x16", &spec).ok());
  EXPECT_EQ(NetworkText(spec.transport()), "1000 Mbit/s, 0.05 ms, racks of 16");
  const std::string before = SerializeRunSpec(spec);
  EXPECT_THAT(std::string(ReadRackGrid("5x6", &spec).message()),
              HasSubstr("hold 30 workers, and the run has 32"));
  for (const char* text : {"", "8", "8x", "x8", "0x8", "8x-1", "8x8,10gbit", "8x8,uplink=1ms",
                           "uplink=10gbit", "8x8,servers=last", "8x8,8x8", "70000x70000"}) {
    EXPECT_EQ(ReadRackGrid(text, &spec).code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(SerializeRunSpec(spec), before);
}

TEST(ComputeText, SaysWhatIsMadeUp) {
  EXPECT_EQ(ComputeText(Spec({}).training()), "");
  EXPECT_EQ(
      ComputeText(
          Spec({"training.emulated_compute.milliseconds=2.5",
                "training.slowdowns=[{ranks: [0, 1] factor: 4}, {ranks: 1 random {probability: 0.1 "
                "milliseconds: 5}}]"})
              .training()),
      "emulated, 2.5 ms a batch, slowed: rank 0,1 4 times as long; rank 1 5 ms late in 10 % of "
      "steps");
}

}  // namespace
}  // namespace ringmaster
