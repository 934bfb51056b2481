#ifndef RINGMASTER_COMMON_TRANSPORT_FABRIC_BASE_H_
#define RINGMASTER_COMMON_TRANSPORT_FABRIC_BASE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/fabric.h"
#include "common/transport/frame.h"
#include "common/transport/matcher.h"
#include "common/transport/transport.h"

namespace ringmaster {

// A started send on its way out. Whoever carries it calls sender->FinishSend(op) once the payload
// is no longer read.
struct OutgoingMessage {
  NodeId from;
  NodeId to;
  Tag tag;
  absl::Span<const std::byte> payload;
  Matcher* sender = nullptr;
  OpId op = 0;
  bool lent = false;  // the peer may borrow the payload, and write it

  // The header of the frame that begins at `offset` of the payload.
  FrameHeader Frame(int64_t offset, int64_t segment_bytes) const;
};

// Where the bytes of a segment go; no message: they are dropped.
struct FrameArrival {
  Matcher* matcher = nullptr;
  Matcher::Operation* message = nullptr;
};

// What Connect is told must make sense. InvalidArgument: a node lives twice, or `self` is no index.
absl::Status CheckProcesses(const std::vector<ProcessAddress>& processes, int32_t self);

// "process 1 (worker/1, server/0)"
std::string DescribeProcess(const std::vector<ProcessAddress>& processes, int32_t process);

// What all fabrics share: the nodes of this process with their matchers, who lives where, and
// messages between two nodes of this process, which are copied (or added) by the sender's thread,
// or borrowed by the receiver. What is left to a fabric is to carry frames to and from other
// processes. A fabric's destructor ends its I/O before this one's runs.
class FabricBase : public Fabric {
 public:
  ~FabricBase() override;

  // How long a wait looks before it sleeps, where FabricOptions.wait is "spin".
  static constexpr absl::Duration kSpin = absl::Microseconds(200);
  static constexpr int kLooksPerTime = 64;  // between two looks at the clock

  std::string name() const override { return options_.name; }
  Transport& transport(NodeId node) override;
  void Abort(const absl::Status& why) override;
  void Forget(int32_t process) override;

 protected:
  explicit FabricBase(const FabricOptions& options);

  // Checks and keeps the list of processes and creates the nodes of this one. InvalidArgument: a
  // node lives twice, or `self` is no index. Called once, by Connect, before anything below.
  absl::Status SetProcesses(const std::vector<ProcessAddress>& processes, int32_t self);

  // The reason of the first abort, or OK. For what waits while processes are being connected. Any
  // thread.
  absl::Status aborted();

  // Ends a successful Connect. From here on Abort reaches the nodes; one that came while processes
  // were still being connected does so now, and its status is Connect's.
  absl::Status Connected();

  // Starts to carry a message to another process; never waits for it. Any thread.
  virtual void SendRemote(int32_t process, const OutgoingMessage& message) = 0;

  // The nodes are aborted: drop what is queued. Any thread; once, not before Connected.
  virtual void OnAbort() = 0;

  // Process `process` is lost: end what is queued for it, and its connection. Any thread; not
  // before Connected.
  virtual void OnForget(int32_t process) = 0;

  // A connection has ended or failed as `why` says: aborts the nodes, unless the options say that
  // they outlive it. Any thread.
  void ConnectionEnded(const absl::Status& why);

  // The matcher of `to`, who lives here, for what `from` sent. InvalidArgument: `from` does not
  // live in `process`, or `to` not here.
  absl::StatusOr<Matcher*> Recipient(int32_t process, NodeId from, NodeId to);

  // Waits for one of `ops`, which are `matcher`'s, as Transport::WaitAny. A fabric whose waiters
  // carry the bytes themselves has its own.
  virtual absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                         MonotonicTime deadline);
  // A receive from `from`, who lives in `process`, was posted at `to`. Any thread.
  virtual void OnPost(int32_t process, NodeId from, NodeId to, const Tag& tag) {}
  // A node here gives back what a node of `process`, which is another, has lent. Any thread.
  virtual void ReturnLoan(int32_t process, const Loan& loan);
  // Operations of other threads than the caller's may be over. Any thread.
  virtual void OnChange() {}

  // Where a frame that came from `process` goes, its next segment opened. InvalidArgument: the
  // frame names nodes that do not live there or here; and Matcher::BeginSegment's errors.
  absl::StatusOr<FrameArrival> BeginFrame(int32_t process, const FrameHeader& header);

  // Where a node of the run lives. After SetProcesses. Any thread.
  int32_t ProcessOf(NodeId node) const { return process_of_.at(node); }

  // Grows with every operation that is done at a node here: while it stays the same, no thread has
  // anything to wake up for. After SetProcesses. Any thread.
  uint64_t changes() const;

  std::string Describe(int32_t process) const { return DescribeProcess(processes_, process); }

  const FabricOptions& options() const { return options_; }
  int32_t self() const { return self_; }
  const std::vector<ProcessAddress>& processes() const { return processes_; }

 private:
  class Node;

  // Brings a message to a node of this process. True when its bytes have left the sender's memory;
  // false: they are borrowed.
  absl::StatusOr<bool> SendLocal(Node& to, const OutgoingMessage& message);

  const FabricOptions options_;
  // Constant after SetProcesses.
  int32_t self_ = -1;
  std::vector<ProcessAddress> processes_;
  absl::flat_hash_map<NodeId, int32_t> process_of_;
  absl::flat_hash_map<NodeId, std::unique_ptr<Node>> nodes_;

  // Nodes refuse everything from now on, though Connect fails for it; before Connected() nobody
  // waits yet, and what OnChange and OnAbort look at is being made.
  void AbortNodes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(abort_mutex_);

  absl::Mutex abort_mutex_;
  absl::Status aborted_ ABSL_GUARDED_BY(abort_mutex_);
  bool placed_ ABSL_GUARDED_BY(abort_mutex_) = false;  // SetProcesses is through: there are nodes
  bool connected_ ABSL_GUARDED_BY(abort_mutex_) = false;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_FABRIC_BASE_H_
