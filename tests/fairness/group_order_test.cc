// In which order workers stand in groups decides who sends to whom, and never what is trained: the
// whole training loop, in process, in several orders.

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/codec/codec.h"
#include "common/config/describe.h"
#include "common/config/resolve.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/hosts/record_hosts.h"
#include "experiments/proof/verify/record_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr int32_t kWorkers = 4;
constexpr char kByRank[] = "0,1,2,3";

bool HasOrder(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && TakesGroupOrder(arm.traits);
}

// `exact_sums`: gradients' sums do not depend on their order.
RunSpec SpecOf(const std::string& arm, bool exact_sums, int32_t workers = kWorkers) {
  RunSpec base = SmallSpec(workers, exact_sums);
  base.mutable_training()->set_steps(6);
  base.mutable_training()->set_warmup_steps(0);
  base.mutable_training()->set_bucket_bytes(4 * 767);
  base.mutable_training()->set_evaluate_every_samples(2 * GlobalBatch(base));
  if (DescribeArm(arm).codec.in_rounds)
    base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  RunSpec spec = ArmOf(arm, base);
  ExchangeOften(&spec);
  return spec;
}

RunRecord RunIn(const std::string& order, RunSpec spec, const RunSeams& seams = {}) {
  spec.mutable_strategy()->set_group_order(order);
  RunRecord record = RunInProcess(spec, seams);
  EXPECT_EQ(record.status(), "ok") << spec.name() << " " << order;
  return record;
}

// Of the weights of all workers; one: they have the same.
std::set<std::string> HashesOf(const RunRecord& record) {
  std::set<std::string> hashes;
  if (record.reports().empty()) return hashes;
  for (const WorkerReport& worker : record.reports(0).workers())
    hashes.insert(worker.weights_sha256());
  return hashes;
}

// Losses at the marks, which are those of the whole model.
std::vector<double> MarksOf(const RunRecord& record) {
  std::vector<double> losses;
  for (const Evaluation& mark : record.reports(0).workers(0).evaluations())
    losses.push_back(mark.test_loss());
  return losses;
}

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(InOrders, EveryArm, testing::ValuesIn(ArmsThat(HasOrder)),
                         [](const auto& info) { return TestName(info.param); });

// What is gathered is added by rank; what is summed in fewer bits, or from averages of weights, is
// rounded on the way.
TEST_P(EveryArm, WithExactSumsHasTheBitsOfTheOrderOfRanksInAnyOrder) {
  const ArmUnderTest arm = DescribeArm(GetParam());
  if (arm.codec.in_rounds || (!arm.codec.exact && arm.codec.summable_as.has_value()) ||
      arm.traits.exchanged != Exchanged::kGradients) {
    GTEST_SKIP() << "its sums are rounded";
  }
  const RunSpec spec = SpecOf(GetParam(), true);
  const RunRecord by_rank = RunIn(kByRank, spec);
  EXPECT_EQ(HashesOf(by_rank).size(), 1u);
  EXPECT_EQ(MarksOf(by_rank).size(), 3u);
  for (const char* order : {"0,2,1,3", "3,2,1,0", "0,2|1,3", "2|0,3,1"}) {
    const RunRecord record = RunIn(order, spec);
    EXPECT_EQ(HashesOf(record), HashesOf(by_rank)) << order;
    EXPECT_EQ(MarksOf(record), MarksOf(by_rank)) << order;
  }
}

TEST_P(EveryArm, ThatGathersAddsByRankInAnyOrder) {
  const ArmUnderTest arm = DescribeArm(GetParam());
  if (arm.codec.exact || arm.codec.in_rounds || arm.codec.summable_as.has_value())
    GTEST_SKIP() << "it sums on the way";
  RunSpec spec = SpecOf(GetParam(), false);
  // So that more than two encodings have most elements: the sum of two has no order.
  if (spec.codec().has_density()) spec.mutable_codec()->set_density(0.9);
  const RunRecord by_rank = RunIn(kByRank, spec);
  for (const char* order : {"0,2,1,3", "3,2,1,0", "2|0,3,1"})
    EXPECT_EQ(HashesOf(RunIn(order, spec)), HashesOf(by_rank)) << order;
}

TEST_P(EveryArm, LeavesAllWorkersWithTheSameBitsAndBytesOfTheFormula) {
  const RunSpec spec = SpecOf(GetParam(), false);
  const bool are_equal = TraitsOf(spec).replicas != Replicas::kOnAverage;
  for (const char* order : {"0,2,1,3", "3,1,0,2"}) {
    const RunRecord record = RunIn(order, spec);
    if (are_equal) EXPECT_EQ(HashesOf(record).size(), 1u) << order;
    const auto payload = CheckPayload({record});
    EXPECT_TRUE(payload.ok()) << order << ": " << payload.status();
  }
}

