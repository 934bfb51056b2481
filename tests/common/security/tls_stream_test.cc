#include "common/security/tls_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/fd.h"
#include "common/base/random.h"
#include "common/security/certificates.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Identity = std::shared_ptr<const TlsIdentity>;

Identity NewIdentity(const CertificateOptions& options = {}) {
  const auto made = MakeCertificates(options);
  EXPECT_TRUE(made.ok()) << made.status();
  auto identity = TlsIdentity::Of(*made);
  EXPECT_TRUE(identity.ok()) << identity.status();
  return *std::move(identity);
}

// Two ends of a connection, not yet introduced.
struct Ends {
  Ends(Identity dials, Identity answers, const std::string& host = "127.0.0.1") {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    sockets = {Fd(fds[0]), Fd(fds[1])};
    dialler = TlsStream::Dial(std::move(dials), fds[0], host);
    answerer = TlsStream::Answer(std::move(answers), fds[1]);
  }

  // Shakes hands in turns; what each end makes of it.
  std::array<absl::Status, 2> Introduce() {
    std::array<absl::Status, 2> statuses;
    std::array<bool, 2> over = {false, false};
    for (int turn = 0; turn < 20 && !(over[0] && over[1]); ++turn) {
      for (int end = 0; end < 2; ++end) {
        if (over[end]) continue;
        const auto awaits = (end == 0 ? dialler : answerer)->Handshake();
        statuses[end] = awaits.status();
        over[end] = !awaits.ok() || *awaits == TlsStream::Awaits::kNothing;
      }
    }
    // What the other end makes of the certificate, who dialled reads.
    char byte = 0;
    const iovec piece = {&byte, 1};
    if (statuses[0].ok() && dialler->Read({&piece, 1}) < 0 && errno == EPROTO)
      statuses[0] = dialler->why();
    return statuses;
  }

  std::array<Fd, 2> sockets;
  std::unique_ptr<TlsStream> dialler, answerer;
};

void Expect(const absl::Status& status, absl::StatusCode code, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), part)) << status << " lacks " << part;
}

TEST(TlsStream, NamesAndAddressesOfTheCertificateAreAcceptedAndNoOthers) {
  CertificateOptions options;
  options.hosts = {"node-0.example", "10.0.0.1", "fd00::1"};
  const Identity identity = NewIdentity(options);
  for (const char* const host :
       {"localhost", "127.0.0.1", "::1", "node-0.example", "10.0.0.1", "fd00::1"}) {
    for (const absl::Status& status : Ends(identity, identity, host).Introduce())
      EXPECT_TRUE(status.ok()) << host << ": " << status;
  }
  Expect(Ends(identity, identity, "10.0.0.2").Introduce()[0], absl::StatusCode::kPermissionDenied,
         "at 10.0.0.2 is refused: IP address mismatch");
  Expect(Ends(identity, identity, "node-1.example").Introduce()[0],
         absl::StatusCode::kPermissionDenied, "at node-1.example is refused: hostname mismatch");
}

TEST(TlsStream, AnotherJobsCertificateIsRefusedByBothEndsWithTheReason) {
  const Identity own = NewIdentity(), other = NewIdentity();
  // Here the dialler finds it, in the next case the other end.
  const auto both = Ends(own, other).Introduce();
  Expect(both[0], absl::StatusCode::kPermissionDenied, "another authority has signed it");
  Expect(both[1], absl::StatusCode::kPermissionDenied, "refuses this process's certificate");
}

TEST(TlsStream, AnExpiredCertificateIsNamedToWhoDials) {
  CertificateOptions options;
  options.validity = -absl::Minutes(1);
  const Identity expired = NewIdentity(options);
  const auto both = Ends(expired, expired).Introduce();
  Expect(both[0], absl::StatusCode::kPermissionDenied, "certificate has expired");
  Expect(both[1], absl::StatusCode::kPermissionDenied, "certificate has expired");
}

TEST(TlsStream, WhoShowsNoCertificateOrSpeaksNoTlsIsTold) {
  Ends ends(NewIdentity(), NewIdentity());
  const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  ASSERT_GT(send(ends.sockets[0].get(), hello, sizeof(hello), 0), 0);
  const auto awaits = ends.answerer->Handshake();
  Expect(awaits.status(), absl::StatusCode::kUnavailable, "speaks no TLS");
  Ends closed(NewIdentity(), NewIdentity());
  closed.sockets[1] = Fd();
  ASSERT_TRUE(closed.dialler->Handshake().status().code() != absl::StatusCode::kPermissionDenied);
}

std::vector<char> Noise(size_t size, uint64_t seed) {
  Random random(seed);
  std::vector<char> noise(size);
  for (char& byte : noise) byte = static_cast<char>(random.Next());
  return noise;
}

