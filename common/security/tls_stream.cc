#include "common/security/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/host_port.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

constexpr size_t kInputBytes = 128 << 10;
// Sent as soon as there is so much: the other end decrypts while this one encrypts on.
constexpr size_t kOutputBytes = 64 << 10;

constexpr char kMakeOthers[] =
    "; make new ones with `ringmaster keygen DIR --host HOST ...`, which "
    "names all machines, and give every process the same folder";

// What the other end's refusal of this end's certificate means; null: it refuses something else.
const char* AlertText(int reason) {
  switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "certificate has expired";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "another authority has signed it: it is another job's";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "it is no certificate of this job";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
      return "it was not shown one";
    default:
      return nullptr;
  }
}

// What is wrong with the other end's certificate.
std::string VerifyText(long result) {
  switch (result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "another authority has signed it: it is another job's";
    default:
      return X509_verify_cert_error_string(result);
  }
}

struct FreeOpenssl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

}  // namespace

// OpenSSL's calls for bytes.
struct TlsBio {
  static BIO_METHOD* Method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* const made =
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ringmaster socket");
      RM_CHECK(made != nullptr);
      BIO_meth_set_read(made, &TlsStream::OnReceive);
      BIO_meth_set_write(made, &TlsStream::OnSend);
      BIO_meth_set_ctrl(made, &TlsStream::OnControl);
      return made;
    }();
    return method;
  }
};

void TlsStream::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsStream::TlsStream(std::shared_ptr<const TlsIdentity> identity, int fd)
    : identity_(std::move(identity)), fd_(fd), ssl_(SSL_new(identity_->context())) {
  RM_CHECK(ssl_ != nullptr);
  BIO* const bio = BIO_new(TlsBio::Method());
  RM_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsStream::~TlsStream() = default;

std::unique_ptr<TlsStream> TlsStream::Dial(std::shared_ptr<const TlsIdentity> identity, int fd,
                                           const std::string& host, const std::string& protocol) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(identity), fd));
  stream->host_ = host;
  absl::MutexLock lock(&stream->mutex_);
  SSL* const ssl = stream->ssl_.get();
  SSL_set_connect_state(ssl);
  X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(
      checks, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (IsNumericAddress(host)) {
    const std::string address = host.substr(0, host.find('%'));
    RM_CHECK(X509_VERIFY_PARAM_set1_ip_asc(checks, address.c_str()) == 1);
  } else {
    RM_CHECK(X509_VERIFY_PARAM_set1_host(checks, host.data(), host.size()) == 1);
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
  if (!protocol.empty()) {
    const std::string wire = static_cast<char>(protocol.size()) + protocol;
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()), wire.size());
  }
  return stream;
}

std::unique_ptr<TlsStream> TlsStream::Answer(std::shared_ptr<const TlsIdentity> identity, int fd) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(identity), fd));
  absl::MutexLock lock(&stream->mutex_);
  SSL_set_accept_state(stream->ssl_.get());
  return stream;
}

absl::StatusOr<TlsStream::Awaits> TlsStream::Handshake() {
  absl::MutexLock lock(&mutex_);
  if (!why_.ok()) return why_;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  // Whatever came of it: an alert tells the other end.
  const int flushed = FlushLocked();
  if (result == 1) return has_output() ? Awaits::kOutput : Awaits::kNothing;
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ && flushed >= 0)
    return has_output() ? Awaits::kOutput : Awaits::kInput;
  if (error == SSL_ERROR_WANT_READ) {
    why_ = absl::UnavailableError(ErrorText(errno));
  } else {
    ErrnoOf(error);
  }
  if (why_.ok()) {
    why_ = absl::UnavailableError(
        is_closed_ ? "the other end closed the connection before it had shown a certificate; does "
                     "it speak TLS too?"
                   : ErrorText(socket_error_));
  }
  return why_;
}

