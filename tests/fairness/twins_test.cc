// A check that cannot fail is a defect: runs that are broken on purpose, each beside its honest
// twin, and the checks that must tell them apart.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/transport/forwarding.h"
#include "experiments/proof/verify/record_checks.h"
#include "experiments/proof/verify/start_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/example_strategy/example_strategy.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

void ExpectFails(const absl::StatusOr<std::string>& figure, const std::string& naming) {
  EXPECT_EQ(figure.status().code(), absl::StatusCode::kFailedPrecondition) << figure.status();
  EXPECT_THAT(std::string(figure.status().message()), HasSubstr(naming));
}

// Divides every gradient by N once more.
class ScalesTwice : public ForwardingStrategy {
 public:
  ScalesTwice(std::unique_ptr<SyncStrategy> real, int32_t workers)
      : ForwardingStrategy(std::move(real)), workers_(workers) {}
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    for (float& value : gradient.host()) value /= static_cast<float>(workers_);
    return real_->GradReady(step, bucket, gradient);
  }

 private:
  const int32_t workers_;
};

// Takes one message of one step and bucket elsewhere, so that its chunk is missing where it should
// have gone.
class DropsAChunk : public ForwardingTransport {
 public:
  DropsAChunk(Transport& real, int32_t round) : ForwardingTransport(real), round_(round) {}

  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    const Tag& tag = message.tag;
    if (tag.step != 7 || tag.bucket != 1 || tag.round != round_)
      return below_.Receive(message.WithoutLoan());
    nowhere_.resize(message.out.size());
    return below_.Receive({message.from, tag, absl::MakeSpan(nowhere_)});
  }

 private:
  const int32_t round_;
  std::vector<std::byte> nowhere_;
};

RunSeams DropInRound(int32_t round) {
  RunSeams seams;
  seams.wrap = [round](int32_t rank, Transport& real) -> std::unique_ptr<Transport> {
    return rank == 1 ? std::make_unique<DropsAChunk>(real, round) : nullptr;
  };
  return seams;
}

class Twins : public testing::Test {
 protected:
  const RunSpec exact_ = SmallSpec(3, true);
  const RunSpec ring_ = ArmOf("ring", exact_);
  const RunRecord single_ = RunInProcess(exact_);
  const RunRecord honest_ = RunInProcess(ring_);
};

TEST_F(Twins, HonestOnesPassEveryCheck) {
  for (const auto& figure :
       {CheckSameWeights({single_, honest_}), CheckSameBatches({single_, honest_}),
        CheckPayload({single_, honest_})}) {
    EXPECT_TRUE(figure.ok()) << figure.status();
  }
}

TEST_F(Twins, WrongScalingShowsInTheWeights) {
  RunSeams seams;
  seams.create_strategy =
      [](const WorkerLink& link) -> absl::StatusOr<std::unique_ptr<SyncStrategy>> {
    auto real = CreateStrategy(link);
    if (!real.ok()) return real.status();
    return std::make_unique<ScalesTwice>(*std::move(real), link.workers);
  };
  const RunRecord broken = RunInProcess(ring_, seams);
  ASSERT_EQ(broken.status(), "ok");
  EXPECT_TRUE(CheckSameWeights({broken}).ok());  // its own replicas agree
  ExpectFails(CheckSameWeights({single_, broken}), "worker/0 of \"ring N=3\" ended with weights");
  const RunSpec rounded = SmallSpec(3, false);
  ExpectFails(
      CheckWeightsClose({RunInProcess(rounded), RunInProcess(ArmOf("ring", rounded), seams)}),
      "the bound for 3");
}

TEST_F(Twins, AnotherLearningRateOnOneRankShowsInTheReplicas) {
  RunSeams seams;
  seams.edit = [](int32_t rank, RunSpec* spec) {
    if (rank == 2) spec->mutable_optimizer()->set_learning_rate(0.1001f);
  };
  ExpectFails(CheckSameWeights({RunInProcess(ring_, seams)}), "worker/2");
}

TEST_F(Twins, AChunkDroppedFromTheSumShowsAgainstSingle) {
  const RunRecord broken = RunInProcess(ring_, DropInRound(0));
  ASSERT_EQ(broken.status(), "ok");
  EXPECT_TRUE(CheckSameWeights({broken}).ok());  // all ranks got the same wrong sum
  ExpectFails(CheckSameWeights({single_, broken}), "worker/0 of \"ring N=3\"");
  // One chunk of one bucket in one of twenty steps is more than rounding.
  const RunSpec rounded = SmallSpec(3, false);
  ExpectFails(CheckWeightsClose(
                  {RunInProcess(rounded), RunInProcess(ArmOf("ring", rounded), DropInRound(0))}),
              "lies");
}

