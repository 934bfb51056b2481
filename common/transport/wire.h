#ifndef RINGMASTER_COMMON_TRANSPORT_WIRE_H_
#define RINGMASTER_COMMON_TRANSPORT_WIRE_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "common/base/fd.h"
#include "common/security/tls_stream.h"

namespace ringmaster {

// A connected socket that does not block, with TLS over it or in clear.
struct Wire {
  Wire() = default;
  explicit Wire(Fd socket) : fd(std::move(socket)) {}

  Fd fd;
  std::unique_ptr<TlsStream> tls;  // null: in clear. Uses fd; goes before it

  bool valid() const { return fd.valid(); }

  // As recv and send, each for a whole message that is short; nobody is signalled.
  ssize_t Read(void* data, size_t size) {
    const iovec piece = {data, size};
    return tls == nullptr ? recv(fd.get(), data, size, MSG_DONTWAIT) : tls->Read({&piece, 1});
  }
  ssize_t Write(const void* data, size_t size) {
    const iovec piece = {const_cast<void*>(data), size};
    return tls == nullptr ? send(fd.get(), data, size, MSG_NOSIGNAL) : tls->Write({&piece, 1});
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_WIRE_H_
