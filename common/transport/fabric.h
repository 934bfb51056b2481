#ifndef RINGMASTER_COMMON_TRANSPORT_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_FABRIC_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/network/network_shape.h"
#include "common/security/credentials.h"
#include "common/tensor/tensor.h"
#include "common/transport/transport.h"

namespace ringmaster {

// How a process reaches the data plane of the run.
struct FabricOptions {
  std::string name;  // "grpc", "tcp", "shm", "inproc" or "auto"
  std::string listen_address =
      "127.0.0.1";             // numeric, "[::1]:4000" or without port: then the system chooses one
  JobCredentials credentials;  // of the job: strange processes are turned away
  // largest payload of a frame, a multiple of 4; the same in all processes
  int64_t segment_bytes = 1 << 20;
  std::string wait = "sleep";             // or "spin": waits look for a while before they sleep
  int64_t early_bytes_limit = 256 << 20;  // kept for receives not yet posted
  std::optional<NetworkShape> network;    // absent: as fast as the wire is
  // A peer whose connection ends aborts nobody: what is sent to it or expected of it waits until it
  // is forgotten (Fabric::Forget).
  bool outlives_peers = false;
};

// One process of the run as its peers see it.
struct ProcessAddress {
  std::string endpoint;       // "127.0.0.1:41234"; empty for inproc
  std::vector<NodeId> nodes;  // who lives there
};

// The data plane of one process: a listener and one connection to every other process, shared by
// the nodes that live here. Messages between nodes of one process are copied in memory and never
// touch the wire.
//
// Life: Create (listens) -> endpoint() -> Connect (all processes known) -> transport(node) ... ->
// destruction, which ends all I/O threads within milliseconds, whatever the peers do. Connect is
// called once; the rest is thread-safe. A peer whose connection ends aborts all nodes here with
// Unavailable, which names the peer's nodes, unless FabricOptions.outlives_peers; what it sent last
// may be lost then, so processes leave after a barrier.
class Fabric {
 public:
  virtual ~Fabric() = default;

  // Where peers reach this process; empty for inproc.
  virtual std::string endpoint() const = 0;

  // Connects to all other processes; `self` is this one's index in `processes`, the same list
  // everywhere. Waits until every pair with this process is connected or the deadline passes
  // (DeadlineExceeded names the processes that are missing). PermissionDenied: a peer refused this
  // process's token. Unavailable: nobody listens at a peer's endpoint. FailedPrecondition: a peer
  // runs with another protocol version, segment size or list of processes; or "shm" is asked for
  // and the processes could not prove that they are on one host.
  virtual absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                               MonotonicTime deadline) = 0;

  // The transport of a node that lives in this process (RM_CHECKed); owned by the fabric, valid
  // while it lives. After Connect.
  virtual Transport& transport(NodeId node) = 0;

  // Bytes of framing that the fabric adds to a message of `payload_bytes` (all its segments)
  // between a node here and `peer`, a node of the run, for metering.
  virtual int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const = 0;

  // The transport that runs: what FabricOptions names, or, after Connect, what "auto" has chosen;
  // "shm+tcp" where it has chosen each for some of the other processes.
  virtual std::string name() const = 0;

  // The transport between the nodes here and `peer`, a node of another process of the run: one
  // name, "tcp". After Connect. Any thread.
  virtual std::string WireTo(NodeId peer) const { return name(); }

  // Host memory, not initialized, that the fabric moves fastest: peers on this host may read it in
  // place. For what is exchanged again and again; at start, after Connect. The buffer may outlive
  // the fabric. ResourceExhausted: there is no memory.
  virtual absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) {
    return Buffer::AllocateHost(size_bytes);
  }

  // Aborts the transports of all nodes that live here.
  virtual void Abort(const absl::Status& why) = 0;

  // The other process `process` is lost, whatever its connection does, and the nodes here go on
  // without its nodes. Operations with them end, now and later: sends as if their bytes had left,
  // receives with Received.lost, or with Unavailable where they have no Received. What has arrived
  // whole where it was expected stays; what came early is dropped. Memory that it has lent stays
  // readable and may be returned. Nobody else is disturbed. After Connect. Any thread. A shaped
  // network does not outlive a process: all nodes here are aborted.
  virtual void Forget(int32_t process) = 0;
};

// The fabric that `options.name` names, listening. InvalidArgument: an unknown name, or limits that
// make no sense. Unavailable: it cannot listen (a busy port, an address not of this machine).
absl::StatusOr<std::unique_ptr<Fabric>> CreateFabric(const FabricOptions& options);

// The registry: names that CreateFabric takes, with a sentence each, for `list` and validation.
struct TransportInfo {
  const char* name;
  const char* summary;
};
absl::Span<const TransportInfo> Transports();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_FABRIC_H_
