// Losses at any moment of a run that forms its group anew, from one seed each: processes die, fall
// silent, report consequences and get ready in any order. What must hold is checked after every
// event.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/control/control_core.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

constexpr int kSeeds = 3000;
constexpr int kEvents = 200;

ControlRules RandomRules(Random* random) {
  ControlRules rules = RulesOf(static_cast<int32_t>(2 + random->Below(4)));
  rules.losses.then = AfterLoss::kReform;
  rules.losses.reform_limit = absl::Seconds(15);
  return rules;
}

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed)
      : random_(seed), rules_(RandomRules(&random_)), run_(rules_), processes_(rules_.processes) {}

  void Play() {
    for (int event = 0; event < kEvents && !testing::Test::HasFailure(); ++event) {
      if (random_.Below(5) == 0) run_.Pass(absl::Milliseconds(random_.Below(500)));
      if (run_.core().is_over()) break;
      Happen(static_cast<int32_t>(random_.Below(processes_.size())));
      Check();
    }
    run_.Pass(rules_.losses.reform_limit + rules_.silence_limit + absl::Seconds(10));
    EXPECT_TRUE(run_.core().is_over());
    Check();
  }

  absl::Status end() const { return run_.failure(); }
  bool did_form_anew() const { return formations_ > 0; }

 private:
  struct Process {
    bool attached = true, dead = false, silent = false;
    int32_t epoch = 0;   // of the formation that it is in
    int32_t wanted = 0;  // of that which it has been told to get ready for
    bool ready = false;  // it has said so, of `wanted`
    bool finished = false;
    std::set<int64_t> steps;  // that it last offered
    size_t heard = 0;         // messages that it has dealt with
    bool is_out = false;      // it has heard of its end
  };

  void Happen(int32_t index) {
    Process& process = processes_[index];
    if (process.dead) {
      // Its stream breaks later than whoever started it says that it has ended, or before.
      if (process.attached && random_.Below(3) == 0) {
        run_.Leave(index);
        process.attached = false;
      }
      return;
    }
    if (random_.Below(60) == 0) return Die(index);
    if (random_.Below(80) == 0) process.silent = true;
    if (process.silent || process.is_out) return;
    const bool regroups = process.wanted > process.epoch;
    switch (random_.Below(6)) {
      case 0:
        if (regroups && !process.ready) return GetReady(index);
        if (!regroups) run_.Arrive(index, "a barrier");
        return;
      case 1:
        if (regroups) return run_.Fail(index, absl::CancelledError("a consequence"));
        if (!process.finished && random_.Below(4) == 0) {
          process.finished = true;
          run_.Finish(index);
        }
        return;
      default:
        return run_.Beat(index, static_cast<int64_t>(random_.Below(100)), "forward");
    }
  }

  void Die(int32_t index) {
    Process& process = processes_[index];
    process.dead = true;
    if (random_.Below(2) == 0) run_.witness.ended[1000 + index] = "signal 9 (Killed)";
    if (random_.Below(2) == 0) {
      run_.NoteEnd(index, "exit code 3");
    } else {
      run_.Leave(index);
      process.attached = false;
    }
  }

  void GetReady(int32_t index) {
    Process& process = processes_[index];
    const auto step = static_cast<int64_t>(random_.Below(8) == 0 ? 4 : 5);
    process.steps = {step, step + 1};
    process.ready = true;
    run_.GetReady(index, process.wanted, {step, step + 1});
  }

  void Check() {
    for (int32_t i = 0; i < rules_.processes; ++i) Hear(i);
    const std::vector<Loss> losses = run_.core().Losses();
    const std::vector<ProcessState> states = run_.core().Processes();
    const auto lost = std::count_if(states.begin(), states.end(),
                                    [](const ProcessState& state) { return state.lost; });
    EXPECT_EQ(lost, static_cast<int64_t>(losses.size()));
    if (!run_.core().is_over() || !run_.failure().ok()) return;
    EXPECT_EQ(run_.core().Result()->size(), processes_.size() - losses.size());
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (states[i].lost) continue;
      EXPECT_TRUE(processes_[i].finished) << i << " had not finished in the last formation";
      EXPECT_EQ(processes_[i].epoch, formations_) << i;
    }
  }

  // Process `index` deals with what it was sent.
  void Hear(int32_t index) {
    Process& process = processes_[index];
    for (; process.heard < run_.heard(index).size(); ++process.heard) {
      const ToProcess& message = run_.heard(index)[process.heard];
      EXPECT_FALSE(process.is_out) << "process " << index << " hears more after its end";
      if (message.has_abort() || message.has_goodbye()) process.is_out = true;
      if (message.has_regroup()) {
        EXPECT_GT(message.regroup().epoch(), process.wanted);
        process.wanted = message.regroup().epoch();
        process.ready = process.finished = false;
      }
      if (message.has_welcome() && message.welcome().epoch() > 0) {
        EXPECT_EQ(message.welcome().epoch(), process.wanted);
        EXPECT_TRUE(process.ready) << index << " was not ready";
        EXPECT_EQ(process.steps.count(message.welcome().step()), 1u) << index;
        ExpectIsWhole(message.welcome());
        process.epoch = process.wanted;
        formations_ = std::max(formations_, process.epoch);
      }
    }
  }

  // Of workers with ranks in order, and nobody who is known to be lost.
  void ExpectIsWhole(const Welcome& welcome) const {
    for (int32_t rank = 0; rank < welcome.processes_size(); ++rank) {
      ASSERT_EQ(welcome.processes(rank).nodes_size(), 1);
      EXPECT_EQ(welcome.processes(rank).nodes(0).index(), rank);
      EXPECT_EQ(welcome.processes(rank).nodes_before_size(), 1);
    }
    EXPECT_GE(welcome.processes_size(), 1);
  }

  Random random_;
  const ControlRules rules_;
  FormedRun run_;
  std::vector<Process> processes_;
  int32_t formations_ = 0;
};

TEST(CoreLossesAtRandom, ThoseLeftGoOnTogetherOrTheRunEnds) {
  int formed_anew = 0, done = 0, failed = 0;
  for (uint64_t seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomRun run(seed);
    run.Play();
    formed_anew += run.did_form_anew() ? 1 : 0;
    ++(run.end().ok() ? done : failed);
  }
  if (HasFailure()) return;
  // Each kind of run was among them.
  EXPECT_GE(formed_anew, kSeeds / 10);
  EXPECT_GE(done, kSeeds / 100);
  EXPECT_GE(failed, kSeeds / 100);
}

}  // namespace
}  // namespace ringmaster
