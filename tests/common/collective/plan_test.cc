#include "common/collective/plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/collective/binomial_tree.h"
#include "common/collective/halves.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Ints = std::vector<int64_t>;

// An element of these tests is an int64: 8 bytes, so that a piece of 64 bytes has 8 of them.
constexpr int64_t kElementBytes = 8;
constexpr int64_t kPieceBytes = 64;

std::unique_ptr<Schedule> Create(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Schedule>> schedule = CreateSchedule(name);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

// Runs the plans of all ranks on integers, operation by operation, in a random order that the plans
// allow: a send reads when it ends, a receive writes when it ends, and both hold their memory from
// start to end. Fails the test when two operations hold memory that one of them writes, when
// messages do not pair, or when something is never started.
class Simulation {
 public:
  Simulation(const Schedule& schedule, std::vector<Ints> data, uint64_t seed)
      : random_(seed), ranks_(static_cast<int32_t>(data.size())), data_(std::move(data)) {
    for (int32_t rank = 0; rank < ranks_; ++rank) {
      plans_.push_back(MakePlan(schedule, {rank, ranks_, static_cast<int64_t>(data_[0].size()),
                                           kElementBytes, kPieceBytes}));
      scratch_.emplace_back(plans_[rank].scratch_bytes / kElementBytes, 0);
      waits_.emplace_back();
      running_.emplace_back();
      for (int32_t op = 0; op < static_cast<int32_t>(plans_[rank].ops.size()); ++op) {
        waits_[rank].push_back(plans_[rank].ops[op].waits_for);
        if (waits_[rank].back() == 0) Start(rank, op);
      }
    }
  }

  std::vector<Ints> Run() {
    for (;;) {
      std::vector<std::pair<int32_t, int32_t>> able;
      for (int32_t rank = 0; rank < ranks_; ++rank) {
        for (const int32_t op : running_[rank]) {
          if (CanEnd(rank, plans_[rank].ops[op])) able.push_back({rank, op});
        }
      }
      if (able.empty()) break;
      const auto [rank, op] = able[random_.Below(able.size())];
      End(rank, op);
    }
    for (int32_t rank = 0; rank < ranks_; ++rank) {
      EXPECT_TRUE(running_[rank].empty()) << "rank " << rank << " waits for ever";
      EXPECT_EQ(ended_[rank], plans_[rank].ops.size()) << "rank " << rank << " has not started all";
    }
    EXPECT_TRUE(flying_.empty()) << "a message is received by nobody";
    return data_;
  }

 private:
  using MessageKey = std::tuple<int32_t, int32_t, int, int>;  // from, to, round, piece

  static bool IsMessage(const PlanOp& op) { return op.kind != PlanOp::Kind::kAdd; }
  static bool IsSend(const PlanOp& op) { return op.kind == PlanOp::Kind::kSend; }

  static bool Overlap(bool a_scratch, int64_t a, bool b_scratch, int64_t b, int64_t a_bytes,
                      int64_t b_bytes) {
    return a_scratch == b_scratch && a < b + b_bytes && b < a + a_bytes;
  }
  // Whether both may run at once.
  static bool Apart(const PlanOp& a, const PlanOp& b) {
    if (!(IsSend(a) && IsSend(b)) &&
        Overlap(a.to_scratch, a.to, b.to_scratch, b.to, a.bytes, b.bytes))
      return false;
    if (!IsMessage(a) && Overlap(true, a.from, b.to_scratch, b.to, a.bytes, b.bytes)) return false;
    return IsMessage(b) || !Overlap(a.to_scratch, a.to, true, b.from, a.bytes, b.bytes);
  }

  void Start(int32_t rank, int32_t op) {
    for (const int32_t other : running_[rank]) {
      EXPECT_TRUE(Apart(plans_[rank].ops[op], plans_[rank].ops[other]))
          << "rank " << rank << ": operation " << op << " starts while " << other
          << " has its memory";
    }
    running_[rank].push_back(op);
  }

  bool CanEnd(int32_t rank, const PlanOp& op) const {
    return IsSend(op) || !IsMessage(op) || flying_.count({op.peer, rank, op.round, op.piece}) > 0;
  }

  void End(int32_t rank, int32_t index) {
    const PlanOp& op = plans_[rank].ops[index];
    const int64_t count = op.bytes / kElementBytes;
    int64_t* to = (op.to_scratch ? scratch_ : data_)[rank].data() + op.to / kElementBytes;
    if (IsSend(op)) {
      EXPECT_TRUE(op.bytes > 0);
      EXPECT_TRUE(
          flying_.emplace(MessageKey{rank, op.peer, op.round, op.piece}, Ints(to, to + count))
              .second)
          << "two messages of one name from " << rank << " to " << op.peer;
    } else if (IsMessage(op)) {
      const auto message = flying_.find({op.peer, rank, op.round, op.piece});
      EXPECT_EQ(static_cast<int64_t>(message->second.size()), count);
      for (int64_t i = 0; i < count; ++i) {
        to[i] = message->second[i] + (op.kind == PlanOp::Kind::kReceiveAdd ? to[i] : 0);
      }
      flying_.erase(message);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] += scratch_[rank][op.from / kElementBytes + i];
    }
    running_[rank].erase(std::find(running_[rank].begin(), running_[rank].end(), index));
    ++ended_[rank];
    for (int32_t i = op.next_begin; i < op.next_end; ++i) {
      if (--waits_[rank][plans_[rank].next[i]] == 0) Start(rank, plans_[rank].next[i]);
    }
  }

  Random random_;
  const int32_t ranks_;
  std::vector<Ints> data_;
  std::vector<Ints> scratch_;
  std::vector<Plan> plans_;
  std::vector<std::vector<int32_t>> waits_;
  std::vector<std::vector<int32_t>> running_;
  std::map<int32_t, size_t> ended_;
  std::map<MessageKey, Ints> flying_;
};

