// What a server keeps of its weights at marks.
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/update/update_rule.h"
#include "gtest/gtest.h"
#include "server/server_core.h"
#include "server/shard_core.h"
#include "tests/support/allocations.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int32_t kWorkers = 2;
const std::vector<int64_t> kParts = {3, 0, 4};
constexpr int64_t kCount = 7;

ShardPlan Plan(bool together, std::vector<int64_t> marks) {
  ShardPlan plan;
  plan.workers = kWorkers;
  plan.contributions_per_update = together ? kWorkers : 1;
  if (together) plan.staleness_bound = 0;
  plan.global_batch = 8;
  plan.part_counts = kParts;
  plan.marks = std::move(marks);
  return plan;
}

std::unique_ptr<UpdateRule> Rule(bool clips) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(0.1f);
  if (clips) spec.set_clip_norm(0.5f);
  return *CreateUpdateRule(spec, {kCount});
}

// A shard whose parts are pushed in random order, and what every part was after each update.
class Shard {
 public:
  Shard(bool together, bool clips, std::vector<int64_t> marks)
      : core_(Plan(together, std::move(marks)), Rule(clips), Floats(kCount, 1.0f)) {
    core_.UseCopies(ShardCore::CopiesOf(core_.plan()));
    for (int32_t part = 0; part < 3; ++part) Keep(part);
  }

  // `steps` of all workers, each next push any that its worker may make.
  void Push(int64_t steps, uint64_t seed) {
    Random random(seed);
    steps_ += steps;
    for (int64_t left = steps * kWorkers * 3; left > 0; --left) {
      Attempt(random);
    }
  }

  ShardCore& core() { return core_; }
  const Floats& After(int32_t part, int64_t update) { return after_[part][update]; }

 private:
  void Attempt(Random& random) {
    for (;;) {
      const auto worker = static_cast<int32_t>(random.Below(kWorkers));
      const auto part = static_cast<int32_t>(random.Below(3));
      const int64_t step = pushed_[worker][part];
      if (step == steps_) continue;
      Floats gradient(kParts[part]);
      for (float& value : gradient) value = random.Normal();
      kept_.push_back(std::move(gradient));
      ready_.clear();
      const int64_t before = ThreadAllocations();
      const bool taken =
          core_.OnPush({worker, part, step, core_.versions()[part], kept_.back()}, &ready_).ok();
      if (!taken) continue;  // the update of the step before is not done
      if (warm_) {
        EXPECT_EQ(ThreadAllocations(), before) << "a push allocated";
      }
      ++pushed_[worker][part];
      for (const int32_t updated : core_.updated()) Keep(updated);
      warm_ = core_.versions()[0] > 1;
      return;
    }
  }
  void Keep(int32_t part) {
    const auto weights = core_.part_weights(part);
    after_[part].emplace_back(weights.begin(), weights.end());
  }

  ShardCore core_;
  bool warm_ = false;
  int64_t steps_ = 0;  // that every worker makes
  int64_t pushed_[kWorkers][3] = {};
  std::vector<Floats> kept_;  // summed up until the update is done
  std::vector<Reply> ready_;
  std::vector<Floats> after_[3];  // by part and version
};

struct Way {
  bool together = false;
  bool clips = false;
};
constexpr Way kWays[] = {{true, false}, {true, true}, {false, false}};

TEST(ShardMarks, EveryPartIsCopiedRightAfterItsUpdateWhateverTheOrderAndNothingIsAllocated) {
  for (const Way& way : kWays) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const int64_t last = way.together ? 10 : 20;
      Shard shard(way.together, way.clips, {1, 4, 5, last});
      EXPECT_FALSE(shard.core().HasCopy(0));
      shard.Push(10, seed);
      for (int32_t mark = 0; mark < 3; ++mark) {
        ASSERT_TRUE(shard.core().HasCopy(mark)) << mark;
        for (int32_t part = 0; part < 3; ++part) {
          const auto copy = shard.core().part_at_mark(mark, part);
          EXPECT_EQ(Floats(copy.begin(), copy.end()),
                    shard.After(part, shard.core().plan().marks[mark]))
              << "mark " << mark << " part " << part << " seed " << seed;
        }
      }
      EXPECT_FALSE(shard.core().HasCopy(3)) << "after the last mark the weights lie still";
    }
  }
}

TEST(ShardMarks, ACopyIsThereWhenTheLastPartHasPassedTheMarkAndThatPushSaysSo) {
  ShardCore core(Plan(false, {2, 9}), Rule(false), Floats(kCount, 1.0f));
  core.UseCopies(ShardCore::CopiesOf(core.plan()));
  const auto push = [&core](int32_t worker, int32_t part) {
    std::vector<Reply> ready;
    const Floats gradient(kParts[part], 1.0f);
    EXPECT_TRUE(core.OnPush({worker, part, 0, core.versions()[part], gradient}, &ready).ok());
    return core.passed_mark();
  };
  EXPECT_EQ(push(0, 0), std::nullopt);
  EXPECT_EQ(push(1, 0), 0);
  EXPECT_EQ(push(0, 1), std::nullopt);
  EXPECT_EQ(push(0, 2), std::nullopt);
  EXPECT_EQ(push(1, 1), 0);
  EXPECT_FALSE(core.HasCopy(0));
  EXPECT_EQ(push(1, 2), 0);
  EXPECT_TRUE(core.HasCopy(0));
}

