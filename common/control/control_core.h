#ifndef RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_
#define RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_

#include <cstdint>
#include <functional>
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

// What the loss of a process of a formed run leads to.
enum class AfterLoss { kAbort, kContinue, kReform, kRestart };

struct LossRules {
  AfterLoss then = AfterLoss::kAbort;
  // Whether the run can go on with these nodes; the status says why not. Pure. Absent: it can.
  std::function<absl::Status(const std::vector<NodeName>& left)> can_go_on;
  // For all that are left to get ready for a new formation.
  absl::Duration reform_limit = absl::InfiniteDuration();
  // Those left go on where they are until this barrier has been released: what a process has to do
  // then nobody does in its place. Empty: to the end.
  std::string goes_on_until;
};

// The loss that has ended a run, which whoever started it may start again (kRestart).
struct EndingLoss {
  int32_t process = 0;
  Loss loss;  // its seconds count from the moment when all had joined
};

// When what happened in a run; infinite future: it has not.
struct RunMoments {
  MonotonicTime formed = MonotonicTime::InfiniteFuture();  // all had joined
  MonotonicTime begun = MonotonicTime::InfiniteFuture();   // the first barrier was released
};

// Who belongs to a run, and how long its processes may take.
struct ControlRules {
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
  LossRules losses;
};

// What is known of one process, for progress lines and error texts.
struct ProcessState {
  bool joined = false;
  bool finished = false;
  bool lost = false;  // the run goes on without it
  int64_t pid = 0;
  std::string nodes;  // "worker/1+server/1", in the formation that it is in, or was in last
  std::optional<int32_t> host;  // as all are told (ProcessEntry.host); absent: not all have joined
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
// Where a loss leads to a new formation (LossRules), a process that is lost is out: if it is still
// there it hears that the run has ended for it. The others are told to stop. Failures that they
// report until they are ready are consequences. Once all are ready the newest step that each of
// them can go on from is chosen, the workers are numbered anew in their order, and all are welcomed
// to it. Of a further loss meanwhile the same follows once more.
//
// Where those left go on where they are, they are told who is lost (Lost). Barriers and the end no
// longer wait for it, and its lots are dealt again.
//
// Where all are to be started again, the run ends as with kAbort, and it is known what it ended by:
// a process that died or fell silent, or one that lost a connection while nobody died.
//
// An event is a call. It comes with the moment `now`, which is never before that of an earlier
// event, and appends what is to be sent to `actions`, in order. Deterministic, given the events and
// the witness's answers. Not thread-safe.
class ControlCore {
 public:
  using Actions = std::vector<ControlAction>;

  // Joining is counted from `started`. `witness` outlives the core.
  ControlCore(const ControlRules& rules, MonotonicTime started, Witness* witness);

  // A process that has proved the job's token wants to join. OK: it is a member, its Admitted is
  // the first action, and with the last one all are welcomed. Otherwise the status is its answer:
  // AlreadyExists (the rank is taken) turns a stranger away, all other errors end the run, or say
  // with what it has ended.
  absl::Status OnJoin(const Join& join, MonotonicTime now, Actions* actions);

  // A process wanted to join and was turned away, as `why` says, for it has not proved the token:
  // who misses that rank in the end is told.
  void OnStranger(const Join& join, const absl::Status& why);

  // REQUIRES, both: `process` is a member whose stream stands. Of the messages of a run that is
  // over only last words count.
  void OnMessage(int32_t process, const FromProcess& message, MonotonicTime now, Actions* actions);
  void OnStreamEnd(int32_t process, MonotonicTime now);

  // Time has passed. REQUIRED when wake() has come; allowed at any moment.
  void OnTime(MonotonicTime now, Actions* actions);

  // Whoever started process `process` on this machine says its number. REQUIRES, as the next: 0 <=
  // process < processes.
  void NoteStarted(int32_t process, int64_t pid);

  // The process, called `name`, has ended as `how` says ("signal 9 (Killed)"): unless its work was
  // done it is lost.
  void NoteEnd(int32_t process, const std::string& name, const std::string& how, MonotonicTime now,
               Actions* actions);

  // Ends the run with `why`, unless it is over. REQUIRES: `why` is an error.
  void Abort(const absl::Status& why, Actions* actions);

  // When OnTime must be called at the latest; InfiniteFuture once the run is over.
  MonotonicTime wake() const { return is_over() ? MonotonicTime::InfiniteFuture() : wake_; }

  // All processes have sent their results, or the run has failed. From then on nothing changes any
  // more.
  bool is_over() const { return !failure_.ok() || finished_ == rules_.processes - lost_; }

  // The reports of all processes that were not lost, by index, or the run's first failure.
  // REQUIRES: is_over().
  absl::StatusOr<std::vector<ProcessReport>> Result() const;

  // The processes that were lost in the run, which went on, in order. Times count from the moment
  // when all had joined; losses of training are not known here.
  std::vector<Loss> Losses() const;

