// Who is let into the data channel, in clear and by TLS: real sockets between two fabrics.
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/security/certificates.h"
#include "common/security/tls_identity.h"
#include "common/transport/fabric.h"
#include "common/transport/handshake.h"
#include "common/transport/membership.h"
#include "common/transport/socket.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr char kToken[] = "5ecre7-5ecre7-5ecre7";

using Identity = std::shared_ptr<const TlsIdentity>;

Identity NewIdentity(absl::Duration validity = absl::Hours(1)) {
  CertificateOptions options;
  options.validity = validity;
  return *TlsIdentity::Of(*MakeCertificates(options));
}

void Expect(const absl::Status& status, absl::StatusCode code, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status << " lacks " << part;
}

// Two processes with a worker each, of which the second dials the first.
struct Pair {
  Pair(const std::string& transport, Identity first, Identity second,
       const std::string& address = "127.0.0.1") {
    for (const Identity& identity : {first, second}) {
      FabricOptions options;
      options.name = transport;
      options.listen_address = address;
      options.credentials = {kToken, identity};
      auto fabric = CreateFabric(options);
      EXPECT_TRUE(fabric.ok()) << fabric.status();
      processes.push_back(
          {(*fabric)->endpoint(), {Worker(static_cast<int32_t>(processes.size()))}});
      fabrics.push_back(*std::move(fabric));
    }
  }

  // The first waits no longer than for the second's end.
  std::array<absl::Status, 2> Connect() {
    std::array<absl::Status, 2> statuses;
    std::thread first(
        [&] { statuses[0] = fabrics[0]->Connect(processes, 0, MonotonicNow() + Patience(30)); });
    statuses[1] = fabrics[1]->Connect(processes, 1, Soon());
    if (!statuses[1].ok()) fabrics[0]->Abort(absl::CancelledError("the other has failed"));
    first.join();
    return statuses;
  }

  std::vector<ProcessAddress> processes;
  std::vector<std::unique_ptr<Fabric>> fabrics;
};

TEST(Security, AnotherJobsCertificateAnExpiredOneAndAnotherNameAreToldAtOnce) {
  for (const char* const transport : {"grpc", "tcp"}) {
    Expect(Pair(transport, NewIdentity(), NewIdentity()).Connect()[1],
           absl::StatusCode::kPermissionDenied, "another authority has signed it");
    const Identity expired = NewIdentity(-absl::Minutes(1));
    Expect(Pair(transport, expired, expired).Connect()[1], absl::StatusCode::kPermissionDenied,
           "certificate has expired");
    const Identity right = NewIdentity();
    Expect(Pair(transport, right, right, "127.0.0.2").Connect()[1],
           absl::StatusCode::kPermissionDenied, "127.0.0.2 is refused: IP address mismatch");
  }
}

TEST(Security, WhereOneEndAloneSpeaksTlsNobodyIsLetIn) {
  Expect(Pair("tcp", NewIdentity(), nullptr).Connect()[1], absl::StatusCode::kUnavailable,
         "closed the connection");
  EXPECT_FALSE(Pair("tcp", nullptr, NewIdentity()).Connect()[1].ok());
}

// A listener that passes a connection on to `to`, and keeps what was said.
class Relay {
 public:
  explicit Relay(const std::string& to) : to_(to), listener_(*ListenAt("127.0.0.1")) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Relay() { Stop(); }
  void Stop() {
    stops_ = true;
    if (thread_.joinable()) thread_.join();
  }
  const std::string& endpoint() const { return listener_.endpoint; }
  // Once stopped.
  const std::string& up() const { return up_; }
  const std::string& down() const { return down_; }

