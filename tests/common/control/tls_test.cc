// The control channel by TLS, and strangers at its port: real sockets.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/monotonic.h"
#include "common/control/control_client.h"
#include "common/control/coordinator.h"
#include "common/security/certificates.h"
#include "common/security/tls_identity.h"
#include "common/transport/socket.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(30);
constexpr char kHttp2Preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

using Identity = std::shared_ptr<const TlsIdentity>;

Identity NewIdentity(absl::Duration validity = absl::Hours(1)) {
  CertificateOptions options;
  options.validity = validity;
  return *TlsIdentity::Of(*MakeCertificates(options));
}

std::unique_ptr<Coordinator> Lead(const Identity& identity,
                                  const std::string& address = "127.0.0.1",
                                  absl::Duration introduction_limit = absl::Seconds(10)) {
  CoordinatorOptions options;
  options.listen_at = {address, 0};
  options.credentials = {"the token", identity};
  options.processes = 1;
  options.join_limit = kLimit;
  options.silence_limit = kLimit;
  options.introduction_limit = introduction_limit;
  auto coordinator = Coordinator::Start(options);
  EXPECT_TRUE(coordinator.ok()) << coordinator.status();
  return *std::move(coordinator);
}

absl::StatusOr<std::unique_ptr<ControlClient>> Attend(const HostPort& endpoint,
                                                      const Identity& identity,
                                                      absl::Duration limit = kLimit) {
  Join join;
  join.set_processes(1);
  join.set_data_endpoint("127.0.0.1:4000");
  join.add_nodes();
  return ControlClient::Attend(
      endpoint, {"the token", identity}, join, MonotonicNow() + limit, [](const absl::Status&) {},
      [] { return Heartbeat(); }, absl::Milliseconds(50));
}

void Expect(const absl::Status& status, absl::StatusCode code, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status << " lacks " << part;
}

TEST(ControlTls, ARunIsLedFromJoinToGoodbyeByNameAndByAddress) {
  const Identity identity = NewIdentity();
  for (const char* const host : {"127.0.0.1", "localhost"}) {
    const auto coordinator = Lead(identity);
    HostPort endpoint = coordinator->endpoint();
    endpoint.host = host;
    auto client = Attend(endpoint, identity);
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE((*client)->Finish(ProcessReport()).ok());
  }
}

// The limit of a join is not waited for: that would be five minutes and more.
TEST(ControlTls, WhatIsWrongWithACertificateIsSaidAtOnceWhicheverEndHasIt) {
  const Identity right = NewIdentity(), other = NewIdentity();
  const Identity expired = NewIdentity(-absl::Minutes(1));
  const auto coordinator = Lead(right);
  Expect(Attend(coordinator->endpoint(), other).status(), absl::StatusCode::kPermissionDenied,
         "another authority has signed it");
  Expect(Attend(Lead(expired)->endpoint(), expired).status(), absl::StatusCode::kPermissionDenied,
         "certificate has expired");
  Expect(Attend(Lead(right, "127.0.0.2")->endpoint(), right).status(),
         absl::StatusCode::kPermissionDenied, "127.0.0.2 is refused: IP address mismatch");
  Expect(Attend(Lead(nullptr)->endpoint(), right).status(), absl::StatusCode::kUnavailable,
         "speaks no TLS");
  auto client = Attend(coordinator->endpoint(), right);
  EXPECT_TRUE(client.ok()) << client.status();
}

TEST(ControlTls, WhoSpeaksInClearIsNotLetIn) {
  const auto coordinator = Lead(NewIdentity());
  Expect(Attend(coordinator->endpoint(), nullptr, AtThisLoad(absl::Milliseconds(500))).status(),
         absl::StatusCode::kPermissionDenied, "give every rank --tls DIR");
}

// Whether the other end has closed the connection by now, or soon.
bool IsClosed(const Fd& connection) {
  for (const MonotonicTime until = MonotonicNow() + Patience(10); MonotonicNow() < until;) {
    pollfd polled = {connection.get(), POLLIN, 0};
    poll(&polled, 1, 100);
    char bytes[1024];
    const ssize_t count = recv(connection.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return true;
  }
  return false;
}

TEST(ControlTls, SilentConnectionsAreClosedAndKeepNobodyOut) {
  const Identity identity = NewIdentity();
  for (const Identity& of_both : {Identity(), identity}) {
    const auto coordinator = Lead(of_both, "127.0.0.1", AtThisLoad(absl::Seconds(1)));
    std::vector<Fd> silent;
    for (int i = 0; i < 100; ++i) {
      silent.push_back(*StartConnecting(coordinator->endpoint().ToString()));
      pollfd writable = {silent.back().get(), POLLOUT, 0};
      poll(&writable, 1, 1000);
      // Half of them begin like a gRPC client, which in clear is more than nothing.
      if (i % 2 == 0)
        send(silent.back().get(), kHttp2Preface, sizeof(kHttp2Preface) - 1, MSG_NOSIGNAL);
    }
    auto client = Attend(coordinator->endpoint(), of_both);
    ASSERT_TRUE(client.ok()) << client.status();
    for (const Fd& connection : silent) EXPECT_TRUE(IsClosed(connection));
    EXPECT_TRUE((*client)->status().ok());
    EXPECT_TRUE((*client)->Finish(ProcessReport()).ok());
  }
}

}  // namespace
}  // namespace ringmaster
