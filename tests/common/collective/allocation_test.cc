// What the executor allocates, counted: every operator new of this program goes through here.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/transport/fabric.h"
#include "gtest/gtest.h"
#include "tests/support/forwarding_transport.h"

namespace {
thread_local int64_t allocations = 0;
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace ringmaster {
namespace {

// What happens inside the transport is not the executor's: a message that comes before its receive is kept there.
class UncountedTransport : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    const int64_t before = allocations;
    auto result = real_.StartSend(to, tag, payload);
    allocations = before;
    return result;
  }
  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    const int64_t before = allocations;
    auto result = real_.Post(from, tag, out, mode);
    allocations = before;
    return result;
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, absl::Time deadline) override {
    const int64_t before = allocations;
    auto result = real_.WaitAny(ops, deadline);
    allocations = before;
    return result;
  }
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
    ASSERT_TRUE(fabric->Connect({all}, 0, absl::Now() + absl::Seconds(30)).ok());
    std::vector<int64_t> counted(kRanks, -1);
    std::vector<std::thread> threads;
    for (int32_t rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        UncountedTransport transport(fabric->transport({Role::kWorker, rank}));
        ExecutorOptions options;
        options.wait_limit = absl::Seconds(30);
        options.in_flight_max = 2;
        options.piece_bytes = 1024;
        CollectiveExecutor executor(transport, rank, kRanks, options);
        std::vector<std::vector<float>> data;
        for (const int64_t count : buckets) data.emplace_back(count, 1.0f);
        for (int64_t step = 0; step < 60; ++step) {
          // How far the queues grow depends on the order of arrival: the first steps see to it.
          if (step == 50) allocations = 0;
          for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
            auto* bytes = reinterpret_cast<std::byte*>(data[bucket].data());
            const auto ticket = executor.Start(**schedule, step, static_cast<int32_t>(bucket), ElementType::kFloat32,
                                               absl::MakeSpan(bytes, data[bucket].size() * sizeof(float)));
            if (!ticket.ok()) return;
          }
          if (!executor.FinishAll().ok()) return;
        }
        counted[rank] = allocations;
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int64_t count : counted) EXPECT_EQ(count, 0);
  }
}

}  // namespace
}  // namespace ringmaster