// Powers of 8 show in the sum who was added twice.
int64_t Element(int32_t rank, int64_t i) { return (int64_t{1} << (3 * rank)) * (1 + i % 3); }

std::vector<Ints> Given(int32_t ranks, int64_t count) {
  std::vector<Ints> data(ranks, Ints(count));
  for (int32_t rank = 0; rank < ranks; ++rank) {
    for (int64_t i = 0; i < count; ++i) data[rank][i] = Element(rank, i);
  }
  return data;
}

int64_t SumAt(int32_t ranks, int64_t i) {
  int64_t sum = 0;
  for (int32_t rank = 0; rank < ranks; ++rank) sum += Element(rank, i);
  return sum;
}

TEST(Plan, EveryOrderItAllowsSumsEveryElementOnceOnEveryRankAndLendsNoMemoryTwice) {
  for (const CollectiveInfo& info : Collectives()) {
    const auto schedule = Create(info.name);
    for (int32_t ranks = 1; ranks <= 17; ++ranks) {
      for (const int64_t count : {0, 1, 7, 65, 301}) {
        SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " count=", count,
                                  " seed=", ranks * 1000 + count));
        Simulation simulation(*schedule, Given(ranks, count), ranks * 1000 + count);
        for (const Ints& result : simulation.Run()) {
          for (int64_t i = 0; i < count; ++i)
            ASSERT_EQ(result[i], SumAt(ranks, i)) << "element " << i;
        }
      }
    }
  }
}

TEST(Plan, AReduceScatterLeavesRankRTheSumOfChunkRAndAnAllGatherSpreadsTheChunks) {
  for (int32_t ranks = 1; ranks <= 9; ++ranks) {
    SCOPED_TRACE(absl::StrCat("ranks=", ranks));
    Simulation scatter(*CreateReduceScatter(), Given(ranks, 101), 1);
    std::vector<Ints> data = scatter.Run();
    for (int32_t rank = 0; rank < ranks; ++rank) {
      const Range chunk = Part(101, ranks, rank);
      for (int64_t i = chunk.begin; i < chunk.end(); ++i) EXPECT_EQ(data[rank][i], SumAt(ranks, i));
    }
    Simulation gather(*CreateAllGather(), data, 2);
    for (const Ints& result : gather.Run()) {
      for (int64_t i = 0; i < 101; ++i) ASSERT_EQ(result[i], SumAt(ranks, i));
    }
  }
}

TEST(Plan, PiecesOfALargeChunkAreNearlyEqualAndNoneIsLargerThanAPiece) {
  const Plan plan = MakePlan(*Create("ring"), {0, 2, 2 * 1000, kElementBytes, 512});
  std::map<int, std::vector<int64_t>> sent;  // by round
  for (const PlanOp& op : plan.ops) {
    if (op.kind == PlanOp::Kind::kSend) sent[op.round].push_back(op.bytes);
  }
  ASSERT_EQ(sent.size(), 2u);
  for (const auto& [round, pieces] : sent) {
    EXPECT_EQ(pieces.size(), 16u) << "round " << round;  // 8000 bytes
    for (const int64_t bytes : pieces) EXPECT_LE(bytes, 512);
    EXPECT_GT(*std::min_element(pieces.begin(), pieces.end()), 256);
  }
}

TEST(Plan, APieceIsSentOnWhenItIsSummedWhateverItsNeighboursDo) {
  // Rank 0 of two: the second round's send of piece p waits for one operation, the addition of
  // piece p.
  const Plan plan = MakePlan(*Create("ring"), {0, 2, 2 * 1000, kElementBytes, 512});
  int sends = 0;
  for (const PlanOp& op : plan.ops) {
    if (op.kind != PlanOp::Kind::kSend || op.round != 1) continue;
    EXPECT_EQ(op.waits_for, 1);
    ++sends;
  }
  EXPECT_EQ(sends, 16);
  // And all additions are posted at once.
  for (const PlanOp& op : plan.ops) {
    if (op.kind == PlanOp::Kind::kReceiveAdd) {
      EXPECT_EQ(op.waits_for, 0);
    }
  }
}

