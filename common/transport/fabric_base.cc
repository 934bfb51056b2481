#include "common/transport/fabric_base.h"

#include <immintrin.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"

namespace ringmaster {

FrameHeader OutgoingMessage::Frame(int64_t offset, int64_t segment_bytes) const {
  const int64_t total_bytes = payload.size();
  return {from, to, tag, total_bytes, offset, std::min(segment_bytes, total_bytes - offset)};
}

absl::Status CheckProcesses(const std::vector<ProcessAddress>& processes, int32_t self) {
  if (self < 0 || self >= static_cast<int32_t>(processes.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("connect as process ", self, ": there are ", processes.size()));
  }
  absl::flat_hash_map<NodeId, int32_t> process_of;
  for (int32_t process = 0; process < static_cast<int32_t>(processes.size()); ++process) {
    for (const NodeId& node : processes[process].nodes) {
      const auto [place, is_new] = process_of.emplace(node, process);
      if (is_new) continue;
      return absl::InvalidArgumentError(absl::StrCat(ToString(node), " lives in process ",
                                                     place->second, " and in process ", process,
                                                     "; expected in one place"));
    }
  }
  return absl::OkStatus();
}

std::string DescribeProcess(const std::vector<ProcessAddress>& processes, int32_t process) {
  std::vector<std::string> names;
  for (const NodeId& node : processes[process].nodes) names.push_back(ToString(node));
  return absl::StrCat("process ", process, " (", absl::StrJoin(names, ", "), ")");
}

// The transport of one node of this process.
class FabricBase::Node : public Transport {
 public:
  Node(FabricBase& fabric, NodeId self)
      : fabric_(fabric), self_(self), matcher_(self, fabric.options_.early_bytes_limit) {}

  NodeId self() const override { return self_; }

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    if (message.returned != nullptr) *message.returned = false;
    const auto place = fabric_.process_of_.find(message.to);
    if (place == fabric_.process_of_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("send of ", ToString(message.tag), " from ",
                                                     ToString(self_), " to ", ToString(message.to),
                                                     ": no such node in this run"));
    }
    RM_ASSIGN_OR_RETURN(const OpId op, matcher_.AddSend(message.to, message.tag, message.returned));
    const OutgoingMessage started = {self_,
                                     message.to,
                                     message.tag,
                                     message.payload,
                                     &matcher_,
                                     op,
                                     message.returned != nullptr};
    if (place->second != fabric_.self_) {
      fabric_.SendRemote(place->second, started);
      return op;
    }
    const absl::StatusOr<bool> has_left = fabric_.SendLocal(*fabric_.nodes_[message.to], started);
    if (!has_left.ok() || *has_left) matcher_.FinishSend(op);
    fabric_.OnChange();
    if (!has_left.ok()) {
      fabric_.Abort(has_left.status());
      return has_left.status();
    }
    return op;
  }

  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    if (message.loan != nullptr) *message.loan = {};
    const auto place = fabric_.process_of_.find(message.from);
    if (place == fabric_.process_of_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("receive of ", ToString(message.tag), " at ", ToString(self_), " from ",
                       ToString(message.from), ": no such node in this run"));
    }
    RM_ASSIGN_OR_RETURN(const OpId op, matcher_.AddReceive(message));
    if (place->second != fabric_.self_)
      fabric_.OnPost(place->second, message.from, self_, message.tag);
    return op;
  }

  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    const int32_t process = fabric_.process_of_.at(from);
    if (process != fabric_.self_) return fabric_.ReturnLoan(process, loan);
    fabric_.nodes_.at(from)->matcher_.FinishSend(loan.handle, !loan.read_only);
    fabric_.OnChange();
  }

  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    return fabric_.WaitForAny(matcher_, absl::MakeConstSpan(&op, 1), deadline).status();
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    return fabric_.WaitForAny(matcher_, ops, deadline);
  }
  Activity activity(int64_t moved_before) override { return matcher_.activity(moved_before); }
  void Abort(const absl::Status& why) override {
    matcher_.Abort(why);
    fabric_.OnChange();
  }

  Matcher& matcher() { return matcher_; }

 private:
  FabricBase& fabric_;
  const NodeId self_;
  Matcher matcher_;
};

FabricBase::FabricBase(const FabricOptions& options) : options_(options) {}
FabricBase::~FabricBase() = default;

