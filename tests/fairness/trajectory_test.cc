// Synchronous runs follow one trajectory: the whole training loop, in process, judged by the checks that
// `ringmaster verify` makes of real runs.

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "experiments/verify/plan.h"
#include "experiments/verify/record_checks.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_transport.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"

namespace ringmaster {
namespace {

std::vector<RunRecord> RunAll(const std::vector<RunSpec>& specs, const RunSeams& seams = {}) {
  std::vector<RunRecord> records;
  for (const RunSpec& spec : specs) records.push_back(RunInProcess(spec, seams));
  return records;
}

void ExpectOk(const absl::StatusOr<std::string>& figure) { EXPECT_TRUE(figure.ok()) << figure.status(); }

// Gives way a random number of times before each send, so that messages arrive in another order in every run.
class UnrulyTransport : public ForwardingTransport {
 public:
  UnrulyTransport(Transport& real, uint64_t seed) : ForwardingTransport(real), random_(seed) {}

  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    for (uint64_t turns = random_.Below(40); turns > 0; --turns) std::this_thread::yield();
    return real_.StartSend(to, tag, payload);
  }

 private:
  Random random_;  // a worker sends from its exchange thread alone
};

TEST(TwoWorkers, EndWithTheSameBitsOnMnistUnderEverySynchronousScheme) {
  const char* dir = std::getenv("RINGMASTER_MNIST_DIR");
  ASSERT_NE(dir, nullptr) << "./test names the folder with MNIST in RINGMASTER_MNIST_DIR";
  DataSpec data;
  data.set_name("mnist");
  data.set_dir(dir);
  data.set_train_limit(6500);
  data.set_test_limit(100);
  const auto specs = TwoWorkerRuns(data, "cpu", 1);
  ASSERT_TRUE(specs.ok()) << specs.status();
  ASSERT_EQ(specs->size(), 7u);
  for (const RunSpec& spec : *specs) ASSERT_GE(spec.training().steps(), 100);
  const std::vector<RunRecord> records = RunAll(*specs);
  ExpectOk(CheckSameWeights(records));
  ExpectOk(CheckSameBatches(records));
  ExpectOk(CheckPayload(records));
}

class Workers : public testing::TestWithParam<int32_t> {};
INSTANTIATE_TEST_SUITE_P(ThreeToEight, Workers, testing::Range(3, 9), WorkersName);

TEST_P(Workers, WithExactSumsEndWithTheSameBitsUnderEverySchemeInAnyOrderOfArrival) {
  RunSpec base = SmallSpec(GetParam(), true);
  std::vector<RunSpec> specs = {base};
  const std::vector<const char*> arms = {"dp", "ps", "ps-sharded", "ring", "direct", "reduce-broadcast"};
  for (size_t i = 0; i < arms.size(); ++i) {
    base.mutable_training()->set_bucket_bytes(i % 2 == 0 ? 4 * 767 : 1024);
    base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    specs.push_back(ArmOf(arms[i], base));
  }
  RunSeams seams;
  seams.wrap = [](int32_t rank, Transport& real) { return std::make_unique<UnrulyTransport>(real, 100 + rank); };
  const std::vector<RunRecord> records = RunAll(specs, seams);
  ExpectOk(CheckSameWeights(records));
  ExpectOk(CheckSameBatches(records));
  ExpectOk(CheckPayload(records));
}

TEST_P(Workers, WithOrdinarySumsStayWithinTheBoundOfTheirRoundingAndRepeat) {
  const auto specs = RoundedSumRuns(GetParam(), 1);
  ASSERT_TRUE(specs.ok()) << specs.status();
  const std::vector<RunRecord> records = RunAll(*specs);
  ExpectOk(CheckWeightsClose(records));
  ExpectOk(CheckSameBatches(records));
  // The order of addition is the schedule's, so even rounded sums repeat.
  for (size_t i = 0; i < specs->size(); ++i) ExpectOk(CheckSameWeights({records[i], RunInProcess((*specs)[i])}));
}

TEST(OrdinarySums, OfThreeWorkersDependOnTheirOrderSoExactOnesProveSomething) {
  const RunSpec base = SmallSpec(3, false);
  EXPECT_FALSE(CheckSameWeights(RunAll({base, ArmOf("ring", base)})).ok());
  ExpectOk(CheckSameWeights(RunAll({base, ArmOf("direct", base)})));  // adds in rank order, as single does
}

TEST(Codecs, LeaveAllRanksOfAnAllReduceWithTheSameBits) {
  const auto specs = CodecRuns(1);
  ASSERT_TRUE(specs.ok()) << specs.status();
  for (const RunSpec& spec : *specs) {
    const RunRecord record = RunInProcess(spec);
    ExpectOk(CheckSameWeights({record}));
    ExpectOk(CheckPayload({record}));
  }
}

}  // namespace
}  // namespace ringmaster
