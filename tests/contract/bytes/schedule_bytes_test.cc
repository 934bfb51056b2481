// A collective's bytes are those of its formula and its result is the sum; a schedule that drops a
// chunk fails both.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/params/param_layout.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "experiments/proof/verify/payload_formula.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

struct RankResult {
  absl::Status status;
  std::vector<float> sum;
  Traffic traffic;
};

// Element i of rank r is a whole number: sums are exact in any order.
float Element(int32_t rank, int64_t i) { return static_cast<float>((i + 1) * (rank + 2) % 1001); }

// All-reduces `count` elements once on the in-process fabric.
absl::StatusOr<std::vector<RankResult>> Run(const Schedule& schedule, int32_t ranks,
                                            int64_t count) {
  FabricOptions options;
  options.name = "inproc";
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Fabric> fabric, CreateFabric(options));
  ProcessAddress all;
  for (int32_t rank = 0; rank < ranks; ++rank) all.nodes.push_back({Role::kWorker, rank});
  RM_RETURN_IF_ERROR(fabric->Connect({all}, 0, MonotonicNow() + Patience(60)));
  std::vector<RankResult> results(ranks);
  std::vector<std::thread> threads;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      RankResult& result = results[rank];
      for (int64_t i = 0; i < count; ++i) result.sum.push_back(Element(rank, i));
      const auto metered = CreateMeteredTransport(fabric->transport({Role::kWorker, rank}), *fabric,
                                                  [](NodeId) { return false; });
      CollectiveExecutor executor(*metered, AllWorkers(ranks), Patience(60));
      result.status =
          executor.AllReduce(schedule, 0, 0, ElementType::kFloat32,
                             absl::MakeSpan(reinterpret_cast<std::byte*>(result.sum.data()),
                                            result.sum.size() * sizeof(float)));
      result.traffic = metered->traffic();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

absl::Status CheckBytes(const RankResult& result, const Payload& formula) {
  int64_t up = 0, down = 0;
  for (const auto& [kind, count] : result.traffic.sent) up += count.payload_bytes;
  for (const auto& [kind, count] : result.traffic.received) down += count.payload_bytes;
  if (up == formula.up && down == formula.down) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("bytes: ", up, " up and ", down,
                                                    " down, the formula says ", formula.up, " and ",
                                                    formula.down));
}

absl::Status CheckSum(const RankResult& result, int32_t ranks) {
  for (size_t i = 0; i < result.sum.size(); ++i) {
    float expected = 0;
    for (int32_t rank = 0; rank < ranks; ++rank) expected += Element(rank, static_cast<int64_t>(i));
    if (result.sum[i] == expected) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("sum: element ", i, " is ", result.sum[i], ", expected ", expected));
  }
  return absl::OkStatus();
}

// The first rank whose bytes are not `collective`'s, or else whose result is not the sum.
absl::Status CheckSchedule(const Schedule& schedule, const std::string& collective, int32_t ranks,
                           int64_t count) {
  RunSpec spec;
  spec.mutable_training()->set_workers(ranks);
  spec.mutable_strategy()->mutable_all_reduce()->set_collective(collective);
  spec.mutable_codec()->set_name("none");
  Param param;
  param.name = "weights";
  param.shape = {count};
  const ParamLayout layout({param}, count);
  RM_ASSIGN_OR_RETURN(const std::vector<RankResult> results, Run(schedule, ranks, count));
  absl::Status bytes, sum;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    RM_RETURN_IF_ERROR(results[rank].status);
    RM_ASSIGN_OR_RETURN(const Payload formula, PayloadFormula(spec, layout, rank, 1));
    bytes.Update(Annotate(CheckBytes(results[rank], formula), absl::StrCat("rank ", rank)));
    sum.Update(Annotate(CheckSum(results[rank], ranks), absl::StrCat("rank ", rank)));
  }
  if (bytes.ok()) return sum;
  return sum.ok()
             ? bytes
             : absl::FailedPreconditionError(absl::StrCat(bytes.message(), "; ", sum.message()));
}

// -1: nobody sends in that round.
int32_t LastSender(const Schedule& schedule, int32_t ranks, int32_t round) {
  int32_t sender = -1;
  for (int32_t rank = 0; rank < ranks; ++rank) {
    for (const Step& step : schedule.StepsOf(rank, ranks)) {
      if (step.round == round && step.op == Step::Op::kSend) sender = rank;
    }
  }
  return sender;
}

// Another schedule without the messages that `drops` names, on both sides.
class DropsChunk : public Schedule {
 public:
  DropsChunk(const Schedule& schedule, int32_t from, int32_t round)
      : schedule_(schedule), from_(from), round_(round) {}

  absl::string_view name() const override { return schedule_.name(); }
  int32_t chunks(int32_t ranks) const override { return schedule_.chunks(ranks); }
  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    std::vector<Step> kept;
    for (const Step& step : schedule_.StepsOf(rank, ranks)) {
      const bool dropped =
          step.round == round_ && (step.op == Step::Op::kSend ? rank : step.peer) == from_;
      if (!dropped) kept.push_back(step);
    }
    return kept;
  }

 private:
  const Schedule& schedule_;
  const int32_t from_;
  const int32_t round_;
};

// Another schedule that adds one rank's message twice: it is sent once more, in a round of its own
// at the end.
class SendsTwice : public Schedule {
 public:
  explicit SendsTwice(const Schedule& schedule) : schedule_(schedule) {}

  absl::string_view name() const override { return schedule_.name(); }
  int32_t chunks(int32_t ranks) const override { return schedule_.chunks(ranks); }
  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    std::vector<Step> steps = schedule_.StepsOf(rank, ranks);
    const int32_t round = 1000;
    if (rank == 0) steps.push_back({Step::Op::kSend, 1, 0, 1, round});
    if (rank == 1) steps.push_back({Step::Op::kReceiveAdd, 0, 0, 1, round});
    return steps;
  }

 private:
  const Schedule& schedule_;
};

TEST(ScheduleBytes, AreTheFormulaAndTheResultIsTheSumForOneToEightRanks) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = CreateSchedule(info.name);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    for (int32_t ranks = 1; ranks <= 8; ++ranks) {
      for (const int64_t count : {1, 3, 8, 101}) {
        EXPECT_EQ(CheckSchedule(**schedule, info.name, ranks, count), absl::OkStatus())
            << info.name << " N=" << ranks << " " << count << " elements";
      }
    }
  }
}

TEST(ScheduleBytes, CheckFindsADroppedChunkInTheBytesAndInTheSum) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = CreateSchedule(info.name);
    for (const int32_t round : {0, 1, 2}) {
      // The last rank that sends in that round: not every rank does in every schedule.
      const int32_t from = LastSender(**schedule, 4, round);
      if (from < 0) continue;  // halving_doubling folds nothing in at N = 4: it has no round 0
      const absl::Status status =
          CheckSchedule(DropsChunk(**schedule, from, round), info.name, 4, 101);
      EXPECT_THAT(std::string(status.message()), HasSubstr("bytes: "))
          << info.name << " round " << round;
      EXPECT_THAT(std::string(status.message()), HasSubstr("sum: "))
          << info.name << " round " << round;
    }
  }
}

TEST(ScheduleBytes, CheckFindsAMessageThatIsSentAndAddedTwice) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = CreateSchedule(info.name);
    const absl::Status status = CheckSchedule(SendsTwice(**schedule), info.name, 3, 101);
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 0: bytes: ")) << info.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1: sum: ")) << info.name;
  }
}

}  // namespace
}  // namespace ringmaster
