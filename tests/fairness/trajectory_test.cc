// Synchronous runs follow one trajectory: the whole training loop, in process, judged by the checks
// that `ringmaster verify` makes of real runs.

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "common/transport/forwarding.h"
#include "experiments/proof/verify/plan.h"
#include "experiments/proof/verify/record_checks.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

std::vector<RunRecord> RunAll(const std::vector<RunSpec>& specs, const RunSeams& seams = {}) {
  std::vector<RunRecord> records;
  for (const RunSpec& spec : specs) records.push_back(RunInProcess(spec, seams));
  return records;
}

void ExpectOk(const absl::StatusOr<std::string>& figure) {
  EXPECT_TRUE(figure.ok()) << figure.status();
}

// Gives way a random number of times before each send, so that messages arrive in another order in
// every run.
class UnrulyTransport : public ForwardingTransport {
 public:
  UnrulyTransport(Transport& real, uint64_t seed) : ForwardingTransport(real), random_(seed) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    for (uint64_t turns = random_.Below(40); turns > 0; --turns) std::this_thread::yield();
    return below_.Send(message);
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
  ASSERT_EQ(specs->size(), 17u);
  for (const RunSpec& spec : *specs) ASSERT_GE(spec.training().steps(), 100);
  const std::vector<RunRecord> records = RunAll(*specs);
  ExpectOk(CheckSameWeights(records));
  ExpectOk(CheckSameBatches(records));
  ExpectOk(CheckPayload(records));
}

// A model and samples for it, small enough for a run in a second.
struct SmallCase {
  const char* name;
  const char* model;
  const char* samples;
};

class TwoWorkersOfAModel : public testing::TestWithParam<SmallCase> {};
INSTANTIATE_TEST_SUITE_P(
    Small, TwoWorkersOfAModel,
    testing::Values(
        SmallCase{"Cnn", "name: 'cnn' dropout: 0.2", "channels: 2 height: 8 width: 8"},
        SmallCase{"BatchNorm", "name: 'resnet' resnet { blocks: 1 width: 4 norm: 'batch' }",
                  "channels: 3 height: 11 width: 10"},
        SmallCase{"GroupNorm",
                  "name: 'resnet' resnet { blocks: 1 width: 4 norm: 'group' groups: 2 }",
                  "channels: 3 height: 8 width: 8"},
        SmallCase{"Transformer",
                  "name: 'transformer' transformer { layers: 2 width: 16 heads: 2 } dropout: 0.1",
                  "context: 12 classes: 23"},
        SmallCase{
            "TiedTransformer",
            "name: 'transformer' transformer { layers: 1 width: 12 heads: 3 tied_head: true }",
            "context: 9 classes: 23"}),
    [](const auto& info) { return info.param.name; });

TEST_P(TwoWorkersOfAModel, EndWithTheSameBitsUnderEverySynchronousScheme) {
  RunSpec base = SmallSpec(3, false);
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(GetParam().model, base.mutable_model()));
  SyntheticSpec* samples = base.mutable_data()->mutable_synthetic();
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().samples, samples));
  samples->set_train_samples(61);  // 12 steps of 8 cross the border of an epoch
  samples->set_test_samples(9);
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_batch_per_worker(4);
  base.mutable_training()->set_steps(12);
  base.mutable_training()->clear_warmup_steps();
  base.mutable_training()->set_report_weights(false);
  base.mutable_training()->set_bucket_bytes(4 * 767);  // tensors are cut
  std::vector<RunSpec> specs;
  for (const std::string& arm : ArmsThat(HasOneTrajectory)) specs.push_back(ArmOf(arm, base));
  base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  for (const std::string& arm : ArmsThat(ExchangesOnOneTrajectory)) {
    specs.push_back(ArmOf(arm, base));
    specs.back().set_name(specs.back().name() + " whole tensors");
  }
  const std::vector<RunRecord> records = RunAll(specs);
  ExpectOk(CheckSameWeights(records));
  ExpectOk(CheckSameBatches(records));
  ExpectOk(CheckPayload(records));
}

class Workers : public testing::TestWithParam<int32_t> {};
INSTANTIATE_TEST_SUITE_P(ThreeToEight, Workers, testing::Range(3, 9), WorkersName);

TEST_P(Workers, WithExactSumsEndWithTheSameBitsUnderEverySchemeInAnyOrderOfArrival) {
  RunSpec base = SmallSpec(GetParam(), true);
  std::vector<RunSpec> specs = {base};
  const std::vector<std::string> arms = ArmsThat(ExchangesOnOneTrajectory);
  for (size_t i = 0; i < arms.size(); ++i) {
    base.mutable_training()->set_bucket_bytes(i % 2 == 0 ? 4 * 767 : 1024);
    base.mutable_strategy()->mutable_parameter_server()->set_servers(2);
    specs.push_back(ArmOf(arms[i], base));
  }
  RunSeams seams;
  seams.wrap = [](int32_t rank, Transport& real) {
    return std::make_unique<UnrulyTransport>(real, 100 + rank);
  };
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
  for (size_t i = 0; i < specs->size(); ++i)
    ExpectOk(CheckSameWeights({records[i], RunInProcess((*specs)[i])}));
}

TEST(OrdinarySums, OfThreeWorkersDependOnTheirOrderSoExactOnesProveSomething) {
  const RunSpec base = SmallSpec(3, false);
  EXPECT_FALSE(CheckSameWeights(RunAll({base, ArmOf("ring", base)})).ok());
  // adds in rank order, as single does
  ExpectOk(CheckSameWeights(RunAll({base, ArmOf("direct", base)})));
}

TEST(EmulatedGradients, AreTheSameWhoeverComputesThem) {
  RunSpec base = SmallSpec(3, true);
  base.mutable_training()->set_accumulate(2);
  base.mutable_training()->set_report_weights(false);
  base.mutable_training()->set_evaluate_every_samples(0);
  base.mutable_training()->mutable_emulated_compute()->set_milliseconds(0.1);
  std::vector<RunSpec> specs;
  for (const std::string& arm : ArmsThat(HasOneTrajectory)) specs.push_back(ArmOf(arm, base));
  ASSERT_GE(specs.size(), 3u);
  const std::vector<RunRecord> records = RunAll(specs);
  ExpectOk(CheckSameWeights(records));
  base.mutable_training()->set_steps(base.training().steps() + 1);
  const RunRecord longer = RunInProcess(ArmOf("ring", base));
  EXPECT_FALSE(CheckSameWeights({records.front(), longer}).ok()) << "a step moves the weights";
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
