// Runs of real processes, each with a fault that a seed decides: who, how and when. Repeat one:
//   bazel test //tests/cluster/faults:random_faults_test --test_env=RINGMASTER_FAULT_SEED=17

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/faults/faulty_run.h"
#include "tests/support/arms.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

// As many as this at once keep two cores busy: most of a run is waiting.
constexpr int kAtOnce = 2;

// The one seed that somebody wants, or those of the test.
std::vector<uint64_t> Seeds(uint64_t begin, uint64_t end) {
  const char* const wanted = std::getenv("RINGMASTER_FAULT_SEED");
  uint64_t seed = 0;
  if (wanted != nullptr && absl::SimpleAtoi(wanted, &seed)) return {seed};
  std::vector<uint64_t> seeds;
  for (seed = begin; seed < end; ++seed) seeds.push_back(seed);
  return seeds;
}

void MakeRuns(const std::vector<uint64_t>& seeds) {
  std::atomic<size_t> next{0};
  absl::Mutex mutex;
  std::vector<absl::Duration> detections;
  int went_on = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < seeds.size(); at = next++) {
        SCOPED_TRACE(absl::StrCat("repeat it with --test_env=RINGMASTER_FAULT_SEED=", seeds[at]));
        const Sighting sighting = MakeFaultyRun(RunOfSeed(seeds[at]));
        absl::MutexLock lock(&mutex);
        went_on += sighting.went_on ? 1 : 0;
        if (sighting.detection.has_value()) detections.push_back(*sighting.detection);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(SharedMemoryLeft(), testing::IsEmpty());
  std::sort(detections.begin(), detections.end());
  std::string text = absl::StrCat(seeds.size(), " runs, ", went_on, " went on without a process");
  if (!detections.empty()) {
    absl::StrAppend(&text, "; closed connections ended a run after ",
                    absl::FormatDuration(detections[detections.size() / 2]), " (median of ",
                    detections.size(), "), at most ", absl::FormatDuration(detections.back()));
  }
  std::printf("%s\n", text.c_str());
}

TEST(RandomFaults, LeaveNothingBehindAndAreNamed) { MakeRuns(Seeds(0, 20)); }

TEST(MoreRandomFaults, LeaveNothingBehindAndAreNamed) { MakeRuns(Seeds(20, 220)); }

TEST(RandomFaults, OfAFewHundredSeedsMeetEveryArmAndTransport) {
  std::set<std::string> arms, transports;
  for (uint64_t seed = 0; seed < 220; ++seed) {
    const FaultyRun run = RunOfSeed(seed);
    arms.insert(run.arm);
    transports.insert(run.transport);
    EXPECT_EQ(run.Text(), RunOfSeed(seed).Text());
  }
  const std::vector<std::string> all = ArmsThat(RunsEverywhere);
  EXPECT_EQ(arms, std::set<std::string>(all.begin(), all.end()));
  EXPECT_EQ(transports.size(), ProcessTransports().size());
}

}  // namespace
}  // namespace ringmaster
