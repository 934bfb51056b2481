#include "common/control/wait_judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/control/activity_text.h"

namespace ringmaster {
namespace {

// A worker's phase from when it has pushed all that it will push until everybody has.
constexpr char kDrain[] = "drain";

constexpr absl::Duration kComputeLimitMin = absl::Seconds(60);
constexpr int kSlowestSteps = 20;
// Shorter waits are not looked at: what excuses them is of no account.
constexpr absl::Duration kLookedAt = absl::Seconds(1);
// A limit that was too short by an unknown factor is raised by this one.
constexpr int kRaise = 10;
// Longer chains are told by their first nodes.
constexpr int32_t kToldMax = 8;
// Of the nodes that a failure is not about so many are told.
constexpr size_t kOthersMax = 16;

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.1fs", absl::ToDoubleSeconds(duration));
}

std::string WholeSeconds(absl::Duration duration) {
  return absl::StrFormat("%.0f", std::ceil(absl::ToDoubleSeconds(duration)));
}

std::string Describe(const AwaitedMessage* message) {
  if (message == nullptr) return "";
  return absl::StrCat(" (", DescribeAwaited(*message), ")");
}

}  // namespace

absl::Duration DefaultComputeLimit(absl::Duration slowest_step) {
  return std::max(kComputeLimitMin, kSlowestSteps * slowest_step);
}

void WaitJudge::Add(const NodeName& node, int64_t pid, absl::Duration now) {
  Node& added = nodes_[NameOf(node)];
  added.pid = pid;
  *added.last.mutable_node() = node;
  added.heard = added.moved = added.excused = now;
}

void WaitJudge::Heard(const NodeActivity& activity, absl::Duration now) {
  const auto found = nodes_.find(NameOf(activity.node()));
  if (found == nodes_.end()) return;
  Node& node = found->second;
  const bool stood = node.was_heard && node.last.moved() == activity.moved() &&
                     node.last.step() == activity.step() && node.last.phase() == activity.phase() &&
                     node.last.bucket() == activity.bucket();
  if (!stood) node.moved = now;
  node.heard = now;
  node.was_heard = true;
  node.last = activity;
}

void WaitJudge::Finished(const NodeName& node, absl::Duration now) {
  const auto found = nodes_.find(NameOf(node));
  if (found == nodes_.end()) return;
  Node& done = found->second;
  if (done.last.state() != NodeActivity::DONE) done.moved = now;
  done.heard = now;
  done.was_heard = true;
  done.last.set_state(NodeActivity::DONE);
  done.last.clear_awaited();
}

void WaitJudge::Forget(const NodeName& node) { nodes_.erase(NameOf(node)); }

bool WaitJudge::Waits(const Node& node) {
  return node.last.state() == NodeActivity::WAITS ||
         node.last.state() == NodeActivity::AT_BARRIER || node.last.state() == NodeActivity::DONE;
}

absl::Duration WaitJudge::ComputeLimit(const Node& node) const {
  return limits_.compute.value_or(
      DefaultComputeLimit(absl::Seconds(node.last.slowest_step_seconds())));
}

absl::Status WaitJudge::Judge() {
  const absl::Duration looked_at = std::min(kLookedAt, limits_.wait / 4);
  for (auto& [name, node] : nodes_) {
    // A server's own wait is nobody's: it serves those who do.
    if (node.last.node().server() || !node.was_heard || !Waits(node) || Still(node) < looked_at)
      continue;
    const absl::Status judged = JudgeFrom(name, &node);
    if (!judged.ok()) return judged;
  }
  return absl::OkStatus();
}

absl::Status WaitJudge::JudgeFrom(const std::string& name, Node* waiting) const {
  std::vector<Step> steps = {{name}};
  std::set<std::string> seen = {name};
  absl::Duration excused = waiting->moved;
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto found = nodes_.find(steps[i].node);
    if (found == nodes_.end() || !found->second.was_heard) {
      excused = waiting->heard;
      continue;
    }
    const Node& node = found->second;
    const bool too_long =
        node.last.state() == NodeActivity::COMPUTES && Still(node) > ComputeLimit(node);
    if (too_long && Still(*waiting) >= limits_.wait)
      return ComputesTooLong(steps, static_cast<int32_t>(i));
    if (!Waits(node)) {
      excused = std::max(excused, node.heard);
    } else if (!node.last.node().server()) {
      // A server that waits has moved for whoever it serves, not for this wait.
      excused = std::max(excused, node.moved);
    }
    bool nothing_left = false;
    for (Step& step : Next(steps, steps[i], &nothing_left)) {
      if (!seen.insert(step.node).second) continue;
      step.from = static_cast<int32_t>(i);
      steps.push_back(step);
    }
    if (nothing_left) excused = waiting->heard;
  }
  waiting->excused = std::max(waiting->excused, excused);
  // What the last one who computed has sent may take as long to arrive as any other message.
  return waiting->heard - waiting->excused < limits_.wait ? absl::OkStatus() : NobodyMoves(steps);
}