 private:
  void Run() {
    Fd in, out;
    while (!stops_) {
      std::array<pollfd, 3> polled = {pollfd{in.valid() ? -1 : listener_.fd.get(), POLLIN, 0},
                                      pollfd{in.get(), POLLIN, 0}, pollfd{out.get(), POLLIN, 0}};
      if (poll(polled.data(), polled.size(), 10) <= 0) continue;
      if (polled[0].revents != 0) {
        in = Fd(accept4(listener_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK));
        out = *StartConnecting(to_);
        pollfd writable = {out.get(), POLLOUT, 0};
        poll(&writable, 1, static_cast<int>(absl::ToInt64Milliseconds(Patience(10))));
      }
      Pass(polled[1].revents, in, out, &up_);
      Pass(polled[2].revents, out, in, &down_);
    }
  }
  static void Pass(short events, const Fd& from, const Fd& to, std::string* said) {
    if (events == 0) return;
    char bytes[4096];
    const ssize_t count = recv(from.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count <= 0) return;
    said->append(bytes, static_cast<size_t>(count));
    send(to.get(), bytes, static_cast<size_t>(count), MSG_NOSIGNAL);
  }

  const std::string to_;
  Listener listener_;
  std::atomic<bool> stops_{false};
  std::string up_, down_;
  std::thread thread_;
};

TEST(Security, ARecordedHandshakeHasNotTheTokenAndAdmitsNobodyAgain) {
  std::string up, down;
  {
    Pair pair("tcp", nullptr, nullptr);
    Relay relay(pair.processes[0].endpoint);
    std::vector<ProcessAddress> seen = pair.processes;
    seen[0].endpoint = relay.endpoint();
    absl::Status first;
    std::thread other([&] { first = pair.fabrics[0]->Connect(pair.processes, 0, Soon()); });
    ASSERT_OK(pair.fabrics[1]->Connect(seen, 1, Soon()));
    other.join();
    ASSERT_OK(first);
    relay.Stop();
    up = relay.up();
    down = relay.down();
  }
  ASSERT_FALSE(up.empty() || down.empty());
  for (const std::string& said : {up, down})
    EXPECT_FALSE(absl::StrContains(said, std::string(kToken).substr(0, 6)));
  // The same process of the same job, asked again by somebody who has only heard it.
  Pair pair("tcp", nullptr, nullptr);
  absl::Status first;
  std::thread listens([&] {
    first =
        pair.fabrics[0]->Connect(pair.processes, 0, MonotonicNow() + AtThisLoad(absl::Seconds(1)));
  });
  const Fd thief = *StartConnecting(pair.processes[0].endpoint);
  pollfd polled = {thief.get(), POLLOUT, 0};
  poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(Patience(10))));
  send(thief.get(), up.data(), up.size(), MSG_NOSIGNAL);
  listens.join();
  Expect(first, absl::StatusCode::kDeadlineExceeded, "worker/1");
  Expect(first, absl::StatusCode::kDeadlineExceeded, "1 connections turned away");
}

TEST(Security, ManySilentConnectionsKeepNobodyOut) {
  for (const char* const transport : {"grpc", "tcp"}) {
    const Identity identity = NewIdentity();
    for (const Identity& of_both : {Identity(), identity}) {
      Pair pair(transport, of_both, of_both);
      std::vector<Fd> silent;
      for (int i = 0; i < 200; ++i) silent.push_back(*StartConnecting(pair.processes[0].endpoint));
      for (const absl::Status& status : pair.Connect()) EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST(Security, ASilentConnectionIsClosedAfterAWhile) {
  for (const Identity& identity : {Identity(), NewIdentity()}) {
    const Listener listener = *ListenAt("127.0.0.1");
    Membership membership;
    membership.transport = "tcp";
    membership.credentials = {kToken, identity};
    membership.processes = {{listener.endpoint, {Worker(0)}}, {"127.0.0.1:1", {Worker(1)}}};
    membership.introduction_limit = absl::Milliseconds(50);
    std::atomic<bool> stops{false};
    membership.aborted = [&] {
      return stops ? absl::CancelledError("seen enough") : absl::OkStatus();
    };
    absl::Status status;
    std::thread joins(
        [&] { status = JoinProcesses(listener.fd.get(), membership, Soon()).status(); });
    const Fd silent = *StartConnecting(listener.endpoint);
    pollfd polled = {silent.get(), POLLIN | POLLRDHUP, 0};
    EXPECT_EQ(poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(Patience(10)))), 1);
    char byte;
    EXPECT_EQ(recv(silent.get(), &byte, 1, MSG_DONTWAIT), 0);
    stops = true;
    joins.join();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  }
}

}  // namespace
}  // namespace ringmaster