TEST_F(Twins, AChunkDroppedOnTheWayBackShowsInTheReplicas) {
  const RunRecord broken = RunInProcess(ring_, DropInRound(3));
  ASSERT_EQ(broken.status(), "ok");
  ExpectFails(CheckSameWeights({broken}), "worker/1");
}

TEST_F(Twins, AnotherDataOrderOnOneRankShowsInTheBatchesAndInTheWeights) {
  RunSeams seams;
  seams.edit = [](int32_t rank, RunSpec* spec) {
    if (rank == 1) spec->mutable_data()->set_seed(2);
  };
  const RunRecord broken = RunInProcess(ring_, seams);
  ExpectFails(CheckSameBatches({single_, broken}), "rank 1 saw batches");
  ExpectFails(CheckSameWeights({single_, broken}), "ended with weights");
}

TEST_F(Twins, BatchesSwappedBetweenRanksShowAlthoughTheirSumIsTheSame) {
  RunRecord swapped = honest_;
  ProcessReport* report = swapped.mutable_reports(0);
  const uint64_t first = report->workers(0).batch_log_fingerprints(0);
  report->mutable_workers(0)->set_batch_log_fingerprints(
      0, report->workers(1).batch_log_fingerprints(0));
  report->mutable_workers(1)->set_batch_log_fingerprints(0, first);
  EXPECT_TRUE(CheckSameWeights({single_, swapped}).ok());
  ExpectFails(CheckSameBatches({single_, swapped}), "rank 0 saw batches");
}

TEST_F(Twins, ABatchLogThatIsMissingShows) {
  RunRecord missing = honest_;
  missing.mutable_reports(0)->mutable_workers(2)->clear_batch_log_fingerprints();
  ExpectFails(CheckSameBatches({single_, missing}), "2 of 3 ranks");
}

TEST_F(Twins, ARankThatKeepsItsUndecodedSumDriftsFromTheOthers) {
  RunSpec spec = ArmOf("ring-fp16", SmallSpec(3, false));
  for (const bool broken : {false, true}) {
    RunSeams seams;
    seams.create_strategy = [broken](const WorkerLink& link) {
      return CreateExampleStrategy(link, {broken && link.rank == 1});
    };
    const RunRecord record = RunInProcess(spec, seams);
    ASSERT_EQ(record.status(), "ok");
    if (broken) {
      ExpectFails(CheckSameWeights({record}), "worker/1");
    } else {
      EXPECT_TRUE(CheckSameWeights({record}).ok()) << CheckSameWeights({record}).status();
    }
  }
}

TEST_F(Twins, AByteMoreOrLessInAnyDirectionShows) {
  for (const int delta : {-1, 1}) {
    RunRecord up = honest_, down = honest_, index = honest_, idle = single_;
    up.mutable_reports(0)->mutable_workers(2)->set_payload_bytes_up(
        honest_.reports(0).workers(2).payload_bytes_up() + delta);
    ExpectFails(CheckPayload({up}), "worker/2 of \"ring N=3\" metered");
    down.mutable_reports(0)->mutable_workers(1)->set_payload_bytes_down(
        honest_.reports(0).workers(1).payload_bytes_down() + delta);
    ExpectFails(CheckPayload({down}), "payload bytes down");
    index.mutable_reports(0)->mutable_workers(0)->set_index_bytes_up(delta);
    ExpectFails(CheckPayload({index}), "payload index bytes up");
    idle.mutable_reports(0)->mutable_workers(0)->set_payload_bytes_up(delta);
    ExpectFails(CheckPayload({honest_, idle}), "\"single N=3\"");
  }
}

TEST_F(Twins, ARunThatFailedOrIsIncompletePassesNothing) {
  RunRecord failed = honest_;
  failed.set_status("UNAVAILABLE: worker/1 is gone");
  RunRecord shorter = honest_;
  shorter.mutable_reports(0)->mutable_workers(1)->mutable_step_loss()->RemoveLast();
  RunRecord fewer = honest_;
  fewer.mutable_reports(0)->mutable_workers()->RemoveLast();
  const std::pair<RunRecord, const char*> broken[] = {
      {failed, "worker/1 is gone"}, {shorter, "19 steps of 20"}, {fewer, "each of 3 workers"}};
  for (const auto& [record, naming] : broken) {
    ExpectFails(CheckSameWeights({single_, record}), naming);
    ExpectFails(CheckSameBatches({single_, record}), naming);
    ExpectFails(CheckPayload({single_, record}), naming);
    ExpectFails(CheckWeightsClose({record, record}), naming);
  }
}

TEST(Start, IsRefusedWithUnequalWeightsByNameAndGrantedWithEqualOnes) {
  EXPECT_TRUE(StartWith(5, 5).ok());
  const absl::Status refused = StartWith(5, 6);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("starts from another set of weights"));
  EXPECT_TRUE(CheckStart().ok());
}

}  // namespace
}  // namespace ringmaster
