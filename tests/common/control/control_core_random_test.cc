// Events in any order that streams and clocks may bring them, from one seed each. What must hold of
// every run is checked after every event, against what the test itself has seen.
#include <algorithm>
#include <map>
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
constexpr int kEvents = 150;
constexpr int32_t kProcessesMax = 5;
const char* const kBarriers[] = {"a", "b"};

ControlRules RandomRules(Random* random) {
  ControlRules rules = RulesOf(static_cast<int32_t>(1 + random->Below(kProcessesMax)));
  rules.starting_limit = random->Below(2) == 0 ? absl::ZeroDuration() : absl::Seconds(30);
  rules.waits.wait = absl::Seconds(5);
  return rules;
}

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed)
      : random_(seed), rules_(RandomRules(&random_)), run_(rules_), processes_(rules_.processes) {
    // How often each of these comes: one event in this many is one; 0: none is.
    strangers_ = OneIn(10);
    deaths_ = OneIn(40);
    failures_ = OneIn(30);
    silences_ = OneIn(30);
  }

  void Play() {
    for (int event = 0; event < kEvents && !testing::Test::HasFailure(); ++event) {
      if (random_.Below(4) == 0) Pass(absl::Milliseconds(random_.Below(600)));
      Happen();
      Check();
    }
    // From here on nobody says a word: every wait has its limit.
    const absl::Duration longest =
        std::max(rules_.join_limit, std::max(rules_.starting_limit, rules_.silence_limit));
    Pass(longest + rules_.cause_time);
    EXPECT_TRUE(run_.core().is_over());
    Check();
  }

  // The code of the run's end, for the census.
  absl::StatusCode end() const { return end_ ? end_->code() : absl::StatusCode::kUnknown; }

 private:
  struct Process {
    bool attached = false;
    bool joined = false;
    bool finished = false;
    bool spoke = false;   // after the end
    bool silent = false;  // says nothing any more
    MonotonicTime heard;
    std::optional<MonotonicTime> lost;
    std::set<std::string> waits_at;       // barriers
    std::map<std::string, int> releases;  // that it must have heard
  };

  uint64_t OneIn(uint64_t count) { return random_.Below(2) == 0 ? 0 : count; }
  bool Comes(uint64_t one_in) { return one_in > 0 && random_.Below(one_in) == 0; }
  bool AnyLost() const {
    return std::any_of(processes_.begin(), processes_.end(),
                       [](const Process& process) { return process.lost.has_value(); });
  }

  void Pass(absl::Duration time) { run_.Pass(time); }

  // The run was not over, and `why` must have ended it at once.
  void ExpectEndedBy(bool was_over, const absl::Status& why) {
    if (!was_over) {
      EXPECT_EQ(run_.failure(), why);
    }
  }

  void Happen() {
    const auto index = static_cast<int32_t>(random_.Below(processes_.size()));
    Process& process = processes_[index];
    const bool was_over = run_.core().is_over();
    if (Comes(strangers_)) return ComeAStranger(index);
    if (!process.joined) return Join(index);
    if (!process.attached) return;
    if (was_over && random_.Below(3) == 0) return SayLastWords(index);
    if (Comes(deaths_)) return Die(index);
    if (Comes(silences_)) process.silent = true;
    if (process.silent) return;
    process.heard = run_.now();
    if (Comes(failures_)) return Fail(index, was_over);
    switch (random_.Below(6)) {
      case 0:
        if (run_.formed() && !process.finished && random_.Below(3) == 0) {
          process.finished = true;
          run_.Finish(index);
          break;
        }
        [[fallthrough]];
      case 1:
        return Arrive(index);
      default:
        run_.Beat(index, random_.Below(100), "forward");
    }
  }

  void ComeAStranger(int32_t index) {
    const bool was_over = run_.core().is_over();
    ringmaster::Join join = JoinOf(index, rules_.processes);
    if (random_.Below(8) == 0) {
      // One of this run that does not fit, unless its place is taken.
      join.set_spec_fingerprint(8);
      const absl::Status answer = run_.Join(join);
      EXPECT_FALSE(answer.ok());
      if (!processes_[index].joined) ExpectEndedBy(was_over, answer);
      return;
    }
    run_.ComeAStranger(join);
    EXPECT_EQ(run_.core().is_over(), was_over);
  }

  void Join(int32_t index) {
    Process& process = processes_[index];
    const bool was_over = run_.core().is_over();
    const absl::Status answer = run_.Join(index);
    EXPECT_EQ(answer.ok(), !was_over);
    if (was_over) return;
    process.joined = process.attached = true;
    process.heard = run_.now();
  }

  void SayLastWords(int32_t index) {
    run_.SayLastWords(index, 4);
    processes_[index].spoke = true;
  }

  void Die(int32_t index) {
    Process& process = processes_[index];
    const bool was_over = run_.core().is_over();
    switch (random_.Below(3)) {
      case 0:
        run_.NoteEnd(index, "exit code 3");
        if (!was_over && !process.finished) {
          EXPECT_TRUE(absl::IsUnavailable(run_.failure()));
        }
        return;
      case 1:
        run_.witness.ended[1000 + index] = "signal 9 (Killed)";
        break;
      default:
        break;
    }
    run_.Leave(index);
    process.attached = false;
    if (!process.finished && !was_over) process.lost = run_.now();
  }

  void Fail(int32_t index, bool was_over) {
    const bool may_be_explained = AnyLost();
    const absl::Status why = random_.Below(2) == 0
                                 ? absl::InternalError(absl::StrCat("failure ", ++failures_said_))
                                 : absl::UnavailableError("a connection is lost");
    run_.Fail(index, why);
    if (absl::IsInternal(why) && !may_be_explained) return ExpectEndedBy(was_over, why);
    EXPECT_EQ(run_.core().is_over(), was_over);
    if (!was_over && !may_be_explained && !suspected_at_) suspected_at_ = run_.now();
  }

  void Arrive(int32_t index) {
    Process& process = processes_[index];
    const std::string barrier = kBarriers[random_.Below(2)];
    const bool was_over = run_.core().is_over();
    // Who comes before the welcome is not counted.
    if (run_.formed()) process.waits_at.insert(barrier);
    run_.Arrive(index, barrier);
    const auto waits = [&](const Process& each) { return each.waits_at.count(barrier) > 0; };
    if (was_over || !std::all_of(processes_.begin(), processes_.end(), waits)) return;
    for (Process& each : processes_) {
      each.waits_at.erase(barrier);
      if (each.attached) ++each.releases[barrier];
    }
  }

  void Check() {
    const ControlCore& core = run_.core();
    const auto all = [this](bool Process::*is) {
      return std::all_of(processes_.begin(), processes_.end(),
                         [is](const Process& process) { return process.*is; });
    };
    // The membership is formed once, when all have joined.
    if (!core.is_over()) {
      EXPECT_EQ(run_.formed(), all(&Process::joined));
    }
    if (core.is_over()) {
      EXPECT_EQ(core.wake(), MonotonicTime::InfiniteFuture());
      const absl::Status end = core.Result().status();
      if (end_) {
        EXPECT_EQ(end, *end_) << "a second end";
      }
      end_ = end;
      if (end.ok()) {
        EXPECT_TRUE(all(&Process::finished));
      }
    } else {
      EXPECT_FALSE(all(&Process::finished));
      CheckLimits();
    }
    for (int32_t i = 0; i < rules_.processes; ++i) CheckWhatWasHeard(i);
    CheckLastWords();
  }

  // They are complete exactly when all who are there have spoken, and each is told once that it was
  // heard.
  void CheckLastWords() {
    const bool formed = std::all_of(processes_.begin(), processes_.end(),
                                    [](const Process& process) { return process.joined; });
    const bool failed = end_ && !end_->ok() && formed;
    bool all = true;
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (processes_[i].attached && !processes_[i].spoke) all = false;
      EXPECT_EQ(run_.Count(static_cast<int32_t>(i), ToProcess::kNoted),
                formed && processes_[i].spoke ? 1 : 0);
    }
    EXPECT_EQ(run_.core().has_last_words(), end_.has_value() && (!failed || all));
    if (end_) {
      EXPECT_EQ(run_.core().GatherLastWords(run_.now()).size(), failed ? processes_.size() : 0);
    }
  }

  // Nothing that has a limit has waited for longer.
  void CheckLimits() {
    for (const Process& process : processes_) {
      if (process.lost) {
        EXPECT_LT(run_.now() - *process.lost, rules_.cause_time);
      }
      if (AnyLost() || process.finished || !run_.formed()) continue;
      EXPECT_LT(run_.now() - process.heard, rules_.silence_limit);
    }
    if (suspected_at_ && !AnyLost()) {
      EXPECT_LT(run_.now() - *suspected_at_, rules_.settle_time);
    }
  }

  void CheckWhatWasHeard(int32_t index) {
    const Process& process = processes_[index];
    const std::vector<ToProcess>& heard = run_.heard(index);
    if (!process.joined) {
      EXPECT_TRUE(heard.empty());
      return;
    }
    ASSERT_FALSE(heard.empty());
    EXPECT_TRUE(heard.front().has_admitted());
    EXPECT_EQ(run_.Count(index, ToProcess::kAdmitted), 1);
    EXPECT_LE(run_.Count(index, ToProcess::kWelcome), 1);
    std::map<std::string, int> releases;
    for (const ToProcess& message : heard) {
      if (message.has_release()) ++releases[message.release().barrier()];
    }
    EXPECT_EQ(releases, process.releases);
    // Who is there when the run ends hears so once, and nothing after it.
    if (!end_) {
      EXPECT_EQ(run_.Ends(index), 0);
      return;
    }
    EXPECT_LE(run_.Ends(index), 1);
    if (process.attached) {
      EXPECT_EQ(run_.Ends(index), 1);
    }
    if (run_.Ends(index) == 0) return;
    const auto is_end = [](const ToProcess& message) { return !message.has_noted(); };
    const ToProcess& last = *std::find_if(heard.rbegin(), heard.rend(), is_end);
    EXPECT_EQ(last.has_goodbye(), end_->ok());
    if (!end_->ok()) {
      EXPECT_EQ(StatusOf(last.abort()), *end_);
    }
  }

  Random random_;
  const ControlRules rules_;
  CoreRun run_;
  std::vector<Process> processes_;
  uint64_t strangers_, deaths_, failures_, silences_;
  int failures_said_ = 0;
  std::optional<MonotonicTime> suspected_at_;
  std::optional<absl::Status> end_;
};

TEST(ControlCoreAtRandom, EveryRunHasOneEndWithinItsLimitsAndAllWhoAreThereHearIt) {
  std::map<absl::StatusCode, int> ends;
  for (uint64_t seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomRun run(seed);
    run.Play();
    ++ends[run.end()];
  }
  if (HasFailure()) return;
  // Every kind of end was among them.
  for (const auto code :
       {absl::StatusCode::kOk, absl::StatusCode::kInternal, absl::StatusCode::kUnavailable,
        absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kInvalidArgument}) {
    EXPECT_GE(ends[code], kSeeds / 100) << absl::StatusCodeToString(code);
  }
}

}  // namespace
}  // namespace ringmaster
