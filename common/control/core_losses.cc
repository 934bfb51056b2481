// What becomes of a formed run when a process of it is lost.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"
#include "common/control/activity_text.h"
#include "common/control/control_core.h"
#include "common/control/failures.h"
#include "common/control/joins.h"

namespace ringmaster {
namespace {

std::string Where(const ProcessState& state) {
  return absl::StrCat(state.nodes, " (pid ", state.pid, "), last seen at step=", state.last.step(),
                      " phase=", state.last.phase().empty() ? "start" : state.last.phase());
}

// Where others reach a process that listens anew. At every address: at the one by which they
// reached it before.
std::string ReachedAnew(const std::string& before, const std::string& listens_at) {
  const auto old = HostPort::Parse(before);
  auto endpoint = HostPort::Parse(listens_at);
  if (!old.ok() || !endpoint.ok() || !IsWildcard(endpoint->host)) return listens_at;
  endpoint->host = old->host;
  return endpoint->ToString();
}

}  // namespace

void ControlCore::NoteEnd(int32_t process, const std::string& name, const std::string& how,
                          MonotonicTime now, Actions* actions) {
  Member& member = members_[process];
  member.end = how;
  if (member.state.finished || member.state.lost) return;
  if (member.state.joined) {
    const MonotonicTime noticed = std::min(member.lost, now);
    return Lose(&member, Died(member, how), noticed, now, actions);
  }
  const std::string memory = witness_.KilledForMemory(how);
  Abort(absl::UnavailableError(absl::StrCat(name, " (rank ", process, ") ended with ", how,
                                            " before it joined", memory.empty() ? "" : "; ", memory,
                                            "; what it said stands above")),
        actions);
}

// Processes that have died are lost once it is known why, or nobody can say any more.
void ControlCore::JudgeDeaths(MonotonicTime now, Actions* actions) {
  for (Member& member : members_) {
    if (!member.is_lost()) continue;
    const std::string how = witness_.HowItEnded(member.join);
    if (!how.empty()) member.end = how;
    if (member.end.empty() && now - member.lost < rules_.cause_time) continue;
    Lose(&member, Died(member, member.end), member.lost, now, actions);
    if (is_over()) return;
  }
}

void ControlCore::Lose(Member* member, const absl::Status& why, MonotonicTime noticed,
                       MonotonicTime now, Actions* actions) {
  if (is_over()) return;  // how its processes end changes nothing
  if (!is_formed_ || rules_.losses.then == AfterLoss::kAbort ||
      rules_.losses.then == AfterLoss::kRestart) {
    return EndBy(*member, why, noticed, actions);
  }
  if (const absl::Status can = CanGoOnWithout(*member); !can.ok()) {
    return Abort(
        absl::Status(
            why.code(),
            absl::StrCat(why.message(), "; those left cannot go on without it: ", can.message())),
        actions);
  }
  TakeOut(member, why, noticed, actions);
  if (rules_.losses.then == AfterLoss::kContinue) return GoOn(*member, why, now, actions);
  Regroup(why, now, actions);
}

absl::Status ControlCore::CanGoOnWithout(const Member& member) const {
  std::vector<NodeName> left;
  for (const Member& other : members_) {
    if (&other == &member || other.state.lost) continue;
    left.insert(left.end(), other.join.nodes().begin(), other.join.nodes().end());
  }
  if (std::all_of(left.begin(), left.end(), [](const NodeName& node) { return node.server(); }))
    return absl::FailedPreconditionError("no worker is left");
  if (rules_.losses.then == AfterLoss::kContinue && !goes_on_) {
    return absl::FailedPreconditionError(
        "training is over, and what it had to score nobody scores in its place");
  }
  return rules_.losses.can_go_on == nullptr ? absl::OkStatus() : rules_.losses.can_go_on(left);
}

void ControlCore::EndBy(const Member& member, const absl::Status& why, MonotonicTime noticed,
                        Actions* actions) {
  const bool may_begin_again = is_formed_ && rules_.losses.then == AfterLoss::kRestart;
  if (may_begin_again && !is_over()) {
    ending_loss_ = EndingLoss{member.join.process(), LossOf(member, why, noticed)};
    // Of workers that claim each is in a step of its own.
    const int64_t dealt = dealer_.has_value() ? rules_.claims.end - dealer_->left() : 0;
    if (dealt > 0) ending_loss_->loss.set_step((dealt - 1) / rules_.claims.ranks);
  }
  Abort(why, actions);
}

Loss ControlCore::LossOf(const Member& member, const absl::Status& why,
                         MonotonicTime noticed) const {
  Loss loss;
  for (const std::string& name : member.first_names) loss.add_nodes(name);
  // Not what all others do meanwhile.
  const std::string text(why.message());
  loss.set_how(member.end.empty() ? text.substr(0, text.find("; meanwhile ")) : member.end);
  loss.set_seconds(absl::ToDoubleSeconds(noticed - moments_.formed));
  for (const Member& other : members_)
    loss.set_step(std::max(loss.step(), other.state.last.step()));
  return loss;
}

void ControlCore::TakeOut(Member* member, const absl::Status& why, MonotonicTime noticed,
                          Actions* actions) {
  Lost& lost = losses_.emplace_back();
  lost.noticed = noticed;
  lost.loss = LossOf(*member, why, noticed);
  if (std::exchange(member->state.finished, false)) --finished_;
  member->state.lost = true;
  member->lost = MonotonicTime::InfiniteFuture();
  ++lost_;
  if (!member->is_attached) return;
  // It may be suspended, and hear of it when it goes on.
  ControlAction& told = actions->emplace_back();
  told.to = {member->join.process()};
  *told.message.mutable_abort() = FailureOf(why);
}

void ControlCore::GoOn(const Member& lost, const absl::Status& why, MonotonicTime now,
                       Actions* actions) {
  suspected_ = absl::OkStatus();
  losses_.back().is_over = true;
  ToProcess message;
  message.mutable_lost()->set_process(lost.join.process());
  *message.mutable_lost()->mutable_nodes() = lost.join.nodes();
  *message.mutable_lost()->mutable_why() = FailureOf(why);
  Broadcast(message, actions);
  for (const NodeName& node : lost.join.nodes()) {
    judge_->Forget(node);
    if (node.server() || !dealer_.has_value()) continue;
    Loss& loss = losses_.back().loss;
    loss.set_redealt_lots(loss.redealt_lots() + dealer_->Lose(node.index()));
  }
  if (dealer_.has_value()) AnswerQuestions(actions);
  std::vector<std::string> barriers;
  for (const auto& [barrier, arrived] : arrived_) barriers.push_back(barrier);
  for (const std::string& barrier : barriers) ReleaseIfAllCame(barrier, now, actions);
  SayGoodbyeIfOver(actions);
}

void ControlCore::Regroup(const absl::Status& why, MonotonicTime now, Actions* actions) {
  ++epoch_;
  regroups_since_ = now;
  suspected_ = absl::OkStatus();
  arrived_.clear();
  finished_ = 0;
  ControlAction action;
  for (int32_t i = 0; i < rules_.processes; ++i) {
    Member& member = members_[i];
    if (member.state.lost) continue;
    // Nobody has waited for a word of it.
    if (std::exchange(member.state.finished, false)) member.heard = now;
    member.ready.reset();
    if (member.is_attached) {
      action.to.push_back(i);
    } else if (!member.is_lost()) {
      member.lost = now;  // it had gone when its work was done
    }
  }
  action.message.mutable_regroup()->set_epoch(epoch_);
  *action.message.mutable_regroup()->mutable_why() = FailureOf(why);
  actions->push_back(std::move(action));
  wake_ = now;
}

void ControlCore::GetReady(Member* member, const Ready& ready, MonotonicTime now,
                           Actions* actions) {
  if (!regroups_since_.has_value() || ready.epoch() != epoch_) return;
  member->ready = ready;
  // What it said when it stopped is not how it ends.
  member->words.reset();
  member->unfit_words.clear();
  if (NotReady().empty() && !AnyLost()) FormAnew(now, actions);
}

std::string ControlCore::NotReady() const {
  std::vector<std::string> names;
  for (const Member& member : members_) {
    if (!member.state.lost && !member.ready.has_value()) names.push_back(member.state.nodes);
  }
  return absl::StrJoin(names, ", ");
}

void ControlCore::FormAnew(MonotonicTime now, Actions* actions) {
  std::optional<std::set<int64_t>> common;
  int64_t newest = 0;  // that anybody had begun
  std::vector<std::string> each;
  for (const Member& member : members_) {
    if (member.state.lost) continue;
    const std::set<int64_t> own(member.ready->steps().begin(), member.ready->steps().end());
    each.push_back(absl::StrCat(member.state.nodes, " before step ", absl::StrJoin(own, " or ")));
    if (!own.empty()) newest = std::max(newest, *own.rbegin());
    std::set<int64_t> both;
    if (common.has_value()) {
      std::set_intersection(common->begin(), common->end(), own.begin(), own.end(),
                            std::inserter(both, both.end()));
    }
    common = common.has_value() ? both : own;
  }
  if (!common.has_value() || common->empty()) {
    return Abort(absl::FailedPreconditionError(absl::StrCat(
                     "a process is lost, and there is no step that all others can go on from: ",
                     absl::StrJoin(each, ", "))),
                 actions);
  }
  const int64_t step = *common->rbegin();
  for (Lost& lost : losses_) {
    if (lost.is_over) continue;
    lost.loss.set_reformed(true);
    lost.loss.set_step(newest);
    lost.loss.set_resumed_step(step);
    lost.loss.set_undone_steps(newest - step + 1);
  }
  regroups_since_.reset();
  judge_.emplace(rules_.waits);
  judged_at_ = now;
  ToProcess message;
  message.mutable_welcome()->set_epoch(epoch_);
  message.mutable_welcome()->set_step(step);
  int32_t workers = 0;
  for (Member& member : members_) {
    if (member.state.lost) continue;
    ProcessEntry* entry = message.mutable_welcome()->add_processes();
    member.join.set_data_endpoint(
        ReachedAnew(member.join.data_endpoint(), member.ready->data_endpoint()));
    entry->set_data_endpoint(member.join.data_endpoint());
    entry->set_host(*member.state.host);
    *entry->mutable_nodes_before() = member.join.nodes();
    for (NodeName& node : *member.join.mutable_nodes()) {
      if (!node.server()) node.set_index(workers++);
      judge_->Add(node, member.join.pid(), SinceStart(now));
    }
    *entry->mutable_nodes() = member.join.nodes();
    member.state.nodes = NodesOf(member.join);
    member.heard = now;
  }
  Broadcast(message, actions);
  wake_ = std::min(wake_, NextWake(now));
}

std::vector<Loss> ControlCore::Losses() const {
  std::vector<Loss> losses;
  for (const Lost& lost : losses_) losses.push_back(lost.loss);
  return losses;
}

// `how`: as the process has ended, as far as that is known; empty: not at all.
absl::Status ControlCore::Died(const Member& member, const std::string& how) const {
  const std::string memory = witness_.KilledForMemory(how);
  std::string text = absl::StrCat(Where(member.state), ": the process ended before ",
                                  member.state.finished ? "the run was over" : "its work was done");
  if (!how.empty()) {
    absl::StrAppend(&text, ", with ", how);
  } else if (witness_.IsThere(member.join)) {
    text =
        absl::StrCat(Where(member.state), ": its connection broke, and the process is still there");
  } else {
    absl::StrAppend(&text, "; whoever started it knows its exit code or signal");
  }
  return absl::UnavailableError(absl::StrCat(text, memory.empty() ? "" : "; ", memory));
}

// What a member that says nothing is accused of, and what to do.
absl::Status ControlCore::Silent(const Member& member) const {
  const std::string why = witness_.IsSuspended(member.join)
                              ? absl::StrCat(
                                    "the process is suspended: a signal (SIGSTOP, Ctrl-Z) has "
                                    "stopped it, and nobody has let it go "
                                    "on (kill -CONT ",
                                    member.state.pid, ")")
                              : "the process hangs or its machine is gone";
  return absl::DeadlineExceededError(absl::StrCat(Where(member.state), ": no heartbeat for ",
                                                  absl::FormatDuration(rules_.silence_limit), "; ",
                                                  why, judge_->Meanwhile({})));
}

}  // namespace ringmaster
