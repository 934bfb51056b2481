#ifndef RINGMASTER_COMMON_SECURITY_TLS_STREAM_H_
#define RINGMASTER_COMMON_SECURITY_TLS_STREAM_H_

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/security/tls_identity.h"

struct ssl_st;  // OpenSSL's SSL
struct bio_st;  // its BIO

namespace ringmaster {

// TLS over one connected socket that does not block. Read and Write are as readv and sendmsg are on
// the socket itself. Thread-safe: one thread may read while others write; they take turns within.
class TlsStream {
 public:
  // What the handshake waits for.
  enum class Awaits { kNothing, kInput, kOutput };

  // This end of the socket `fd`, which outlives the stream. Whoever dials checks that the other
  // end's certificate names `host`, the name or numeric address that was dialled. `protocol` is
  // what is spoken within (ALPN), where somebody asks; empty: nobody does.
  static std::unique_ptr<TlsStream> Dial(std::shared_ptr<const TlsIdentity> identity, int fd,
                                         const std::string& host, const std::string& protocol = "");
  static std::unique_ptr<TlsStream> Answer(std::shared_ptr<const TlsIdentity> identity, int fd);
  ~TlsStream();

  // Goes on with the handshake; call it again when the socket is ready for what it awaits. That
  // nothing is awaited any more says to who dialled that the other end is who it should be; what
  // the other end finds of this one's certificate comes with the first Read. PermissionDenied:
  // either end refuses the other's certificate; the text says why. Unavailable: the connection
  // broke, or the other end speaks no TLS.
  absl::StatusOr<Awaits> Handshake();

  // Fills `pieces` with what has arrived, as far as it goes; `from_socket`: and with what can be
  // received. Returns the bytes; 0: the other end has closed; -1 with errno, EAGAIN where nothing
  // is there, and EPROTO where TLS has failed, as why() says.
  ssize_t Read(absl::Span<const iovec> pieces, bool from_socket = true);

  // Whether Read without the socket may give more. Nobody is told by the socket of what is here.
  bool HoldsInput();

  // From here on what can be received is, more than one record at a time. Before, nothing beyond
  // the record that is read leaves the socket.
  void ReadAhead();

  // Encrypts and sends the pieces, as far as the socket takes them. Returns the bytes that were
  // taken, which are no longer looked at: the last of them may still be unsent (HasOutput). -1 with
  // errno, as Read.
  ssize_t Write(absl::Span<const iovec> pieces);

  // Whether something is encrypted and not sent: Flush when the socket takes more. Flush returns
  // whether it sent anything, -1 with errno.
  bool HasOutput();
  int Flush();

  // Why TLS has failed; OK where it has not. Codes as Handshake's.
  absl::Status why();

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  TlsStream(std::shared_ptr<const TlsIdentity> identity, int fd);

  static int OnReceive(bio_st* bio, char* data, int size);
  static int OnSend(bio_st* bio, const char* data, int size);
  static long OnControl(bio_st* bio, int command, long number, void* pointer);
  friend struct TlsBio;

  // What the socket has, at most `room` bytes; 0: it is closed; below 0: nothing now, or an error.
  int64_t FromSocket(bio_st* bio, char* to, size_t room) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int Receive(bio_st* bio, char* data, int size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool has_output() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return output_sent_ < output_.size();
  }
  // After a call that failed with `error`, as SSL_get_error says; keeps the reason.
  int ErrnoOf(int error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const TlsIdentity> identity_;
  const int fd_;
  std::string host_;  // that was dialled; empty: this end answers

  absl::Mutex mutex_;
  std::unique_ptr<ssl_st, Free> ssl_ ABSL_GUARDED_BY(mutex_);
  std::vector<char> input_ ABSL_GUARDED_BY(mutex_);  // received ahead; empty: record by record
  size_t input_begin_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t input_end_ ABSL_GUARDED_BY(mutex_) = 0;
  bool from_socket_ ABSL_GUARDED_BY(mutex_) = true;
  std::vector<char> output_ ABSL_GUARDED_BY(mutex_);  // encrypted, from output_sent_ on unsent
  size_t output_sent_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;  // by the other end
  int socket_error_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

// Whether whoever is at the other end of the connected socket `fd`, which does not block, answers
// the beginning of TLS. Believes whoever it is, and tells nothing; the connection is of no further
// use. Blocks, at most until `deadline`; false also for an end that is silent or closes.
bool SpeaksTls(int fd, MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_TLS_STREAM_H_
