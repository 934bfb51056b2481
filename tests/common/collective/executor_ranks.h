#ifndef RINGMASTER_TESTS_COMMON_COLLECTIVE_EXECUTOR_RANKS_H_
#define RINGMASTER_TESTS_COMMON_COLLECTIVE_EXECUTOR_RANKS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/transport/fabric.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

// What tests of the executor need: ranks as threads over an in-process fabric, and gradients to
// sum.

namespace ringmaster {

using Floats = std::vector<float>;
inline constexpr absl::Duration kLimit = Patience(30);

inline std::unique_ptr<Fabric> InprocFabric(int32_t ranks) {
  FabricOptions options;
  options.name = "inproc";
  absl::StatusOr<std::unique_ptr<Fabric>> fabric = CreateFabric(options);
  EXPECT_TRUE(fabric.ok()) << fabric.status();
  ProcessAddress all;
  for (int32_t rank = 0; rank < ranks; ++rank) all.nodes.push_back({Role::kWorker, rank});
  const absl::Status connected = (*fabric)->Connect({all}, 0, MonotonicNow() + kLimit);
  EXPECT_TRUE(connected.ok()) << connected;
  return *std::move(fabric);
}

inline std::unique_ptr<Schedule> Create(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Schedule>> schedule = CreateSchedule(name);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

// Advances until all collectives in flight are finished.
inline absl::Status FinishAll(CollectiveExecutor& executor) {
  while (executor.in_flight() > 0) RM_RETURN_IF_ERROR(executor.Advance(0).status());
  return absl::OkStatus();
}

template <typename T>
absl::Span<std::byte> Bytes(std::vector<T>& values) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(values.data()), values.size() * sizeof(T));
}

inline std::vector<Floats> RandomGradients(int32_t ranks, int64_t count, uint64_t seed) {
  std::vector<Floats> gradients(ranks, Floats(count));
  Random random(seed);
  for (Floats& gradient : gradients) {
    for (float& value : gradient) value = random.Normal() * (1 + 1000 * random.Uniform());
  }
  return gradients;
}

inline Floats SumInRankOrder(const std::vector<Floats>& gradients) {
  Floats sum = gradients[0];
  for (size_t rank = 1; rank < gradients.size(); ++rank) Add(gradients[rank], absl::MakeSpan(sum));
  return sum;
}

// One thread a rank, started in an order of its own; returns when all are done.
template <typename Body>
void OnAllRanks(int32_t ranks, uint64_t seed, Body body) {
  std::vector<int32_t> order(ranks);
  for (int32_t i = 0; i < ranks; ++i) order[i] = i;
  Random random(seed);
  for (int32_t i = ranks - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  std::vector<std::thread> threads;
  for (const int32_t rank : order) threads.emplace_back([rank, &body] { body(rank); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_COLLECTIVE_EXECUTOR_RANKS_H_
