#include "common/control/control_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/host_port.h"
#include "common/control/activity_text.h"
#include "common/control/agreement.h"
#include "common/control/failures.h"
#include "common/control/joins.h"
#include "common/control/last_words.h"

namespace ringmaster {
namespace {

// How often what only looking shows is looked at: what a process died of, and whether one that
// starts gets on.
constexpr absl::Duration kLookPeriod = absl::Milliseconds(50);

// How often waits are judged.
constexpr absl::Duration kJudgePeriod = absl::Milliseconds(200);

// A failure that another process's death would explain.
bool MayBeAConsequence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status);
}

bool HasWorkers(const Join& join) { return !join.kernel_target().empty(); }

}  // namespace

ControlCore::ControlCore(const ControlRules& rules, MonotonicTime started, Witness* witness)
    : rules_(rules), started_(started), witness_(*witness), members_(rules.processes) {
  judge_.emplace(rules.waits);
  wake_ = NextWake(started);
  if (rules_.claims.ranks > 0) dealer_.emplace(rules_.claims);
}

absl::Status ControlCore::CheckJoin(const Join& join) const {
  if (join.process() < 0 || join.process() >= rules_.processes ||
      join.processes() != rules_.processes) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", join.process(), " of ", join.processes(),
                     " wants to join, this run has ranks 0 to ", rules_.processes - 1,
                     "; start every rank with the same spec"));
  }
  const Member& member = members_[join.process()];
  if (member.state.joined) {
    return absl::AlreadyExistsError(absl::StrCat("rank ", join.process(),
                                                 " has joined already (pid ", member.state.pid,
                                                 "); give every process a rank of its own"));
  }
  if (!failure_.ok()) return failure_;
  if (join.spec_fingerprint() != rules_.spec_fingerprint) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", join.process(),
                     " has another resolved spec than the coordinator; start every "
                     "rank with the same spec file and flags"));
  }
  return absl::OkStatus();
}

void ControlCore::OnStranger(const Join& join, const absl::Status& why) {
  const bool is_rank = join.process() >= 0 && join.process() < rules_.processes;
  if (is_rank && !members_[join.process()].state.joined)
    members_[join.process()].trace.refused = std::string(why.message());
}

absl::Status ControlCore::OnJoin(const Join& join, MonotonicTime now, Actions* actions) {
  if (absl::Status fits = CheckJoin(join); !fits.ok()) {
    OnStranger(join, fits);
    // A process of this run that does not fit ends it; a second one of a rank is only turned away.
    if (!absl::IsAlreadyExists(fits)) Abort(fits, actions);
    return fits;
  }
  Member& member = members_[join.process()];
  member.join = join;
  member.state.joined = true;
  member.state.pid = join.pid();
  member.state.nodes = NodesOf(join);
  member.is_attached = true;
  member.heard = now;
  ControlAction& answer = actions->emplace_back();
  answer.to = {join.process()};
  answer.message.mutable_admitted();
  if (++joined_ == rules_.processes) Form(now, actions);
  wake_ = std::min(wake_, NextWake(now));
  return absl::OkStatus();
}

// Everybody is here: compares what must be equal and tells all who is where.
void ControlCore::Form(MonotonicTime now, Actions* actions) {
  std::vector<Join> joins;
  for (Member& member : members_) {
    // Of a process of this machine that listens everywhere and came by loopback: the address by
    // which others come here.
    auto endpoint = HostPort::Parse(member.join.data_endpoint());
    if (endpoint.ok() && IsWildcard(endpoint->host)) {
      endpoint->host = witness_.ReachedAt(endpoint->host);
      member.join.set_data_endpoint(endpoint->ToString());
    }
    for (const NodeName& node : member.join.nodes()) member.first_names.push_back(NameOf(node));
    joins.push_back(member.join);
  }
  if (const absl::Status agrees = CheckAgreement(joins); !agrees.ok())
    return Abort(agrees, actions);
  is_formed_ = true;
  moments_.formed = now;
  ToProcess message;
  const std::vector<int32_t> hosts = NumberHosts(joins);
  for (size_t i = 0; i < joins.size(); ++i) {
    const Join& join = joins[i];
    members_[i].state.host = hosts[i];
    ProcessEntry* entry = message.mutable_welcome()->add_processes();
    entry->set_host(hosts[i]);
    entry->set_data_endpoint(join.data_endpoint());
    *entry->mutable_nodes() = join.nodes();
    for (const NodeName& node : join.nodes()) judge_->Add(node, join.pid(), SinceStart(now));
  }
  judged_at_ = now;
  Broadcast(message, actions);
}

