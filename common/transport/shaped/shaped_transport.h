#ifndef RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_TRANSPORT_H_
#define RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_TRANSPORT_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/network/flow_network.h"
#include "common/transport/forwarding.h"
#include "common/transport/transport.h"
#include "common/transport/wake.h"

namespace ringmaster {

// How a ShapedTransport hands a message to the network. Any thread.
class NetworkEntrance {
 public:
  virtual ~NetworkEntrance() = default;
  // Whether messages to `peer` cross the network.
  virtual bool Crosses(NodeId peer) const = 0;
  // Lets `message` enter the network at `now`, on its clock; ShapedTransport::Tell says later what
  // became of it. ResourceExhausted: too many messages are under way.
  virtual absl::Status Start(const FlowNetwork::Message& message, Nanoseconds now) = 0;
};

// A node's transport whose messages take the time that a network gives them. Their bytes are
// carried by the transport underneath as soon as they are sent; what is held back is the knowledge
// of them: a send's wait is over when the message has left through its card, a receive's when it
// has arrived. So the time at which a message arrives does not depend on when somebody waits for
// it, and copying and adding happen meanwhile, as on a network that is slower than memory.
//
// A message crosses the network as a whole: memory is lent within a process only.
class ShapedTransport : public ForwardingTransport {
 public:
  // `below` and `entrance` outlive this object.
  ShapedTransport(Transport& below, NetworkEntrance& entrance)
      : ForwardingTransport(below), entrance_(entrance) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override;
  absl::StatusOr<OpId> Receive(const Incoming& message) override;
  absl::Status Wait(OpId op, MonotonicTime deadline) override;
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override;
  void Abort(const absl::Status& why) override;

  // The outcome, due now, of a message from or to this node.
  void Tell(const FlowNetwork::Notice& notice);

 private:
  // An operation whose message crosses the network: done when both are true.
  struct Crossing {
    NodeId peer;
    Tag tag;
    bool is_send = false;
    bool moved = false;   // below: its bytes are where they belong, and it has been waited for
    bool passed = false;  // it has left, or arrived
  };
  // A thread's sleep in the transport below, which Tell ends.
  struct Sleeper {
    Sleeper(Transport& transport, int32_t stream) : wake(transport, stream) {}
    Wake wake;
  };

  Sleeper* TakeSleeper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Consumes the first of `ops` that is done and returns its place; -1, with those that the
  // transport below has yet to finish in `pending`, as places in `ops`.
  int TakeDone(absl::Span<const OpId> ops, std::vector<int>* pending)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Late(absl::Span<const OpId> ops, absl::Duration waited)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  NetworkEntrance& entrance_;

  absl::Mutex mutex_;
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);  // by this object's Abort
  absl::flat_hash_map<OpId, Crossing> crossings_ ABSL_GUARDED_BY(mutex_);
  // by message, until they have left
  absl::flat_hash_map<uint64_t, OpId> sends_ ABSL_GUARDED_BY(mutex_);
  // by message, posted and yet to arrive
  absl::flat_hash_map<uint64_t, OpId> receives_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<uint64_t> arrived_ ABSL_GUARDED_BY(mutex_);  // and yet to be posted
  std::vector<std::unique_ptr<Sleeper>> sleepers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Sleeper*> awake_ ABSL_GUARDED_BY(mutex_);   // of sleepers_, used by no thread
  std::vector<Sleeper*> asleep_ ABSL_GUARDED_BY(mutex_);  // of sleepers_
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHAPED_SHAPED_TRANSPORT_H_
