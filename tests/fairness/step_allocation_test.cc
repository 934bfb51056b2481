// No timed step allocates: a run of many steps allocates as often as one of few.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "common/config/resolve.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counts every allocation of the program, on all threads.
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}
// The one exception: the copy of a message that comes before its receive is posted, which the
// transport makes with new[] (Matcher::HoldEarly), and nothing else in a step does. How often that
// happens is for the threads' turns to decide.
void* operator new[](size_t size) {
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace ringmaster {
namespace {

constexpr int64_t kFewSteps = 40;
constexpr int64_t kManySteps = 240;
constexpr int kAttempts = 6;
// The memory of queues grows when they get deeper than ever before, which is for the threads' turns
// to decide, too: up to 5 times in these runs. One allocation a step of one worker would be 200.
constexpr int64_t kDeeperQueues = 20;

int64_t AllocationsOfARun(RunSpec spec, int64_t steps) {
  spec.mutable_training()->set_steps(steps);
  spec.mutable_training()->set_evaluate_every_samples(0);
  // Recording every step allocates nothing either; the record of it does.
  spec.mutable_output()->set_trace_steps(1000);
  RunSeams seams;
  seams.reports_traces = false;
  const int64_t before = allocations.load();
  const RunRecord record = RunInProcess(spec, seams);
  EXPECT_EQ(record.status(), "ok") << spec.name();
  return allocations.load() - before;
}

// Allocations of the steps that the longer of two runs has more. What each step allocates is there
// in every attempt.
int64_t AllocationsOfMoreSteps(const RunSpec& spec) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int attempt = 0; attempt < kAttempts && least > kDeeperQueues; ++attempt) {
    const int64_t few = AllocationsOfARun(spec, kFewSteps);
    least = std::min(least, std::abs(AllocationsOfARun(spec, kManySteps) - few));
  }
  return least;
}

RunSpec Small() {
  RunSpec spec = SmallSpec(2, false);
  spec.mutable_training()->set_warmup_steps(5);
  return spec;
}

TEST(StepAllocation, ACountedAllocationIsSeen) {
  const int64_t before = allocations.load();
  ::operator delete(::operator new(1));
  EXPECT_EQ(allocations.load() - before, 1);
}

class EveryArm : public testing::TestWithParam<std::string> {};

TEST_P(EveryArm, AllocatesNothingInALaterStep) {
  EXPECT_LE(AllocationsOfMoreSteps(ArmOf(GetParam(), Small())), kDeeperQueues)
      << kManySteps - kFewSteps << " steps more";
}

INSTANTIATE_TEST_SUITE_P(StepAllocation, EveryArm, testing::ValuesIn(ArmsThat(RunsEverywhere)),
                         [](const auto& info) { return TestName(info.param); });

class EveryCodec : public testing::TestWithParam<std::string> {};

TEST_P(EveryCodec, AllocatesNothingInALaterStep) {
  for (const char* arm : {"ring", "ps-sharded"}) {
    RunSpec spec = ArmOf(arm, Small());
    spec.mutable_codec()->Clear();
    spec.mutable_codec()->set_name(GetParam());
    const auto resolved = Resolve(spec, {});
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_LE(AllocationsOfMoreSteps(*resolved), kDeeperQueues)
        << arm << ", " << kManySteps - kFewSteps << " steps more";
  }
}

INSTANTIATE_TEST_SUITE_P(StepAllocation, EveryCodec, testing::ValuesIn(LossyCodecs()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