void Await(int fd, short events) {
  pollfd polled = {fd, events, 0};
  poll(&polled, 1, 100);
}

// Sends all, in pieces.
void SendAll(TlsStream& stream, int fd, const std::vector<char>& bytes) {
  for (size_t place = 0; place < bytes.size() || stream.HasOutput();) {
    const size_t first = std::min<size_t>(64, bytes.size() - place);
    const size_t rest = std::min<size_t>(300000, bytes.size() - place - first);
    const iovec pieces[2] = {{const_cast<char*>(bytes.data()) + place, first},
                             {const_cast<char*>(bytes.data()) + place + first, rest}};
    const ssize_t count = stream.Write(pieces);
    ASSERT_TRUE(count >= 0 || errno == EAGAIN) << errno;
    place += static_cast<size_t>(std::max<ssize_t>(count, 0));
    if (stream.HasOutput()) Await(fd, POLLOUT);
    ASSERT_GE(stream.Flush(), 0);
  }
}

void ReceiveAll(TlsStream& stream, int fd, std::vector<char>* bytes) {
  for (size_t place = 0; place < bytes->size();) {
    const size_t first = std::min<size_t>(100001, bytes->size() - place);
    const size_t rest = std::min<size_t>(8192, bytes->size() - place - first);
    const iovec pieces[2] = {{bytes->data() + place, first}, {bytes->data() + place + first, rest}};
    const ssize_t count = stream.Read(pieces);
    ASSERT_TRUE(count > 0 || (count < 0 && errno == EAGAIN)) << errno << " " << stream.why();
    if (count < 0) Await(fd, POLLIN);
    place += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
}

TEST(TlsStream, MegabytesGoBothWaysAtOnceAndArriveAsTheyWere) {
  const Identity identity = NewIdentity();
  for (const bool ahead : {false, true}) {
    Ends ends(identity, identity);
    for (const absl::Status& status : ends.Introduce()) ASSERT_TRUE(status.ok()) << status;
    if (ahead) {
      ends.dialler->ReadAhead();
      ends.answerer->ReadAhead();
    }
    const std::vector<char> up = Noise(5'000'000, 1), down = Noise(3'000'000, 2);
    std::vector<char> got_up(up.size()), got_down(down.size());
    const int a = ends.sockets[0].get(), b = ends.sockets[1].get();
    std::thread writes_up([&] { SendAll(*ends.dialler, a, up); });
    std::thread writes_down([&] { SendAll(*ends.answerer, b, down); });
    std::thread reads_up([&] { ReceiveAll(*ends.answerer, b, &got_up); });
    ReceiveAll(*ends.dialler, a, &got_down);
    for (std::thread* thread : {&writes_up, &writes_down, &reads_up}) thread->join();
    EXPECT_TRUE(up == got_up);
    EXPECT_TRUE(down == got_down);
    EXPECT_FALSE(ends.dialler->HoldsInput());
  }
}

TEST(TlsStream, WhatIsReceivedAheadIsReadWithoutTheSocket) {
  const Identity identity = NewIdentity();
  Ends ends(identity, identity);
  for (const absl::Status& status : ends.Introduce()) ASSERT_TRUE(status.ok()) << status;
  ends.answerer->ReadAhead();
  const std::vector<char> sent = Noise(60'000, 3);
  SendAll(*ends.dialler, ends.sockets[0].get(), sent);
  std::vector<char> got(sent.size());
  iovec piece = {got.data(), 10};
  ASSERT_EQ(ends.answerer->Read({&piece, 1}), 10);
  EXPECT_TRUE(ends.answerer->HoldsInput());
  piece = {got.data() + 10, got.size() - 10};
  ASSERT_EQ(ends.answerer->Read({&piece, 1}, /*from_socket=*/false),
            static_cast<ssize_t>(sent.size()) - 10);
  EXPECT_FALSE(ends.answerer->HoldsInput());
  EXPECT_TRUE(sent == got);
}

TEST(TlsStream, BytesChangedOnTheWayEndTheStream) {
  const Identity identity = NewIdentity();
  Ends ends(identity, identity);
  for (const absl::Status& status : ends.Introduce()) ASSERT_TRUE(status.ok()) << status;
  std::vector<char> got(100);
  const std::string record("\x17\x03\x03\x00\x20", 5);
  const std::string forged = record + std::string(32, 'x');
  ASSERT_GT(send(ends.sockets[0].get(), forged.data(), forged.size(), 0), 0);
  const iovec piece = {got.data(), got.size()};
  EXPECT_EQ(ends.answerer->Read({&piece, 1}), -1);
  EXPECT_EQ(errno, EPROTO);
  EXPECT_EQ(ends.answerer->why().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace ringmaster