TEST_P(EveryArm, ByRanksByHostsOfOneAndWithoutAWordIsTheSame) {
  const RunSpec spec = SpecOf(GetParam(), false);
  const RunRecord by_rank = RunIn(kByRank, spec);
  for (const char* order : {"", "ranks", "hosts"})
    EXPECT_EQ(HashesOf(RunIn(order, spec)), HashesOf(by_rank)) << order;
}

// Of a run of which it is known which worker was on which host.
RunRecord RunOnHosts(const std::vector<int32_t>& hosts, const RunSpec& spec) {
  RunRecord record = RunInProcess(FormedSpec(spec, hosts));
  *record.mutable_spec() = spec;
  for (const int32_t host : hosts) record.add_hosts(host);
  return record;
}

TEST(GroupsOfHosts, SendTheBytesOfTheFormulaWhereverHostsLie) {
  const std::vector<std::vector<int32_t>> clusters = {
      {0, 0, 1, 1},       {0, 1, 0, 1},       {0, 0, 0, 1, 1, 1},       {0, 1, 1, 0, 1, 0},
      {0, 0, 0, 0, 1, 1}, {0, 1, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 0, 1, 1}, {0, 0, 1}};
  for (const std::vector<int32_t>& hosts : clusters) {
    const auto workers = static_cast<int32_t>(hosts.size());
    for (const char* arm : {"hierarchical", "ring", "sharded-optimizer", "delayed", "local-sgd"}) {
      RunSpec spec = SpecOf(arm, true, workers);
      if (spec.strategy().has_local_sgd())
        spec.mutable_strategy()->mutable_local_sgd()->set_collective("hierarchical");
      const RunRecord record = RunOnHosts(hosts, spec);
      EXPECT_EQ(record.status(), "ok");
      EXPECT_EQ(HashesOf(record).size(), 1u);
      const auto payload = CheckPayload({record});
      EXPECT_TRUE(payload.ok()) << arm << ": " << payload.status();
    }
  }
}

TEST(GroupsOfHosts, AreNotThoseOfOneHostSoTheFormulaNeedsThem) {
  RunRecord record = RunOnHosts({0, 0, 0, 0, 1, 1}, SpecOf("hierarchical", true, 6));
  EXPECT_EQ(HostsText(record), "2: worker/0-3, worker/4-5; groups of 2");
  record.clear_hosts();
  EXPECT_THAT(CheckPayload({record}).status().message(), HasSubstr("the formula says"));
}

TEST(HostsOfARecord, AreNamedByWhoRanThere) {
  RunRecord record;
  *record.mutable_spec() = ArmOf("ps-sharded", SmallSpec(3, false));
  const auto text = [&record](const std::vector<int32_t>& hosts) {
    record.clear_hosts();
    for (const int32_t host : hosts) record.add_hosts(host);
    return HostsText(record);
  };
  EXPECT_EQ(text({0, 1, 1}), "2: worker/0+server/0, worker/1-2+server/1-2");
  EXPECT_EQ(text({0, 1, 0}), "2: worker/0+worker/2+server/0+server/2, worker/1+server/1");
  EXPECT_EQ(text({0, 0, 0}), "") << "one host";
  EXPECT_EQ(text({}), "") << "nobody knows";
}

// The optimizer's state of a shard is its worker's, wherever that stands.
TEST(ShardedOptimizer, GoesOnInItsOrderAndInAnother) {
  RunSpec spec = SpecOf("sharded-optimizer", true);
  spec.mutable_optimizer()->set_name("adam");
  spec = *Resolve(spec, {});
  spec.mutable_training()->set_steps(10);
  const RunRecord whole = RunIn("0,2,1,3", spec);
  RunSpec half = spec;
  half.mutable_training()->set_steps(5);
  ClusterState middle;
  RunSeams ends;
  ends.end = &middle;
  RunIn("0,2,1,3", half, ends);
  RunSeams goes_on;
  goes_on.from = &middle;
  for (const char* order : {"0,2,1,3", kByRank, "3,0,2,1"})
    EXPECT_EQ(HashesOf(RunIn(order, spec, goes_on)), HashesOf(whole)) << order;
  // So it has state, and each worker's own.
  std::swap(middle.workers[1], middle.workers[2]);
  EXPECT_NE(HashesOf(RunInProcess(spec, goes_on)), HashesOf(whole));
}

}  // namespace
}  // namespace ringmaster