void ControlCore::OnMessage(int32_t process, const FromProcess& message, MonotonicTime now,
                            Actions* actions) {
  Member& member = members_[process];
  RM_CHECK(member.is_attached);
  if (message.has_last_words()) return Hear(process, message.last_words(), actions);
  if (is_over() || member.state.lost) return;
  member.heard = now;
  // What is still on its way of a formation that has ended.
  const bool is_late = regroups_since_.has_value() && !message.has_heartbeat() &&
                       !message.has_failure() && !message.has_ready();
  if (is_late) return;
  switch (message.kind_case()) {
    case FromProcess::kHeartbeat:
      member.state.last = message.heartbeat();
      for (NodeActivity node : message.heartbeat().nodes()) {
        // Who is kept waiting for lots of others waits for these workers.
        const bool is_kept = !node.node().server() && dealer_.has_value() &&
                             dealer_->IsKeptWaiting(node.node().index());
        if (is_kept && node.state() == NodeActivity::PAUSED)
          node.set_state(NodeActivity::AT_BARRIER);
        judge_->Heard(node, SinceStart(now));
      }
      break;
    case FromProcess::kArrive:
      Arrive(process, message.arrive().barrier(), now, actions);
      break;
    case FromProcess::kLotsWanted:
      DealLots(process, message.lots_wanted(), actions);
      break;
    case FromProcess::kFailure: {
      // mpirun, for one, ends the other ranks when one has died.
      const absl::Status why = StatusOf(message.failure());
      if (why.ok() || AnyLost()) break;
      if (MayBeAConsequence(why)) {
        if (!regroups_since_.has_value()) Suspect(process, why, now);
      } else {
        Abort(why, actions);
      }
      break;
    }
    case FromProcess::kReady:
      GetReady(&member, message.ready(), now, actions);
      break;
    case FromProcess::kResult:
      Finish(&member, message.result(), now, actions);
      break;
    case FromProcess::kLastWords:
    case FromProcess::kJoin:
    case FromProcess::kHello:
    case FromProcess::KIND_NOT_SET:
      break;
  }
}

void ControlCore::Hear(int32_t process, const LastWords& words, Actions* actions) {
  Member& member = members_[process];
  if (!is_formed_ || !is_silent(member)) return;
  const absl::Status fits = CheckLastWords(words, member.join);
  if (fits.ok()) {
    member.words = words;
  } else {
    member.unfit_words = std::string(fits.message());
  }
  ControlAction& answer = actions->emplace_back();
  answer.to = {process};
  answer.message.mutable_noted();
}

bool ControlCore::has_last_words() const {
  if (!is_over()) return false;
  if (!is_formed_ || failure_.ok()) return true;
  return std::none_of(members_.begin(), members_.end(), [this](const Member& member) {
    return member.is_attached && !member.state.lost && is_silent(member);
  });
}

std::vector<LastWords> ControlCore::GatherLastWords(MonotonicTime now) const {
  RM_CHECK(is_over());
  std::vector<LastWords> all;
  if (!is_formed_ || failure_.ok()) return all;
  for (size_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[i];
    LastWords& words = all.emplace_back(member.words ? *member.words : LastReportOf(member, now));
    words.set_process(static_cast<int32_t>(i));
    words.set_pid(member.state.pid);
    words.set_silent_because(member.words ? "" : WhySilent(member));
  }
  return all;
}

LastWords ControlCore::LastReportOf(const Member& member, MonotonicTime now) const {
  LastWords words;
  words.set_heard_seconds(absl::ToDoubleSeconds(now - member.heard));
  for (const NodeActivity& activity : member.state.last.nodes()) {
    NodeLastWords* node = words.add_nodes();
    *node->mutable_activity() = activity;
    node->set_since_seconds(absl::ToDoubleSeconds(judge_->StillOf(activity.node())));
  }
  return CheckLastWords(words, member.join).ok() ? words : LastWords();
}

std::string ControlCore::WhySilent(const Member& member) const {
  if (!member.unfit_words.empty()) return member.unfit_words;
  if (!member.end.empty()) return absl::StrCat("it is gone, with ", member.end);
  if (!member.is_attached) return "it is gone";
  if (witness_.IsSuspended(member.join)) return "it is suspended";
  return absl::StrCat("it did not answer within ", absl::FormatDuration(kLastWordsLimit));
}

void ControlCore::Arrive(int32_t process, const std::string& barrier, MonotonicTime now,
                         Actions* actions) {
  // Before the welcome it is unknown who has workers, and nobody has a reason to come.
  if (!is_formed_) return;
  arrived_[barrier].insert(process);
  ReleaseIfAllCame(barrier, now, actions);
}

