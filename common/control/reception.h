#ifndef RINGMASTER_COMMON_CONTROL_RECEPTION_H_
#define RINGMASTER_COMMON_CONTROL_RECEPTION_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/transport/socket.h"

namespace ringmaster {

// Where the processes of a run come in: listens for the coordinator and hands it every connection.
// It listens itself, and not gRPC, so that each reason why nobody comes in has its own text.
class Reception {
 public:
  // Listens at `where`: at those addresses of its host that this machine has. A name that does not
  // resolve yet, or not to an address of this machine, is looked up again until `deadline`, and the
  // first time is said in the log. Unavailable: the port is taken, the address is not this
  // machine's, or what the name was at the deadline.
  static absl::StatusOr<std::unique_ptr<Reception>> Open(const HostPort& where,
                                                         MonotonicTime deadline);

  ~Reception() { Close(); }

  // From here on a thread calls `take` with every connection, which does not block.
  void Start(std::function<void(Fd)> take);
  // Ends that thread. No connection is taken any more.
  void Close();

  // Where processes of this machine connect: numeric, and loopback where every address is listened
  // at.
  const HostPort& endpoint() const { return endpoint_; }

  // An address of this machine by which a process of another came in, for those that listen at
  // `wildcard` and know only loopback; loopback as long as none did. Thread-safe.
  std::string ReachedAt(const std::string& wildcard) const;

  // What keeps processes out, as far as this end knows; empty: nothing. "the name ... is loopback
  // here ...", "it cannot accept connections: ...". Thread-safe.
  std::string Hindrance() const;

 private:
  Reception() = default;
  absl::Status Listen(const HostPort& where);
  void Run();
  bool AcceptAll(int listener);
  void NoteReached(const std::string& host);

  // Constant once open.
  std::vector<Fd> listeners_;
  HostPort endpoint_;
  std::string only_loopback_;  // empty: other machines can reach it, or were never meant to
  Fd wake_;
  std::function<void(Fd)> take_;
  std::thread thread_;

  mutable absl::Mutex mutex_;
  std::string reached_v4_ ABSL_GUARDED_BY(mutex_);  // the first of this kind; empty: none
  std::string reached_v6_ ABSL_GUARDED_BY(mutex_);
  // why the last connection could not be accepted; empty: it was
  std::string refused_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_RECEPTION_H_
