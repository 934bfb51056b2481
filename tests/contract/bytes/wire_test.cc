// The meters count what the kernel counts: payload and headers of real runs against TCP_INFO of the
// data connections.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/bytes/bent_transport.h"
#include "tests/contract/bytes/payload_check.h"
#include "tests/contract/bytes/tcp_info.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr int64_t kSteps = 3;
constexpr int64_t kCount = 300001;  // 1.2 MB a step
constexpr int64_t kBucketElements = 100001;
constexpr double kTolerance = 0.02;

// Bytes on the wire: payload and headers.
struct WireBytes {
  int64_t sent = 0;
  int64_t received = 0;
};

WireBytes MeteredBytes(const Traffic& traffic) {
  WireBytes bytes;
  for (const auto& [kind, count] : traffic.sent)
    bytes.sent += count.payload_bytes + count.header_bytes;
  for (const auto& [kind, count] : traffic.received)
    bytes.received += count.payload_bytes + count.header_bytes;
  return bytes;
}

// What the kernel counted since `before`, on all sockets (port 0) or on those of one listening
// port.
WireBytes Since(const std::vector<SocketCount>& before, const std::vector<SocketCount>& after,
                int port) {
  WireBytes bytes;
  for (size_t i = 0; i < after.size() && i < before.size(); ++i) {
    if (port != 0 && after[i].local_port != port) continue;
    bytes.sent += after[i].sent - before[i].sent;
    bytes.received += after[i].received - before[i].received;
  }
  return bytes;
}

absl::Status CheckClose(const std::string& what, int64_t metered, int64_t on_wire) {
  const double share = static_cast<double>(on_wire) / static_cast<double>(metered) - 1;
  std::printf("  %s: %lld metered, %lld on the wire (%+.3f %%)\n", what.c_str(),
              static_cast<long long>(metered), static_cast<long long>(on_wire), 100 * share);
  if (std::fabs(share) <= kTolerance) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", metered, " bytes are metered and ",
                                                    on_wire, " are on the wire, expected within ",
                                                    100 * kTolerance, " %"));
}

// Runs the group and holds its meters against the kernel: everything together, and both directions
// of worker/0, whose process every other one connects to.
absl::Status CheckWire(StrategyGroup* group) {
  const std::vector<SocketCount> before = CountSockets();
  RM_RETURN_IF_ERROR(RunSteps(group, kSteps));
  const std::vector<SocketCount> after = CountSockets();
  if (before.empty() || after.size() != before.size()) {
    return absl::FailedPreconditionError(absl::StrCat(before.size(), " sockets before the run and ",
                                                      after.size(),
                                                      " after it: connections must stay"));
  }
  const bool servers = group->spec().strategy().has_parameter_server();
  int64_t metered = 0;
  for (int32_t rank = 0; rank < group->workers(); ++rank) {
    const WireBytes bytes = MeteredBytes(group->worker(rank).traffic());
    // Servers have no meter: what they send is counted by the workers that get it.
    metered += bytes.sent + (servers ? bytes.received : 0);
  }
  const WireBytes all = Since(before, after, 0);
  RM_RETURN_IF_ERROR(CheckClose("all", metered, all.sent));
  RM_RETURN_IF_ERROR(CheckClose("all, received", metered, all.received));
  if (servers &&
      group->spec().strategy().parameter_server().placement() == ParameterServerSpec::COLOCATED) {
    return absl::OkStatus();
  }
  const std::string endpoint = group->fabric().endpoint();
  int port = 0;
  if (!absl::SimpleAtoi(endpoint.substr(endpoint.rfind(':') + 1), &port))
    return absl::InternalError(endpoint);
  const WireBytes first = Since(before, after, port);
  const WireBytes worker = MeteredBytes(group->worker(0).traffic());
  RM_RETURN_IF_ERROR(CheckClose("worker/0 sent", worker.sent, first.sent));
  return CheckClose("worker/0 received", worker.received, first.received);
}

RunSpec RingSpec(int32_t workers) {
  RunSpec spec = GroupSpec(workers, 0.01f);
  spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
  return spec;
}

RunSpec ServerSpec(ParameterServerSpec::Placement placement, int32_t servers) {
  RunSpec spec = GroupSpec(2, 0.01f);
  spec.mutable_strategy()->mutable_parameter_server()->set_placement(placement);
  spec.mutable_strategy()->mutable_parameter_server()->set_servers(servers);
  return spec;
}

class Wire : public testing::TestWithParam<const char*> {
 protected:
  absl::Status Check(const RunSpec& spec, GroupOptions options = {}) {
    options.transport = GetParam();
    StrategyGroup group(spec, std::vector<float>(kCount, 1.0f), kBucketElements, options);
    return CheckWire(&group);
  }
};
INSTANTIATE_TEST_SUITE_P(All, Wire, testing::Values("tcp", "grpc"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Wire, OfARingCarriesWhatTheMetersCount) {
  EXPECT_EQ(Check(RingSpec(2)), absl::OkStatus());
  EXPECT_EQ(Check(RingSpec(3)), absl::OkStatus());
}

TEST_P(Wire, OfServersCarriesWhatTheMetersCount) {
  EXPECT_EQ(Check(ServerSpec(ParameterServerSpec::DEDICATED, 1)), absl::OkStatus());
  EXPECT_EQ(Check(ServerSpec(ParameterServerSpec::COLOCATED, 2)), absl::OkStatus());
}

TEST_P(Wire, OfGatheredCodecsCarriesWhatTheMetersCount) {
  RunSpec spec = RingSpec(3);
  spec.mutable_codec()->set_name("topk");
  spec.mutable_codec()->set_density(0.5);
  EXPECT_EQ(Check(spec), absl::OkStatus());
}

TEST_P(Wire, HeadersAreCountedApartFromPayload) {
  GroupOptions options;
  options.transport = GetParam();
  StrategyGroup group(RingSpec(2), std::vector<float>(kCount, 1.0f), kBucketElements, options);
  ASSERT_EQ(RunSteps(&group, kSteps), absl::OkStatus());
  EXPECT_EQ(CheckGroupPayload(&group, kSteps), absl::OkStatus())
      << "the formula has no headers in it";
  const TrafficCount sent = SentInSteps(group.worker(0).traffic());
  // Three buckets, two rounds, one frame each: every chunk is smaller than a segment.
  EXPECT_EQ(sent.messages, kSteps * 3 * 2);
  EXPECT_EQ(sent.header_bytes, sent.messages * group.fabric().HeaderBytes({Role::kWorker, 1}, 1));
  EXPECT_GE(group.fabric().HeaderBytes({Role::kWorker, 1}, 1), 64);
}

TEST_P(Wire, CheckFindsASegmentThatTheMetersDoNotSee) {
  GroupOptions options;
  options.below_meter = OneSegmentMore(400000);
  const absl::Status status = Check(RingSpec(2), options);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are on the wire, expected within 2 %"));
}

}  // namespace
}  // namespace ringmaster