void ControlCore::ReleaseIfAllCame(const std::string& barrier, MonotonicTime now,
                                   Actions* actions) {
  const std::set<int32_t>& arrived = arrived_[barrier];
  for (int32_t i = 0; i < rules_.processes; ++i) {
    if (members_[i].state.lost || !HasWorkers(members_[i].join)) continue;
    if (arrived.count(i) == 0) return;
  }
  if (barrier == rules_.losses.goes_on_until) goes_on_ = false;
  moments_.begun = std::min(moments_.begun, now);
  for (Lost& lost : losses_) {
    if (std::exchange(lost.is_over, true)) continue;
    lost.loss.set_recovery_seconds(absl::ToDoubleSeconds(now - lost.noticed));
  }
  ToProcess release;
  release.mutable_release()->set_barrier(barrier);
  Broadcast(release, actions);
  arrived_.erase(barrier);
}

void ControlCore::DealLots(int32_t process, const LotsWanted& wanted, Actions* actions) {
  const google::protobuf::RepeatedPtrField<NodeName>& nodes = members_[process].join.nodes();
  const bool is_its_worker = std::any_of(nodes.begin(), nodes.end(), [&](const NodeName& node) {
    return !node.server() && node.index() == wanted.rank();
  });
  if (!is_its_worker || !is_formed_ || !dealer_.has_value()) {
    return Abort(
        absl::InvalidArgumentError(absl::StrCat(
            "rank ", process, " asks for lots of worker/", wanted.rank(),
            ": expected of a worker of its own, in a run that is formed and claims its work")),
        actions);
  }
  if (wanted.has_applied_below()) {
    const absl::Status settled = dealer_->Settle(wanted.rank(), wanted.applied_below());
    if (!settled.ok()) return Abort(settled, actions);
  }
  if (!wanted.has_applied_below() || wanted.count() != 0) {
    const absl::StatusOr<LotClaim> claim = dealer_->Ask(wanted.rank(), wanted.count());
    if (!claim.ok()) return Abort(claim.status(), actions);
    if (!claim->waits) SendLots(*claim, actions);
  }
  AnswerQuestions(actions);
}

void ControlCore::AnswerQuestions(Actions* actions) {
  while (const std::optional<LotClaim> claim = dealer_->TakeAnswer()) SendLots(*claim, actions);
}

void ControlCore::SendLots(const LotClaim& claim, Actions* actions) const {
  for (int32_t process = 0; process < rules_.processes; ++process) {
    const google::protobuf::RepeatedPtrField<NodeName>& nodes = members_[process].join.nodes();
    const bool has_it = std::any_of(nodes.begin(), nodes.end(), [&](const NodeName& node) {
      return !node.server() && node.index() == claim.rank;
    });
    if (!has_it || !members_[process].is_attached) continue;
    ControlAction& answer = actions->emplace_back();
    answer.to = {process};
    Lots* lots = answer.message.mutable_lots();
    lots->set_rank(claim.rank);
    lots->set_first(claim.first);
    lots->set_count(claim.count);
  }
}

void ControlCore::Finish(Member* member, const ProcessReport& report, MonotonicTime now,
                         Actions* actions) {
  if (member->state.finished) return;
  member->report = report;
  member->state.finished = true;
  for (const NodeName& node : member->join.nodes()) judge_->Finished(node, SinceStart(now));
  ++finished_;
  SayGoodbyeIfOver(actions);
}

void ControlCore::SayGoodbyeIfOver(Actions* actions) {
  if (!is_over()) return;
  ToProcess goodbye;
  goodbye.mutable_goodbye();
  Broadcast(goodbye, actions);
}

void ControlCore::OnStreamEnd(int32_t process, MonotonicTime now) {
  Member& member = members_[process];
  RM_CHECK(member.is_attached);
  member.is_attached = false;
  // The stream breaks a moment before the process's end can be seen. Who has said its result is
  // missed by nobody, unless others say that they miss somebody.
  if (member.state.lost || (member.state.finished && suspected_.ok())) return;
  member.lost = now;
  wake_ = now;
}

void ControlCore::NoteStarted(int32_t process, int64_t pid) { members_[process].trace.pid = pid; }

void ControlCore::Abort(const absl::Status& why, Actions* actions) {
  if (is_over()) return;
  failure_ = why;
  ToProcess message;
  *message.mutable_abort() = FailureOf(why);
  Broadcast(message, actions);
}

void ControlCore::Suspect(int32_t process, const absl::Status& why, MonotonicTime now) {
  if (!suspected_.ok()) return;
  suspected_ = why;
  suspected_by_ = process;
  suspected_at_ = now;
  for (Member& member : members_) {
    if (member.state.finished && !member.is_attached && !member.is_lost()) member.lost = now;
  }
  wake_ = std::min(wake_, NextWake(now));
}

void ControlCore::Broadcast(const ToProcess& message, Actions* actions) const {
  ControlAction& action = actions->emplace_back();
  for (int32_t i = 0; i < rules_.processes; ++i) {
    if (members_[i].is_attached && !members_[i].state.lost) action.to.push_back(i);
  }
  action.message = message;
}