ssize_t TlsStream::Read(absl::Span<const iovec> pieces, bool from_socket) {
  absl::MutexLock lock(&mutex_);
  from_socket_ = from_socket;
  ssize_t total = 0;
  for (const iovec& piece : pieces) {
    size_t place = 0;
    while (place < piece.iov_len) {
      ERR_clear_error();
      size_t count = 0;
      const int result = SSL_read_ex(ssl_.get(), static_cast<char*>(piece.iov_base) + place,
                                     piece.iov_len - place, &count);
      if (result == 1) {
        place += count;
        total += static_cast<ssize_t>(count);
        continue;
      }
      const int error = SSL_get_error(ssl_.get(), result);
      if (total > 0) return total;  // what stopped it is found again
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      errno = ErrnoOf(error);
      return errno == 0 ? 0 : -1;
    }
  }
  return total;
}

bool TlsStream::HoldsInput() {
  absl::MutexLock lock(&mutex_);
  return input_begin_ < input_end_ || SSL_has_pending(ssl_.get()) == 1;
}

void TlsStream::ReadAhead() {
  absl::MutexLock lock(&mutex_);
  input_.resize(kInputBytes);
}

ssize_t TlsStream::Write(absl::Span<const iovec> pieces) {
  absl::MutexLock lock(&mutex_);
  ssize_t total = 0;
  for (const iovec& piece : pieces) {
    for (size_t place = 0; place < piece.iov_len;) {
      if (FlushLocked() < 0) return total > 0 ? total : -1;
      if (has_output()) {
        errno = EAGAIN;
        return total > 0 ? total : -1;
      }
      const size_t count = std::min(piece.iov_len - place, kOutputBytes);
      ERR_clear_error();
      size_t written = 0;
      const int result = SSL_write_ex(ssl_.get(), static_cast<const char*>(piece.iov_base) + place,
                                      count, &written);
      if (result != 1) {
        const int error = ErrnoOf(SSL_get_error(ssl_.get(), result));
        errno = error == 0 ? EPIPE : error;
        return total > 0 ? total : -1;
      }
      place += written;
      total += static_cast<ssize_t>(written);
    }
  }
  if (FlushLocked() < 0 && total == 0) return -1;
  return total;
}

bool TlsStream::HasOutput() {
  absl::MutexLock lock(&mutex_);
  return has_output();
}

int TlsStream::Flush() {
  absl::MutexLock lock(&mutex_);
  return FlushLocked();
}

absl::Status TlsStream::why() {
  absl::MutexLock lock(&mutex_);
  return why_;
}

int TlsStream::FlushLocked() {
  const size_t before = output_sent_;
  while (has_output()) {
    const ssize_t sent =
        send(fd_, output_.data() + output_sent_, output_.size() - output_sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (sent < 0) return -1;
    output_sent_ += static_cast<size_t>(sent);
  }
  const bool any = output_sent_ > before;
  if (!has_output()) {
    output_.clear();
    output_sent_ = 0;
  }
  return any ? 1 : 0;
}

int TlsStream::ErrnoOf(int error) {
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return EAGAIN;
  if (socket_error_ != 0) return socket_error_;
  // The last is the handshake's own; others before it say more of how than of what.
  const unsigned long said = ERR_peek_last_error();
  const int reason = said == 0 ? 0 : ERR_GET_REASON(said);
  const long verified = SSL_get_verify_result(ssl_.get());
  if (!why_.ok()) {
    // The first reason is the reason.
  } else if (verified != X509_V_OK) {
    why_ = absl::PermissionDeniedError(
        absl::StrCat("the certificate that the other end shows",
                     host_.empty() ? "" : absl::StrCat(" at ", host_),
                     " is refused: ", VerifyText(verified), kMakeOthers));
  } else if (const char* const refusal = AlertText(reason); refusal != nullptr) {
    why_ = absl::PermissionDeniedError(
        absl::StrCat("the other end refuses this process's certificate: ", refusal, kMakeOthers));
  } else if (is_closed_) {
    return 0;
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    why_ = absl::PermissionDeniedError("the other end shows no certificate");
  } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
    why_ = absl::UnavailableError(
        "the other end speaks no TLS; give all processes --tls, or none of them");
  } else {
    const char* const text = said == 0 ? nullptr : ERR_reason_error_string(said);
    why_ = absl::UnavailableError(
        absl::StrCat("TLS failed: ", text == nullptr ? "unknown error" : text));
  }
  ERR_clear_error();
  return EPROTO;
}

