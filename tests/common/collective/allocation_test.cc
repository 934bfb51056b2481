// What the executor allocates, counted.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/transport/fabric.h"
#include "common/transport/forwarding.h"
#include "gtest/gtest.h"
#include "tests/support/allocations.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

// What happens inside the transport is not the executor's: a message that comes before its receive
// is kept there.
class UncountedTransport : public ForwardingTransport {
 public:
  UncountedTransport(Transport& below, bool lends) : ForwardingTransport(below), lends_(lends) {}
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    return Uncounted([&] { return below_.Send(lends_ ? message : message.WithoutLoan()); });
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    return Uncounted([&] { return below_.Receive(message); });
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    return Uncounted([&] { return below_.WaitAny(ops, deadline); });
  }

 private:
  const bool lends_;
};

TEST(CollectiveExecutor, AllocatesNothingOnceItHasSeenEverySize) {
  constexpr int32_t kRanks = 3;
  const std::vector<int64_t> buckets = {5000, 5000, 5000, 137};
  for (const CollectiveInfo& info : Collectives()) {
    SCOPED_TRACE(info.name);
    const auto schedule = CreateSchedule(info.name);
    FabricOptions fabric_options;
    fabric_options.name = "inproc";
    const auto fabric = *CreateFabric(fabric_options);
    ProcessAddress all;
    for (int32_t rank = 0; rank < kRanks; ++rank) all.nodes.push_back({Role::kWorker, rank});
    ASSERT_TRUE(fabric->Connect({all}, 0, MonotonicNow() + Patience(30)).ok());
    std::vector<int64_t> counted(kRanks, -1);
    std::vector<std::thread> threads;
    for (int32_t rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        UncountedTransport transport(fabric->transport({Role::kWorker, rank}), /*lends=*/rank != 1);
        ExecutorOptions options;
        options.wait_limit = Patience(30);
        options.limits.in_flight_max = 2;
        options.piece_bytes = 1024;
        CollectiveExecutor executor(transport, AllWorkers(kRanks), options);
        std::vector<std::vector<float>> data;
        for (const int64_t count : buckets) data.emplace_back(count, 1.0f);
        for (int64_t step = 0; step < 60; ++step) {
          // How far the queues grow depends on the order of arrival: the first steps see to it.
          if (step == 50) ThreadAllocations() = 0;
          for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
            auto* bytes = reinterpret_cast<std::byte*>(data[bucket].data());
            const auto ticket = executor.Start(
                **schedule, step, static_cast<int32_t>(bucket), ElementType::kFloat32,
                absl::MakeSpan(bytes, data[bucket].size() * sizeof(float)));
            if (!ticket.ok()) return;
          }
          while (executor.in_flight() > 0) {
            if (!executor.Advance(0).ok()) return;
          }
        }
        counted[rank] = ThreadAllocations();
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int64_t count : counted) EXPECT_EQ(count, 0);
  }
}

}  // namespace
}  // namespace ringmaster