absl::Status FabricBase::SetProcesses(const std::vector<ProcessAddress>& processes, int32_t self) {
  RM_CHECK(self_ == -1);
  RM_RETURN_IF_ERROR(CheckProcesses(processes, self));
  for (int32_t process = 0; process < static_cast<int32_t>(processes.size()); ++process) {
    for (const NodeId& node : processes[process].nodes) {
      process_of_.emplace(node, process);
      if (process == self) nodes_[node] = std::make_unique<Node>(*this, node);
    }
  }
  processes_ = processes;
  self_ = self;
  absl::MutexLock lock(&abort_mutex_);
  placed_ = true;
  if (!aborted_.ok()) AbortNodes();
  return absl::OkStatus();
}

Transport& FabricBase::transport(NodeId node) {
  auto found = nodes_.find(node);
  RM_CHECK(found != nodes_.end());
  return *found->second;
}

void FabricBase::Abort(const absl::Status& why) {
  RM_CHECK(!why.ok());
  absl::MutexLock lock(&abort_mutex_);
  if (!aborted_.ok()) return;
  aborted_ = why;
  if (placed_) AbortNodes();
}

absl::Status FabricBase::aborted() {
  absl::MutexLock lock(&abort_mutex_);
  return aborted_;
}

absl::Status FabricBase::Connected() {
  absl::MutexLock lock(&abort_mutex_);
  connected_ = true;
  if (!aborted_.ok()) AbortNodes();
  return aborted_;
}

void FabricBase::AbortNodes() {
  for (auto& [id, node] : nodes_) {
    if (connected_) {
      node->Abort(aborted_);
    } else {
      node->matcher().Abort(aborted_);
    }
  }
  if (connected_) OnAbort();
}

void FabricBase::ConnectionEnded(const absl::Status& why) {
  if (options_.outlives_peers && absl::IsUnavailable(why)) {
    absl::MutexLock lock(&abort_mutex_);
    if (connected_) return;
  }
  Abort(why);
}

uint64_t FabricBase::changes() const {
  uint64_t changes = 0;
  for (const auto& [id, node] : nodes_) changes += node->matcher().changes();
  return changes;
}

void FabricBase::Forget(int32_t process) {
  RM_CHECK(process != self_ && process >= 0 && process < static_cast<int32_t>(processes_.size()));
  for (auto& [id, node] : nodes_) {
    for (const NodeId& lost : processes_[process].nodes) node->matcher().Forget(lost);
  }
  OnForget(process);
  OnChange();
}

absl::StatusOr<bool> FabricBase::SendLocal(Node& to, const OutgoingMessage& message) {
  const int64_t total_bytes = message.payload.size();
  RM_ASSIGN_OR_RETURN(
      Matcher::Operation* const arriving,
      to.matcher().BeginSegment({message.from, message.tag, total_bytes, 0, total_bytes}));
  if (arriving == nullptr) return true;
  // Whoever borrows what is only sent does not write it.
  auto* const memory = const_cast<std::byte*>(message.payload.data());
  const bool read_only = !message.lent;
  if (to.matcher().Lend(arriving, {absl::MakeSpan(memory, total_bytes), message.op, read_only}))
    return false;
  to.matcher().Append(arriving, message.payload);
  return true;
}

void FabricBase::ReturnLoan(int32_t process, const Loan& loan) {
  RM_CHECK(false);
}  // only who lends is given back to

absl::StatusOr<int> FabricBase::WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                           MonotonicTime deadline) {
  if (options_.wait == "spin") {
    const MonotonicTime end = std::min(deadline, MonotonicNow() + kSpin);
    for (int looks = 1; looks % kLooksPerTime != 0 || MonotonicNow() < end; ++looks) {
      const absl::StatusOr<int> done = matcher.Poll(ops);
      if (!done.ok() || *done >= 0) return done;
      _mm_pause();
    }
  }
  return matcher.WaitAny(ops, deadline);
}

absl::StatusOr<Matcher*> FabricBase::Recipient(int32_t process, NodeId sender, NodeId recipient) {
  auto from = process_of_.find(sender);
  if (from == process_of_.end() || from->second != process) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame from ", Describe(process), " says it is from ", ToString(sender)));
  }
  auto to = nodes_.find(recipient);
  if (to == nodes_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("a frame from ", Describe(process), " is for ",
                                                   ToString(recipient), ", who is not here"));
  }
  return &to->second->matcher();
}

absl::StatusOr<FrameArrival> FabricBase::BeginFrame(int32_t process, const FrameHeader& header) {
  RM_ASSIGN_OR_RETURN(Matcher* const matcher, Recipient(process, header.from, header.to));
  RM_ASSIGN_OR_RETURN(Matcher::Operation* const message,
                      matcher->BeginSegment({header.from, header.tag, header.total_bytes,
                                             header.offset, header.length}));
  return FrameArrival{matcher, message};
}

}  // namespace ringmaster
