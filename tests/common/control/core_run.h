#ifndef RINGMASTER_TESTS_COMMON_CONTROL_CORE_RUN_H_
#define RINGMASTER_TESTS_COMMON_CONTROL_CORE_RUN_H_

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/control/control_core.h"
#include "common/control/failures.h"
#include "gtest/gtest.h"

namespace ringmaster {

// Shows what the test says.
class FakeWitness : public Witness {
 public:
  std::set<int32_t> starting;            // indices
  std::map<int64_t, std::string> ended;  // how, by pid
  std::set<int64_t> there, suspended;    // pids
  std::string killed_for_memory;
  std::string reached_at = "127.0.0.1";
  std::map<int32_t, int> looks;              // IsStarting was asked so often
  mutable std::vector<MissingRank> missing;  // whom WhyMissing was asked about

  bool IsStarting(int32_t index) override {
    ++looks[index];
    return starting.count(index) > 0;
  }
  std::string WhyMissing(const std::vector<MissingRank>& asked) const override {
    missing = asked;
    return "who knows";
  }
  std::string HowItEnded(const Join& join) const override {
    const auto found = ended.find(join.pid());
    return found == ended.end() ? "" : found->second;
  }
  bool IsThere(const Join& join) const override { return there.count(join.pid()) > 0; }
  bool IsSuspended(const Join& join) const override { return suspended.count(join.pid()) > 0; }
  std::string KilledForMemory(const std::string&) const override { return killed_for_memory; }
  std::string ReachedAt(const std::string&) const override { return reached_at; }
};

inline ControlRules RulesOf(int32_t processes) {
  ControlRules rules;
  rules.spec_fingerprint = 7;
  rules.processes = processes;
  rules.join_limit = absl::Seconds(10);
  rules.silence_limit = absl::Seconds(3);
  return rules;
}

// Process `index` of `processes` with one worker.
inline Join JoinOf(int32_t index, int32_t processes) {
  Join join;
  join.set_process(index);
  join.set_processes(processes);
  join.set_spec_fingerprint(7);
  join.set_weights_fingerprint(11);
  join.set_layout_fingerprint(13);
  join.set_kernel_target("cpu/avx2");
  join.mutable_data()->set_train_labels("a");
  join.mutable_data()->set_classes(10);
  join.set_data_endpoint(absl::StrCat("127.0.0.1:", 4000 + index));
  join.set_pid(1000 + index);
  join.add_nodes()->set_index(index);
  return join;
}

// A core under a clock of the test's own, and what each process was sent.
class CoreRun {
 public:
  explicit CoreRun(const ControlRules& rules)
      : rules_(rules), core_(rules, now_, &witness), heard_(rules.processes) {}

  FakeWitness witness;

  ControlCore& core() { return core_; }
  const ControlCore& core() const { return core_; }
  MonotonicTime now() const { return now_; }
  const std::vector<ToProcess>& heard(int32_t process) const { return heard_[process]; }

  // How many messages of a kind a process was sent.
  int Count(int32_t process, ToProcess::KindCase kind) const {
    return static_cast<int>(
        std::count_if(heard_[process].begin(), heard_[process].end(),
                      [kind](const ToProcess& message) { return message.kind_case() == kind; }));
  }
  // Whether the membership is formed: somebody has been welcomed.
  bool formed() const {
    for (int32_t i = 0; i < rules_.processes; ++i) {
      if (Count(i, ToProcess::kWelcome) > 0) return true;
    }
    return false;
  }
  int Ends(int32_t process) const {
    return Count(process, ToProcess::kAbort) + Count(process, ToProcess::kGoodbye);
  }

  void ComeAStranger(const ringmaster::Join& join) {
    core_.OnStranger(join, absl::PermissionDeniedError("another token"));
  }

  absl::Status Join(const ringmaster::Join& join) {
    return Carry([&](ControlCore::Actions* actions) { return core_.OnJoin(join, now_, actions); });
  }
  absl::Status Join(int32_t process) { return Join(JoinOf(process, rules_.processes)); }
  void JoinAll() {
    for (int32_t i = 0; i < rules_.processes; ++i) ASSERT_TRUE(Join(i).ok());
  }

