#include "common/base/host_port.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

struct Reading {
  const char* text;
  HostPort value;
};

TEST(HostPort, ReadsNamesAndAddressesOfBothFamiliesAndWritesThemAsTheyWere) {
  const std::vector<Reading> readings = {{"job-0.example:29500", {"job-0.example", 29500}},
                                         {"10.0.0.1:1", {"10.0.0.1", 1}},
                                         {"[::1]:29500", {"::1", 29500}},
                                         {"[fe80::1%eth0]:29500", {"fe80::1%eth0", 29500}},
                                         {"[::]:0", {"::", 0}},
                                         {":65535", {"", 65535}}};
  for (const Reading& reading : readings) {
    SCOPED_TRACE(reading.text);
    const auto parsed = HostPort::Parse(reading.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(*parsed == reading.value) << parsed->ToString();
    EXPECT_EQ(parsed->ToString(), reading.text);
  }
}

TEST(HostPort, ThePortOfAnAddressMayBeLeftOut) {
  const std::vector<Reading> readings = {
      {"10.0.0.1", {"10.0.0.1", 0}},   {"::1", {"::1", 0}},
      {"[::1]", {"::1", 0}},           {"fe80::1%eth0", {"fe80::1%eth0", 0}},
      {"10.0.0.1:7", {"10.0.0.1", 7}}, {"[::1]:7", {"::1", 7}}};
  for (const Reading& reading : readings) {
    SCOPED_TRACE(reading.text);
    const auto parsed = HostPort::ParseAddress(reading.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(*parsed == reading.value) << parsed->ToString();
  }
}

struct Mistake {
  const char* text;
  const char* said;
};

TEST(HostPort, AMistakeIsNamedWithWhatWasExpected) {
  const std::vector<Mistake> mistakes = {{"", "expected HOST:PORT"},
                                         {"job-0", "expected HOST:PORT"},
                                         {"::1:29500", "brackets"},
                                         {"https://127.0.0.1:29500", "without a scheme"},
                                         {"https://[::1]:29500", "without a scheme"},
                                         {"a b:29500", "has a space"},
                                         {"[::1]", "expected a port"},
                                         {"[::1]29500", "expected a port"},
                                         {"[::1", "not closed"},
                                         {"[10.0.0.1]:5", "brackets are for IPv6"},
                                         {"job-0:", "expected a number"},
                                         {"job-0:+5", "expected a number"},
                                         {"job-0:65536", "0 to 65535"},
                                         {"job-0:-1", "0 to 65535"},
                                         {"tcp://10.0.0.1:29500", "without a scheme"}};
  for (const Mistake& mistake : mistakes) {
    const absl::Status status = HostPort::Parse(mistake.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << mistake.text;
    EXPECT_NE(status.message().find(mistake.said), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find(mistake.text), absl::string_view::npos) << status;
  }
}

TEST(HostPort, KnowsWhichAddressesNobodyCanConnectToAndWhichOnlyThisMachineCan) {
  for (const char* host : {"", "0.0.0.0", "0", "::", "[::]", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(IsWildcard(WithoutBrackets(host))) << host;
    EXPECT_FALSE(IsLoopback(WithoutBrackets(host))) << host;
  }
  for (const char* host : {"127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
    EXPECT_FALSE(IsWildcard(host)) << host;
  }
  for (const char* host :
       {"10.0.0.1", "::11", "fe80::1%none", "128.0.0.1", "localhost", "127.example"}) {
    EXPECT_FALSE(IsWildcard(host) || IsLoopback(host)) << host;
  }
  EXPECT_TRUE(IsNumericAddress("fe80::1%none"));
  EXPECT_FALSE(IsNumericAddress("localhost"));
  EXPECT_EQ(LoopbackFor("0.0.0.0"), "127.0.0.1");
  EXPECT_EQ(LoopbackFor("::"), "::1");
}

}  // namespace
}  // namespace ringmaster