TEST(Plan, WhatComesWhileTheSameMemoryIsSentWaitsInScratchUntilItHasLeft) {
  const Plan plan = MakePlan(*Create("recursive_doubling"), {0, 2, 8, kElementBytes, kPieceBytes});
  ASSERT_EQ(plan.ops.size(), 3u);
  EXPECT_EQ(plan.ops[0].kind, PlanOp::Kind::kSend);
  EXPECT_EQ(plan.ops[1].kind, PlanOp::Kind::kReceive);
  EXPECT_TRUE(plan.ops[1].to_scratch);
  EXPECT_EQ(plan.ops[1].waits_for, 0);  // posted before its bytes come
  EXPECT_EQ(plan.ops[2].kind, PlanOp::Kind::kAdd);
  EXPECT_EQ(plan.ops[2].waits_for, 2);
}

TEST(Plan, SmallChunksTravelTogether) {
  // A tree sends all chunks at once: five of two elements are one message of 80 bytes in a piece of
  // 128.
  const Plan plan = MakePlan(*Create("binomial_tree"), {1, 5, 10, kElementBytes, 128});
  ASSERT_EQ(plan.ops.size(), 2u);
  EXPECT_EQ(plan.ops[0].bytes, 80);
}

TEST(Plan, AHugeBucketHasNoMorePiecesThanATagCanName) {
  const int64_t count = int64_t{1} << 33;  // 64 GiB in pieces of 64 bytes would be 2^30 of them
  for (const char* name : {"ring", "reduce_broadcast"}) {
    const Plan plan = MakePlan(*Create(name), {1, 2, count, kElementBytes, kPieceBytes});
    int64_t bytes = 0;
    for (const PlanOp& op : plan.ops) bytes += op.kind == PlanOp::Kind::kSend ? op.bytes : 0;
    EXPECT_EQ(bytes, count * kElementBytes) << name;
    EXPECT_LE(plan.ops.size(), 4u * 65536) << name;
  }
}

// A message as both of its ends name it.
using Name = std::tuple<int32_t, int32_t, int, int>;  // from, to, round, piece

TEST(Plan, WhoAsksAndWhoIsAskedAgreeOnTheAnswerAndHoldTheSameBytes) {
  for (const CollectiveInfo& info : Collectives()) {
    for (int32_t ranks = 2; ranks <= 9; ++ranks) {
      SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks));
      std::map<Name, Name> asked, answered;  // by question
      for (int32_t rank = 0; rank < ranks; ++rank) {
        const Plan plan =
            MakePlan(*Create(info.name), {rank, ranks, 301, kElementBytes, kPieceBytes});
        const auto name = [rank](const PlanOp& op) {
          return op.kind == PlanOp::Kind::kSend ? Name(rank, op.peer, op.round, op.piece)
                                                : Name(op.peer, rank, op.round, op.piece);
        };
        for (size_t i = 0; i < plan.ops.size(); ++i) {
          const PlanOp& question = plan.ops[i];
          if (question.answer < 0) continue;
          const PlanOp& answer = plan.ops[question.answer];
          EXPECT_EQ(answer.question, static_cast<int32_t>(i));
          EXPECT_EQ(answer.bytes, question.bytes);
          EXPECT_EQ(answer.round, question.round + 1);
          if (question.kind == PlanOp::Kind::kSend) {
            EXPECT_EQ(answer.to, question.to);
            asked[name(question)] = name(answer);
          } else {
            answered[name(question)] = name(answer);
          }
        }
      }
      for (const auto& [question, answer] : asked) {
        const auto found = answered.find(question);
        ASSERT_NE(found, answered.end());
        EXPECT_EQ(found->second, answer);
      }
      // All to all, and at two ranks, every chunk is asked for and comes back, unless nothing ever
      // comes back.
      const bool exchanges = info.name == std::string("recursive_doubling");
      // Its sums come a round later.
      const bool lends_nothing = info.name == std::string("double_binary_tree");
      EXPECT_TRUE(!lends_nothing || asked.empty());
      const bool all_ask = info.name == std::string("direct") ||
                           info.name == std::string("reduce_broadcast") ||
                           (ranks == 2 && !exchanges && !lends_nothing);
      EXPECT_TRUE(!all_ask || !asked.empty());
      if (info.name == std::string("ring") && ranks > 2) {
        EXPECT_TRUE(asked.empty());
      }
      if (exchanges) {
        EXPECT_TRUE(asked.empty());
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