TEST(ShardMarks, AShardThatGoesOnFromAStateHasTheLaterMarksAlone) {
  for (const Way& way : kWays) {
    Shard first(way.together, way.clips, {});
    first.Push(3, 1);
    const absl::StatusOr<State> state = first.core().Give();
    ASSERT_TRUE(state.ok()) << state.status();
    Shard second(way.together, way.clips, {2, 7, 20});
    ASSERT_TRUE(second.core().Take(*state).ok());
    EXPECT_FALSE(second.core().HasCopy(0));
    std::vector<Reply> ready;
    Floats gradients[3];
    for (int32_t part = 0; part < 3; ++part) gradients[part].assign(kParts[part], 0.5f);
    for (int64_t step = 3; step < 7; ++step) {
      for (int32_t part = 0; part < 3; ++part) {
        for (int32_t worker = 0; worker < kWorkers; ++worker) {
          ASSERT_TRUE(
              second.core()
                  .OnPush({worker, part, step, second.core().versions()[part], gradients[part]},
                          &ready)
                  .ok());
        }
      }
    }
    EXPECT_FALSE(second.core().HasCopy(0));
    EXPECT_TRUE(second.core().HasCopy(1));
  }
}

TEST(ShardMarks, MemoryIsTakenAtTheStartAndGivenUpMarkByMark) {
  const ShardPlan plan = Plan(false, {1, 2, 3, 8});
  SnapshotStore copies = ShardCore::CopiesOf(plan);
  EXPECT_EQ(copies.marks(), 3);
  EXPECT_EQ(copies.bytes(), 3 * kCount * 4);
  ShardCore core(plan, Rule(false), Floats(kCount, 1.0f));
  EXPECT_EQ(core.copies().bytes(), 0);
  core.UseCopies(std::move(copies));
  core.FreeCopiesBefore(1);
  EXPECT_EQ(core.copies().bytes(), 2 * kCount * 4);
  EXPECT_FALSE(core.HasCopy(0));
  core.FreeCopiesBefore(100);
  EXPECT_EQ(core.copies().bytes(), 0);
}

class Server {
 public:
  Server() : weights_(kCount, 1.0f), core_(ServingOf(), Rule(false), absl::MakeSpan(weights_)) {
    core_.UseCopies(ShardCore::CopiesOf(core_.plan().shard));
    core_.Start(&actions_);
  }
  absl::Status Push(int32_t worker, int32_t part, int64_t step) {
    actions_.clear();
    const Floats gradient(kParts[part], 1.0f);
    return core_.OnPush({worker, part, step, core_.shard().versions()[part], gradient}, &actions_);
  }
  absl::Status Ask(int32_t worker, int32_t mark) {
    actions_.clear();
    PullNote note;
    note.mark = mark;
    return core_.OnRequest(worker, DecodePullNote(EncodePullNote(note)), &actions_);
  }
  absl::Status Leave(int32_t worker) {
    PullNote note;
    note.farewell = true;
    return core_.OnRequest(worker, DecodePullNote(EncodePullNote(note)), &actions_);
  }
  const std::vector<ServerAction>& actions() const { return actions_; }
  const ServerCore& core() const { return core_; }

 private:
  static ServingPlan ServingOf() {
    ServingPlan plan;
    plan.shard = Plan(false, {2, 4, 6});
    return plan;
  }

  Floats weights_;
  ServerCore core_;
  std::vector<ServerAction> actions_;
};

TEST(ServerMarks, ACopyIsSentPartByPartOnceItIsCompleteAndGivenUpWhenAllHaveAskedForALaterOne) {
  Server server;
  EXPECT_EQ(server.Ask(0, 0).code(), absl::StatusCode::kFailedPrecondition);
  for (int64_t step = 0; step < 3; ++step) {
    for (int32_t worker = 0; worker < kWorkers; ++worker) {
      for (int32_t part = 0; part < 3; ++part) ASSERT_TRUE(server.Push(worker, part, step).ok());
    }
  }
  EXPECT_EQ(server.Ask(0, 2).code(), absl::StatusCode::kFailedPrecondition);  // the last
  Server fresh;
  for (int64_t step = 0; step < 3; ++step) {
    for (int32_t worker = 0; worker < kWorkers; ++worker) {
      for (int32_t part = 0; part < 3; ++part) ASSERT_TRUE(fresh.Push(worker, part, step).ok());
    }
  }
  ASSERT_TRUE(fresh.Ask(0, 0).ok());
  ASSERT_EQ(fresh.actions().size(), 5u);  // three parts, the end, the next request
  for (int32_t part = 0; part < 3; ++part) {
    const ServerAction& action = fresh.actions()[part];
    EXPECT_EQ(action.kind, ServerAction::Kind::kSend);
    EXPECT_EQ(action.tag.kind, MessageKind::kDrain);
    EXPECT_EQ(action.tag.bucket, part);
    EXPECT_EQ(action.tag.note, 2);
    EXPECT_EQ(action.mark, 0);
  }
  EXPECT_EQ(fresh.actions()[3].tag.kind, MessageKind::kPull);
  EXPECT_EQ(fresh.actions()[4].kind, ServerAction::Kind::kExpect);
  EXPECT_FALSE(fresh.core().IsSending(0, 0));
  ASSERT_TRUE(fresh.Ask(0, 1).ok());
  EXPECT_TRUE(fresh.core().shard().HasCopy(0)) << "worker/1 has not asked for it";
  ASSERT_TRUE(fresh.Ask(1, 1).ok());
  EXPECT_FALSE(fresh.core().shard().HasCopy(0));
  EXPECT_EQ(fresh.Ask(1, 0).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(fresh.Leave(0).ok());
  EXPECT_TRUE(fresh.core().shard().HasCopy(1));
  ASSERT_TRUE(fresh.Leave(1).ok());
  EXPECT_EQ(fresh.core().shard().copies().bytes(), 0);
}

}  // namespace
}  // namespace ringmaster