std::vector<WaitJudge::Step> WaitJudge::Next(const std::vector<Step>& steps, const Step& step,
                                             bool* nothing_left) const {
  const Node& node = nodes_.at(step.node);
  const Node& asker = step.from < 0 ? node : nodes_.at(steps[step.from].node);
  switch (node.last.state()) {
    case NodeActivity::AT_BARRIER:
    case NodeActivity::DONE: {
      std::vector<Step> others = OthersNotYet(node);
      // The barrier is about to open, or the run to end.
      *nothing_left = others.empty();
      return others;
    }
    case NodeActivity::WAITS:
      break;
    default:
      // While it computes, what its exchange waits for may hold it up next.
      if (node.last.node().server()) return {};
  }
  if (node.last.node().server()) return NextOfServer(node, asker, step.message);
  std::vector<Step> peers;
  for (const AwaitedMessage& message : node.last.awaited())
    peers.push_back({NameOf(message.peer()), &message});
  return peers;
}

std::vector<WaitJudge::Step> WaitJudge::NextOfServer(const Node& node, const Node& asker,
                                                     const AwaitedMessage* asked) const {
  std::vector<Step> workers;
  int64_t behind = std::numeric_limits<int64_t>::max();
  for (const AwaitedMessage& message : node.last.awaited()) {
    // It does nothing else until that has left.
    if (message.is_send()) workers.push_back({NameOf(message.peer()), &message});
    if (!message.is_send() && message.kind() == AwaitedMessage::PUSH)
      behind = std::min(behind, message.step());
  }
  if (!workers.empty()) return workers;
  if (limits_.asynchronous) {
    if (asker.last.phase() != kDrain) return {};
    // Workers that claim their work come to their drains at unlike steps.
    for (const AwaitedMessage& message : node.last.awaited()) {
      if (message.kind() == AwaitedMessage::PUSH && StillTrains(message.peer()))
        workers.push_back({NameOf(message.peer()), &message});
    }
    if (!workers.empty()) return workers;
  }
  // What is asked for has had all it waits for: it is lost. (Pulls are numbered, at least as high
  // as the steps.)
  const bool numbered =
      asked != nullptr && !asked->is_send() && asked->kind() != AwaitedMessage::COLLECTIVE;
  if (numbered && behind > asked->step()) return {};
  for (const AwaitedMessage& message : node.last.awaited()) {
    if (message.kind() != AwaitedMessage::PUSH || message.step() != behind) continue;
    // A worker that is done pushes no more.
    const auto worker = nodes_.find(NameOf(message.peer()));
    if (worker != nodes_.end() && worker->second.last.state() == NodeActivity::DONE) continue;
    workers.push_back({NameOf(message.peer()), &message});
  }
  return workers;
}

bool WaitJudge::StillTrains(const NodeName& worker) const {
  const auto found = nodes_.find(NameOf(worker));
  return found != nodes_.end() && found->second.last.state() != NodeActivity::DONE &&
         found->second.last.phase() != kDrain;
}

std::vector<WaitJudge::Step> WaitJudge::OthersNotYet(const Node& node) const {
  std::vector<Step> workers;
  std::vector<Step> servers;
  for (const auto& [name, other] : nodes_) {
    const NodeActivity::State state = other.last.state();
    if (&other == &node || state == NodeActivity::DONE) continue;
    if (node.last.state() == NodeActivity::AT_BARRIER && state == NodeActivity::AT_BARRIER)
      continue;
    (other.last.node().server() ? servers : workers).push_back({name});
  }
  // Servers come to no barrier, and end after the last worker.
  return workers.empty() && node.last.state() == NodeActivity::DONE ? servers : workers;
}