int TlsStream::OnReceive(bio_st* bio, char* data, int size) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  // The stream has called OpenSSL, which calls back: the mutex is held.
  return static_cast<TlsStream*>(BIO_get_data(bio))->Receive(bio, data, size);
}

int64_t TlsStream::FromSocket(bio_st* bio, char* to, size_t room) {
  ssize_t count;
  do {
    count = from_socket_ ? recv(fd_, to, room, MSG_DONTWAIT) : -1;
    if (!from_socket_) errno = EAGAIN;
  } while (count < 0 && errno == EINTR);
  if (count == 0) is_closed_ = true;
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    BIO_set_retry_read(bio);
  } else if (count < 0) {
    socket_error_ = errno;
  }
  return count;
}

int TlsStream::Receive(bio_st* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  if (input_.empty()) return static_cast<int>(FromSocket(bio, data, static_cast<size_t>(size)));
  if (input_begin_ == input_end_) {
    const int64_t count = FromSocket(bio, input_.data(), input_.size());
    if (count <= 0) return static_cast<int>(count);
    input_begin_ = 0;
    input_end_ = static_cast<size_t>(count);
  }
  const size_t count = std::min(static_cast<size_t>(size), input_end_ - input_begin_);
  std::memcpy(data, input_.data() + input_begin_, count);
  input_begin_ += count;
  return static_cast<int>(count);
}

int TlsStream::OnSend(bio_st* bio, const char* data, int size) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<char>& output = static_cast<TlsStream*>(BIO_get_data(bio))->output_;
  output.insert(output.end(), data, data + size);
  return size;
}

long TlsStream::OnControl(bio_st*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

bool SpeaksTls(int fd, MonotonicTime deadline) {
  const std::unique_ptr<SSL_CTX, FreeOpenssl> context(SSL_CTX_new(TLS_client_method()));
  RM_CHECK(context != nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const std::unique_ptr<SSL, FreeOpenssl> ssl(SSL_new(context.get()));
  // OpenSSL's own calls for a socket raise SIGPIPE where the other end has closed.
  BIO* const input = BIO_new(BIO_s_mem());
  BIO* const output = BIO_new(BIO_s_mem());
  RM_CHECK(ssl != nullptr && input != nullptr && output != nullptr);
  SSL_set_bio(ssl.get(), input, output);
  SSL_set_connect_state(ssl.get());
  bool speaks = false;
  char bytes[4096];
  for (;;) {
    const int done = SSL_do_handshake(ssl.get());
    speaks = done == 1;
    if (speaks || SSL_get_error(ssl.get(), done) != SSL_ERROR_WANT_READ) break;
    const int said = BIO_read(output, bytes, sizeof(bytes));
    if (said > 0 && send(fd, bytes, said, MSG_NOSIGNAL) != said) break;
    const absl::Duration left = std::min(deadline - MonotonicNow(), absl::Hours(1));
    if (left <= absl::ZeroDuration()) break;
    pollfd polled = {fd, POLLIN, 0};
    poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(left)));
    const ssize_t heard = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (heard > 0) BIO_write(input, bytes, static_cast<int>(heard));
    if (heard == 0 || (heard < 0 && errno != EAGAIN && errno != EINTR)) break;
  }
  ERR_clear_error();
  return speaks;
}

}  // namespace ringmaster