  // What has ended the run, where that was a loss that all processes are to be started again after
  // (AfterLoss::kRestart); absent: it has not ended, ended well or by anything else.
  const std::optional<EndingLoss>& ending_loss() const { return ending_loss_; }
  const RunMoments& moments() const { return moments_; }

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
    std::vector<std::string> first_names;  // of its nodes, in the run's first formation
    ProcessReport report;
    RankTrace trace;             // before it joins
    std::optional<Ready> ready;  // for the formation that is to come
    bool is_attached = false;    // it has joined, and its stream stands
    std::string end;             // how it has ended; empty: it has not, or nobody knows
    std::optional<LastWords> words;
    std::string unfit_words;  // why what it said is not kept; empty: it is, or it said nothing
    MonotonicTime heard;
    MonotonicTime lost =
        MonotonicTime::InfiniteFuture();  // when its stream broke before its work was done
    bool is_lost() const { return lost != MonotonicTime::InfiniteFuture(); }
  };

  // A process that was lost in a run that went on.
  struct Lost {
    Loss loss;
    MonotonicTime noticed;
    bool is_over = false;  // all are in a step again
  };

  absl::Status CheckJoin(const Join& join) const;
  void Form(MonotonicTime now, Actions* actions);
  void Arrive(int32_t process, const std::string& barrier, MonotonicTime now, Actions* actions);
  // Releases the barrier, if all who are awaited have come.
  void ReleaseIfAllCame(const std::string& barrier, MonotonicTime now, Actions* actions);
  void DealLots(int32_t process, const LotsWanted& wanted, Actions* actions);
  void SendLots(const LotClaim& claim, Actions* actions) const;
  // What questions for lots that waited are answered now.
  void AnswerQuestions(Actions* actions);
  void SayGoodbyeIfOver(Actions* actions);
  void Finish(Member* member, const ProcessReport& report, MonotonicTime now, Actions* actions);
  // Its last words, the first of which count.
  void Hear(int32_t process, const LastWords& words, Actions* actions);
  LastWords LastReportOf(const Member& member, MonotonicTime now) const;
  std::string WhySilent(const Member& member) const;
  // A failure, reported by `process`, that the run's is, unless a better explanation comes within
  // settle_time.
  void Suspect(int32_t process, const absl::Status& why, MonotonicTime now);
  void Broadcast(const ToProcess& message, Actions* actions) const;

  bool is_silent(const Member& member) const { return !member.words && member.unfit_words.empty(); }

  // What time decides.
  void Judge(MonotonicTime now, Actions* actions);
  void JudgeDeaths(MonotonicTime now, Actions* actions);
  // A process of the formed run is lost since `noticed`, as `why` says: what follows is said by the
  // rules.
  void Lose(Member* member, const absl::Status& why, MonotonicTime noticed, MonotonicTime now,
            Actions* actions);
  // Ends the run by the loss of the process.
  void EndBy(const Member& member, const absl::Status& why, MonotonicTime noticed,
             Actions* actions);
  // What is known of the loss of the process when it is noticed.
  Loss LossOf(const Member& member, const absl::Status& why, MonotonicTime noticed) const;
  // From here on the run has one process less.
  void TakeOut(Member* member, const absl::Status& why, MonotonicTime noticed, Actions* actions);
  // Has all that are left go on where they are.
  void GoOn(const Member& lost, const absl::Status& why, MonotonicTime now, Actions* actions);
  // Has all that are left stop, for a new formation.
  void Regroup(const absl::Status& why, MonotonicTime now, Actions* actions);
  void GetReady(Member* member, const Ready& ready, MonotonicTime now, Actions* actions);
  // All are ready: welcomes them to the new formation.
  void FormAnew(MonotonicTime now, Actions* actions);
  // Whether the run may go on without it; why not.
  absl::Status CanGoOnWithout(const Member& member) const;
  // The names of those that are not ready yet.
  std::string NotReady() const;
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

  std::optional<WaitJudge> judge_;  // of this formation; always there
  MonotonicTime judged_at_;
  std::vector<Member> members_;        // by index
  std::optional<ClaimDealer> dealer_;  // absent: work is dealt
  int32_t joined_ = 0;
  int32_t finished_ = 0;
  int32_t lost_ = 0;
  bool is_formed_ = false;  // all have joined and agree
  RunMoments moments_;
  int32_t epoch_ = 0;                            // number of the formation, or of that to come
  std::optional<MonotonicTime> regroups_since_;  // absent: no formation is to come
  std::vector<Lost> losses_;
  bool goes_on_ = true;  // rules_.losses.goes_on_until has not been released
  std::map<std::string, std::set<int32_t>> arrived_;  // by barrier, who waits for it
  absl::Status failure_;                              // OK: the run has not failed
  std::optional<EndingLoss> ending_loss_;
  absl::Status suspected_;  // OK: nothing is suspected
  int32_t suspected_by_ = 0;
  MonotonicTime suspected_at_;
  MonotonicTime wake_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CONTROL_CORE_H_
