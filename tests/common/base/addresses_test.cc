#include "common/base/addresses.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Resolve, GivesNumericAddressesWithThePort) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const auto found = Resolve({host, 4000});
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->front().ToHostPort(), (HostPort{host, 4000}));
  }
}

TEST(Resolve, ANameThatNobodyHasIsNotFoundAndNamed) {
  const absl::Status status = Resolve({"no-such-host.invalid", 1}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), "no-such-host.invalid")) << status;
}

TEST(Resolve, NoHostIsEveryAddressOfThisMachine) {
  const auto found = Resolve({"", 1});
  ASSERT_TRUE(found.ok()) << found.status();
  for (const SocketAddress& address : *found) EXPECT_TRUE(IsWildcard(address.ToHostPort().host));
}

TEST(OwnAddresses, HaveLoopbackWithItsInterface) {
  const std::vector<std::string> own = OwnAddresses();
  EXPECT_NE(std::find(own.begin(), own.end(), "127.0.0.1 (lo)"), own.end());
}

TEST(IsOfThisMachine, HoldsForLoopbackAndWildcardsAndNotForAForeignAddress) {
  const auto of = [](const char* host) { return Resolve({host, 1})->front(); };
  EXPECT_TRUE(IsOfThisMachine(of("127.0.0.1")));
  EXPECT_TRUE(IsOfThisMachine(of("127.0.1.1")));
  EXPECT_TRUE(IsOfThisMachine(of("0.0.0.0")));
  EXPECT_FALSE(IsOfThisMachine(of("192.0.2.1")));  // reserved for documentation: nobody's
}

TEST(AreOfOneHost, ComparesHostsAndNotPorts) {
  const auto of = [](const char* host, int port) { return Resolve({host, port})->front(); };
  EXPECT_TRUE(AreOfOneHost(of("10.0.0.1", 1), of("10.0.0.1", 2)));
  EXPECT_FALSE(AreOfOneHost(of("10.0.0.1", 1), of("10.0.0.10", 1)));
  EXPECT_TRUE(AreOfOneHost(of("127.0.0.1", 1), of("127.0.1.1", 1)));
  EXPECT_TRUE(AreOfOneHost(of("2001:db8::1", 1), of("2001:db8::1", 2)));
  EXPECT_FALSE(AreOfOneHost(of("::1", 1), of("127.0.0.1", 1)));
}

}  // namespace
}  // namespace ringmaster
