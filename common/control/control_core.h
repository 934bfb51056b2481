#ifndef RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_
#define RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/control/dealing.h"
#include "common/control/missing_ranks.h"
#include "common/control/wait_judge.h"
#include "common/control/witness.h"
#include "proto/control.pb.h"
#include "proto/record.pb.h"

namespace ringmaster {

// Who belongs to a run, and how long its processes may take.
struct ControlRules {
  std::string token;
  uint64_t spec_fingerprint = 0;
  int32_t processes = 0;
  absl::Duration join_limit;  // for all processes to join
  // A process that has not joined, and that the witness sees starting, is waited for up to this
  // limit. Zero: none is.
  absl::Duration starting_limit = absl::ZeroDuration();
  absl::Duration silence_limit;  // a process that says nothing for so long has stopped answering
  WaitLimits waits;              // of waits of nodes for each other; infinite unless set
  // After a process lost a connection, its cause (a peer that died) may take a moment to be seen
  // here.
  absl::Duration settle_time = absl::Milliseconds(300);
  // So may what a process died of, above all where somebody calls NoteEnd for each that has ended.
  absl::Duration cause_time = absl::Milliseconds(300);
  ClaimRules claims;  // where work is claimed; no ranks: it is dealt, and nobody asks
};

// What is known of one process, for progress lines and error texts.
struct ProcessState {
  bool joined = false;
  bool finished = false;
  int64_t pid = 0;
  std::string nodes;  // "worker/1+server/1"
  Heartbeat last;
};

// A message that is to be sent.
struct ControlAction {
  // processes by index, ascending: all of them have joined, and their streams stand
  std::vector<int32_t> to;
  ToProcess message;
};

// What the coordinator of a run decides, as a state machine without threads, clock or streams: who
// joins and who is turned away, when a barrier opens, how long anything may take, which failure is
// the run's, and when the run is over.
//
// An event is a call. It comes with the moment `now`, which is never before that of an earlier
// event, and appends what is to be sent to `actions`, in order. Deterministic, given the events and
// the witness's answers. Not thread-safe.
class ControlCore {
 public:
  using Actions = std::vector<ControlAction>;

  // Joining is counted from `started`. `witness` outlives the core.
  ControlCore(const ControlRules& rules, MonotonicTime started, Witness* witness);

  // A process wants to join. OK: it is a member, its Admitted is the first action, and with the
  // last one all are welcomed. Otherwise the status is its answer: PermissionDenied (another job's
  // token) and AlreadyExists (the rank is taken) turn a stranger away, all other errors end the
  // run, or say with what it has ended.
  absl::Status OnJoin(const Join& join, MonotonicTime now, Actions* actions);

  // REQUIRES, both: `process` is a member whose stream stands. Of the messages of a run that is
  // over only last words count.
  void OnMessage(int32_t process, const FromProcess& message, MonotonicTime now, Actions* actions);
  void OnStreamEnd(int32_t process, MonotonicTime now);

  // Time has passed. REQUIRED when wake() has come; allowed at any moment.
  void OnTime(MonotonicTime now, Actions* actions);

  // Whoever started process `process` on this machine says its number. REQUIRES, as the next: 0 <=
  // process < processes.
  void NoteStarted(int32_t process, int64_t pid);

  // The process, called `name`, has ended as `how` says ("signal 9 (Killed)"): the run has failed
  // unless its work was done.
  void NoteEnd(int32_t process, const std::string& name, const std::string& how, Actions* actions);

  // Ends the run with `why`, unless it is over. REQUIRES: `why` is an error.
  void Abort(const absl::Status& why, Actions* actions);

  // When OnTime must be called at the latest; InfiniteFuture once the run is over.
  MonotonicTime wake() const { return is_over() ? MonotonicTime::InfiniteFuture() : wake_; }

  // All processes have sent their results, or the run has failed. From then on nothing changes any
  // more.
  bool is_over() const { return !failure_.ok() || finished_ == rules_.processes; }

  // Every process's report by index, or the run's first failure. REQUIRES: is_over().
  absl::StatusOr<std::vector<ProcessReport>> Result() const;

  std::vector<ProcessState> Processes() const;

  // Whether nobody is left to speak: the run is over, and each member whose stream stands has said
  // its last words, which it does when it hears of a failure. True where there is nothing to say:
  // the run was never formed, or has not failed.
  bool has_last_words() const;

  // How the run ended for each process, by index: its last words, or where it said none what its
  // last heartbeat did and why it said none. None where there is nothing to say. REQUIRES:
  // is_over(); `now` is not before the last event's.
  std::vector<LastWords> GatherLastWords(MonotonicTime now) const;

 private:
  struct Member {
    ProcessState state;
    Join join;
    ProcessReport report;
    RankTrace trace;           // before it joins
    bool is_attached = false;  // it has joined, and its stream stands
    std::string end;           // how it has ended; empty: it has not, or nobody knows
    std::optional<LastWords> words;
    std::string unfit_words;  // why what it said is not kept; empty: it is, or it said nothing
    MonotonicTime heard;
    MonotonicTime lost =
        MonotonicTime::InfiniteFuture();  // when its stream broke before its work was done
    bool is_lost() const { return lost != MonotonicTime::InfiniteFuture(); }
  };

  absl::Status CheckJoin(const Join& join) const;
  void Form(MonotonicTime now, Actions* actions);
  void Arrive(int32_t process, const std::string& barrier, Actions* actions);
  void DealLots(int32_t process, const LotsWanted& wanted, Actions* actions);
  void Finish(Member* member, const ProcessReport& report, MonotonicTime now, Actions* actions);
  // Its last words, the first of which count.
  void Hear(int32_t process, const LastWords& words, Actions* actions);
  LastWords LastReportOf(const Member& member, MonotonicTime now) const;
  std::string WhySilent(const Member& member) const;
  // A failure that the run's is, unless a better explanation comes within settle_time.
  void Suspect(const absl::Status& why, MonotonicTime now);
  void Broadcast(const ToProcess& message, Actions* actions) const;

  bool is_silent(const Member& member) const { return !member.words && member.unfit_words.empty(); }

  // What time decides.
  void Judge(MonotonicTime now, Actions* actions);
  void JudgeDeaths(MonotonicTime now, Actions* actions);
  void JudgeJoining(MonotonicTime now, Actions* actions);
  void JudgeMembers(MonotonicTime now, Actions* actions);
  // When Judge may decide something next, if no event comes before.
  MonotonicTime NextWake(MonotonicTime now) const;
  bool AnyLost() const;

  absl::Duration SinceStart(MonotonicTime now) const { return now - started_; }
  absl::Status Died(const Member& member, const std::string& how) const;
  absl::Status Silent(const Member& member) const;
  absl::Status Missing() const;

  const ControlRules rules_;
  const MonotonicTime started_;
  Witness& witness_;

  WaitJudge judge_;
  MonotonicTime judged_at_;
  std::vector<Member> members_;        // by index
  std::optional<ClaimDealer> dealer_;  // absent: work is dealt
  int32_t joined_ = 0;
  int32_t finished_ = 0;
  bool is_formed_ = false;                            // all have joined and agree
  std::map<std::string, std::set<int32_t>> arrived_;  // by barrier, who waits for it
  absl::Status failure_;                              // OK: the run has not failed
  absl::Status suspected_;                            // OK: nothing is suspected
  MonotonicTime suspected_at_;
  MonotonicTime wake_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_