std::string WaitJudge::Where(const std::string& name) const {
  const Node& node = nodes_.at(name);
  return absl::StrCat(
      name, " (pid ", node.pid, ") at step=", node.last.step(),
      " phase=", node.last.phase().empty() ? "start" : node.last.phase(),
      node.last.phase() == "backward" ? absl::StrCat(" bucket=", node.last.bucket()) : "");
}

absl::Status WaitJudge::ComputesTooLong(const std::vector<Step>& steps, int32_t last) const {
  const Node& node = nodes_.at(steps[last].node);
  const absl::Duration limit = ComputeLimit(node);
  std::vector<std::string> between;
  int32_t first = last;
  for (; steps[first].from >= 0; first = steps[first].from) {
    if (first != last) between.insert(between.begin(), steps[first].node);
  }
  const std::string by =
      between.empty() ? "" : absl::StrCat(" by way of ", absl::StrJoin(between, ", "));
  const std::string why =
      limits_.compute.has_value()
          ? "limits.compute_seconds"
          : absl::StrCat("limits.compute_seconds, left out: 20 times its slowest step so far, ",
                         Seconds(absl::Seconds(node.last.slowest_step_seconds())),
                         ", and at least 60s");
  return absl::DeadlineExceededError(absl::StrCat(
      Where(steps[last].node), ": computes for ", Seconds(Still(node)),
      " without a change of step, phase or bucket while ", steps[first].node, " waits for it", by,
      "; expected one within ", Seconds(limit), " (", why,
      "); if it may take so long, raise limits.compute_seconds to at least ",
      WholeSeconds(
          std::max({kComputeLimitMin, kRaise * limit,
                    DefaultComputeLimit(absl::Seconds(node.last.slowest_step_seconds()))})),
      Meanwhile({steps[last].node})));
}

absl::Status WaitJudge::NobodyMoves(const std::vector<Step>& steps) const {
  std::vector<std::string> told;
  std::set<std::string> names;
  const int32_t count = std::min(static_cast<int32_t>(steps.size()), kToldMax);
  for (int32_t i = 0; i < count; ++i) {
    const Node& node = nodes_.at(steps[i].node);
    names.insert(steps[i].node);
    bool unused = false;
    const std::vector<Step> next = Next(steps, steps[i], &unused);
    const std::string whom =
        next.empty() ? "nobody" : absl::StrCat(next[0].node, Describe(next[0].message));
    const std::string more = next.size() > 1 ? absl::StrCat(" and ", next.size() - 1, " more") : "";
    told.push_back(absl::StrCat(Where(steps[i].node), " waits for ", whom, more, " since ",
                                Seconds(Still(node))));
  }
  const size_t left = steps.size() - told.size();
  if (left > 0) told.push_back(absl::StrCat(left, " more wait in the same way"));
  return absl::DeadlineExceededError(absl::StrCat(
      absl::StrJoin(told, "; "), "; all of them wait and none gets any further, expected within ",
      Seconds(limits_.wait),
      " (limits.wait_seconds): a message is lost, or needs longer than "
      "that; then raise limits.wait_seconds to at least ",
      WholeSeconds(kRaise * limits_.wait), Meanwhile(names)));
}

std::string WaitJudge::Meanwhile(const std::set<std::string>& told) const {
  std::vector<const Node*> others;
  for (const auto& [name, node] : nodes_) {
    if (node.was_heard && told.count(name) == 0) others.push_back(&node);
  }
  if (others.empty()) return "";
  const auto order = [](const Node* node) {
    return std::make_pair(node->last.node().server(), node->last.node().index());
  };
  std::sort(others.begin(), others.end(),
            [&](const Node* a, const Node* b) { return order(a) < order(b); });
  const size_t count = others.size();
  others.resize(std::min<size_t>(count, kOthersMax));
  const auto describe = [](std::string* out, const Node* node) {
    absl::StrAppend(out, DescribeActivity(node->last), " since ", Seconds(Still(*node)));
  };
  return absl::StrCat(
      "; meanwhile ", absl::StrJoin(others, "; ", describe),
      count > others.size() ? absl::StrCat("; and ", count - others.size(), " more") : "");
}

absl::Duration WaitJudge::StillOf(const NodeName& node) const {
  const auto found = nodes_.find(NameOf(node));
  return found == nodes_.end() ? absl::ZeroDuration() : Still(found->second);
}

}  // namespace ringmaster