  void Say(int32_t process, const FromProcess& message) {
    Carry([&](ControlCore::Actions* actions) {
      core_.OnMessage(process, message, now_, actions);
      return absl::OkStatus();
    }).IgnoreError();
  }
  void Beat(int32_t process, int64_t step = 0, const std::string& phase = "") {
    FromProcess message;
    message.mutable_heartbeat()->set_step(step);
    message.mutable_heartbeat()->set_phase(phase);
    Say(process, message);
  }
  void Arrive(int32_t process, const std::string& barrier) {
    FromProcess message;
    message.mutable_arrive()->set_barrier(barrier);
    Say(process, message);
  }
  // Its worker, or worker `rank`, asks for lots.
  void AskForLots(int32_t process, int32_t rank, int32_t count = 1) {
    FromProcess message;
    message.mutable_lots_wanted()->set_rank(rank);
    message.mutable_lots_wanted()->set_count(count);
    Say(process, message);
  }
  void AskForLots(int32_t process) { AskForLots(process, process); }
  void Fail(int32_t process, const absl::Status& why) {
    FromProcess message;
    *message.mutable_failure() = FailureOf(why);
    Say(process, message);
  }
  // It has stopped for the formation `epoch`, and can go on before these steps.
  void GetReady(int32_t process, int32_t epoch, const std::vector<int64_t>& steps) {
    FromProcess message;
    Ready* ready = message.mutable_ready();
    ready->set_epoch(epoch);
    ready->set_data_endpoint(absl::StrCat("127.0.0.1:", 4000 + 100 * epoch + process));
    for (const int64_t step : steps) ready->add_steps(step);
    Say(process, message);
  }
  // The report names the process's worker.
  void Finish(int32_t process) {
    FromProcess message;
    message.mutable_result()->add_workers()->set_rank(process);
    Say(process, message);
  }
  // A heartbeat in which its worker waits at `step` for another.
  void SayItWaits(int32_t process, int64_t step, int32_t other) {
    FromProcess message;
    NodeActivity* node = message.mutable_heartbeat()->add_nodes();
    node->mutable_node()->set_index(process);
    node->set_state(NodeActivity::WAITS);
    node->set_step(step);
    node->set_phase("exchange");
    node->add_awaited()->mutable_peer()->set_index(other);
    Say(process, message);
  }
  // Its worker says that it is at `step`.
  void SayLastWords(int32_t process, int64_t step) {
    FromProcess message;
    NodeActivity* activity = message.mutable_last_words()->add_nodes()->mutable_activity();
    activity->mutable_node()->set_index(process);
    activity->set_step(step);
    Say(process, message);
  }
  void Leave(int32_t process) { core_.OnStreamEnd(process, now_); }

  void NoteEnd(int32_t process, const std::string& how) {
    Carry([&](ControlCore::Actions* actions) {
      core_.NoteEnd(process, absl::StrCat("process/", process), how, now_, actions);
      return absl::OkStatus();
    }).IgnoreError();
  }
  void Abort(const absl::Status& why) {
    Carry([&](ControlCore::Actions* actions) {
      core_.Abort(why, actions);
      return absl::OkStatus();
    }).IgnoreError();
  }

  // Time passes; the core is woken when it wants to be, and never again at once.
  void Pass(absl::Duration time) {
    const MonotonicTime end = now_ + time;
    while (core_.wake() <= end) {
      now_ = std::max(now_, core_.wake());
      Carry([&](ControlCore::Actions* actions) {
        core_.OnTime(now_, actions);
        return absl::OkStatus();
      }).IgnoreError();
      ASSERT_GT(core_.wake(), now_) << "it would be woken for ever";
    }
    now_ = end;
  }

  // How the run has failed; OK: it has not.
  absl::Status failure() const {
    return core_.is_over() ? core_.Result().status() : absl::OkStatus();
  }

 private:
  template <typename Event>
  absl::Status Carry(const Event& event) {
    ControlCore::Actions actions;
    const absl::Status status = event(&actions);
    for (const ControlAction& action : actions) {
      EXPECT_TRUE(std::is_sorted(action.to.begin(), action.to.end()));
      for (const int32_t process : action.to) heard_[process].push_back(action.message);
    }
    return status;
  }

  const ControlRules rules_;
  MonotonicTime now_ = MonotonicTime(absl::Hours(5));
  ControlCore core_;
  std::vector<std::vector<ToProcess>> heard_;
};

// A run whose processes have all joined.
class FormedRun : public CoreRun {
 public:
  explicit FormedRun(const ControlRules& rules) : CoreRun(rules) { JoinAll(); }
  explicit FormedRun(int32_t processes) : FormedRun(RulesOf(processes)) {}
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CONTROL_CORE_RUN_H_
