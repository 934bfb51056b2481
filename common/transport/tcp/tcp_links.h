#ifndef RINGMASTER_COMMON_TRANSPORT_TCP_TCP_LINKS_H_
#define RINGMASTER_COMMON_TRANSPORT_TCP_TCP_LINKS_H_

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/fd.h"
#include "common/transport/fabric_base.h"
#include "common/transport/frame.h"
#include "common/transport/tcp/connection.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The connections of a process to those others that it reaches by sockets, and what polls them.
// There is no thread behind it: somebody looks, or awaits events and serves them.
class TcpLinks {
 public:
  // What it needs of its fabric; outlives this object.
  struct Home {
    // Where a frame that came from a process goes: FabricBase::BeginFrame.
    std::function<absl::StatusOr<FrameArrival>(int32_t process, const FrameHeader& header)> begin;
    // A connection has ended or failed. Any thread.
    std::function<void(int32_t process, const absl::Status& why)> ended;
  };
  using Events = std::array<epoll_event, 32>;

  TcpLinks(int64_t segment_bytes, Home home);

  // Begins with the wires of a finished handshake, by process; processes without one are not
  // reached. Once, before anything below. Unavailable: the system has no descriptors left.
  absl::Status Open(std::vector<Wire> wires);

  bool Reaches(int32_t process) const { return connections_[process] != nullptr; }

  // Starts to carry a message to a process that is reached. Any thread; never waits.
  void Send(int32_t process, const OutgoingMessage& message);

  // Ends all sends, those queued and later ones. Any thread.
  void DropSends();

  // Ends the sends to a process that is reached, and its connection. Any thread.
  void Forget(int32_t process);

  // Moves what can be moved without waiting; whether there was any. One thread at a time, the same
  // as Serve.
  bool Look();

  // Sleeps until there is something to move, for `limit` (0 to a minute), or until roused; returns
  // how many events there are. Any thread, beside Look and Serve too.
  int Await(absl::Duration limit, Events* events) const;

  // Moves what awaited events announce; whether there was any. One thread at a time.
  bool Serve(absl::Span<const epoll_event> events);

  // Ends the sleep of an Await, this one or the next. Any thread.
  void Rouse();

 private:
  bool ServeProcess(int32_t process);
  absl::StatusOr<bool> ReadAndWrite(int32_t process, Connection& connection);

  const int64_t segment_bytes_;
  const Home home_;
  Fd epoll_;
  Fd wake_;
  // by process, none to itself; constant after Open
  std::vector<std::unique_ptr<Connection>> connections_;
  int32_t reached_ = 0;                   // how many there are
  std::unique_ptr<std::byte[]> scratch_;  // of who polls
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TCP_TCP_LINKS_H_