void ControlCore::OnTime(MonotonicTime now, Actions* actions) {
  if (!is_over()) Judge(now, actions);
  wake_ = NextWake(now);
}

void ControlCore::Judge(MonotonicTime now, Actions* actions) {
  // Nothing else may explain the run's end before a death does.
  if (AnyLost()) JudgeDeaths(now, actions);
  if (is_over() || AnyLost()) return;
  if (regroups_since_.has_value() && now - *regroups_since_ >= rules_.losses.reform_limit) {
    return Abort(
        absl::DeadlineExceededError(absl::StrCat(
            NotReady(), ": not ready for a new formation within ",
            absl::FormatDuration(rules_.losses.reform_limit), " after a process was lost")),
        actions);
  }
  if (!suspected_.ok() && now - suspected_at_ >= rules_.settle_time)
    return EndBy(members_[suspected_by_], suspected_, suspected_at_, actions);
  if (is_formed_) {
    JudgeMembers(now, actions);
  } else {
    JudgeJoining(now, actions);
  }
}

// Ends the run when some process is missing that nothing more is to be hoped for from.
void ControlCore::JudgeJoining(MonotonicTime now, Actions* actions) {
  const absl::Duration waited = now - started_;
  bool all_get_on = waited < rules_.starting_limit;
  for (int32_t i = 0; rules_.starting_limit > absl::ZeroDuration() && i < rules_.processes; ++i) {
    // Everybody is looked at from the beginning: it takes two looks to see somebody move.
    if (!members_[i].state.joined && !witness_.IsStarting(i)) all_get_on = false;
  }
  if (waited >= rules_.join_limit && !all_get_on) Abort(Missing(), actions);
}

void ControlCore::JudgeMembers(MonotonicTime now, Actions* actions) {
  for (Member& member : members_) {
    if (member.state.finished || member.state.lost) continue;
    if (now - member.heard < rules_.silence_limit) continue;
    Lose(&member, Silent(member), now, now, actions);
    if (is_over()) return;
  }
  if (regroups_since_.has_value() || now - judged_at_ < kJudgePeriod) return;
  judged_at_ = now;
  if (const absl::Status waits = judge_->Judge(); !waits.ok()) Abort(waits, actions);
}

MonotonicTime ControlCore::NextWake(MonotonicTime now) const {
  MonotonicTime wake = MonotonicTime::InfiniteFuture();
  if (AnyLost()) {
    for (const Member& member : members_) {
      if (member.is_lost()) wake = std::min(wake, member.lost + rules_.cause_time);
    }
    return std::min(wake, now + kLookPeriod);
  }
  if (!suspected_.ok()) wake = suspected_at_ + rules_.settle_time;
  if (regroups_since_.has_value())
    wake = std::min(wake, *regroups_since_ + rules_.losses.reform_limit);
  if (is_formed_) {
    for (const Member& member : members_) {
      if (member.state.finished || member.state.lost) continue;
      wake = std::min(wake, member.heard + rules_.silence_limit);
    }
    if (regroups_since_.has_value()) return wake;
    return std::min(wake, judged_at_ + kJudgePeriod);
  }
  if (rules_.starting_limit > absl::ZeroDuration()) wake = std::min(wake, now + kLookPeriod);
  const MonotonicTime joined_by = started_ + rules_.join_limit;
  return joined_by > now ? std::min(wake, joined_by) : wake;
}

bool ControlCore::AnyLost() const {
  return std::any_of(members_.begin(), members_.end(),
                     [](const Member& member) { return member.is_lost(); });
}

absl::StatusOr<std::vector<ProcessReport>> ControlCore::Result() const {
  RM_CHECK(is_over());
  if (!failure_.ok()) return failure_;
  std::vector<ProcessReport> reports;
  for (const Member& member : members_) {
    if (!member.state.lost) reports.push_back(member.report);
  }
  return reports;
}

std::vector<ProcessState> ControlCore::Processes() const {
  std::vector<ProcessState> states;
  for (const Member& member : members_) states.push_back(member.state);
  return states;
}

absl::Status ControlCore::Missing() const {
  std::vector<MissingRank> missing;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (!members_[i].state.joined) missing.push_back({static_cast<int32_t>(i), members_[i].trace});
  }
  return absl::DeadlineExceededError(absl::StrCat(
      "rank ",
      absl::StrJoin(
          missing, ", ",
          [](std::string* out, const MissingRank& rank) { absl::StrAppend(out, rank.rank); }),
      " of ", rules_.processes, " did not join within ", absl::FormatDuration(rules_.join_limit),
      " (limits.join_seconds): ", witness_.WhyMissing(missing)));
}

}  // namespace ringmaster
