// An hour of runs whose processes are killed, stopped and cut off at random: what starts them stays
// as it is. Two of them at once:
//   - `ringmaster sweep`, one program that makes thousands of runs, some of whose ranks die;
//   - programs of one run each, as of random_faults_test.
// RINGMASTER_SOAK_SECONDS is another length, RINGMASTER_SOAK_SEED another seed.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/faults/faulty_run.h"
#include "tests/cluster/faults/watched_process.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

constexpr int64_t kLooks = 120;
// A sweep remembers which of its runs are done: their settings, for the table at its end.
constexpr int64_t kSweepBytesPerRun = 8 << 10;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) && value > 0 ? value : otherwise;
}

// Short runs, more than an hour has: trial after trial over one arm of each scheme.
std::string WriteSweep(const std::string& folder) {
  const auto exchanges = [](const ArmUnderTest& arm) { return Exchanges(arm); };
  const std::string file = folder + "/soak.textproto";
  std::ofstream(file) << R"(
    base {
      data { name: "synthetic" synthetic { train_samples: 500 test_samples: 67 height: 9 width: 7 } }
      model { name: "mlp" mlp_hidden: 31 }
      training {
        kernels: "cpu" batch_per_worker: 6 steps: 60 bucket_bytes: 3000
        emulated_compute { milliseconds: 2 }
      }
      limits { wait_seconds: 3 heartbeat_seconds: 0.1 }
    }
    axes { field: "arm" values: ")"
                      << absl::StrJoin(OneArmOfEachScheme(exchanges), "\" values: \"") << R"(" }
    axes { field: "transport.name" values: ")"
                      << absl::StrJoin(ProcessTransports(), "\" values: \"") << R"(" }
    trials: 1000
  )";
  return file;
}

int64_t FilesIn(const std::string& folder) {
  std::error_code error;
  int64_t count = 0;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error))
    count += entry->is_directory(error) ? 0 : 1;
  return count;
}

int64_t LinesIn(const std::string& path) {
  std::ifstream file(path);
  int64_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

// Does something bad to one of the program's ranks now and then.
class Tormentor {
 public:
  Tormentor(pid_t launcher, uint64_t seed) : launcher_(launcher), random_(seed) {
    next_ = MonotonicNow();
  }
  void Look() {
    if (MonotonicNow() < next_) return;
    next_ = MonotonicNow() + absl::Milliseconds(100 + random_.Below(2000));
    const std::vector<pid_t> ranks = ChildrenOf(launcher_);
    if (ranks.empty()) return;
    const pid_t rank = ranks[random_.Below(ranks.size())];
    kill(rank, random_.Below(4) == 0 ? SIGSTOP : SIGKILL);
    ++faults_;
  }
  int64_t faults() const { return faults_; }

 private:
  const pid_t launcher_;
  Random random_;
  MonotonicTime next_;
  int64_t faults_ = 0;
};

TEST(Soak, AnHourOfFaultsLeavesWhatStartsRunsAsItIs) {
  const absl::Duration length = absl::Seconds(FromEnvironment("RINGMASTER_SOAK_SECONDS", 3600));
  const auto seed = static_cast<uint64_t>(FromEnvironment("RINGMASTER_SOAK_SEED", 1));
  SCOPED_TRACE(absl::StrCat("RINGMASTER_SOAK_SEED=", seed));
  const std::string folder = NewFolder("soak");
  const std::string out = folder + "/out", temporary = folder + "/tmp";
  fs::create_directories(temporary);
  const MonotonicTime end = MonotonicNow() + length;

  std::atomic<int64_t> single_runs{0};
  std::atomic<bool> over{false};
  std::thread singles([&] {
    for (uint64_t run = 0; !over; ++run, ++single_runs)
      MakeFaultyRun(RunOfSeed(seed * 1000000 + run));
  });

  Program sweep({"sweep", WriteSweep(folder), "--out", out}, {absl::StrCat("TMPDIR=", temporary)});
  Tormentor tormentor(sweep.pid(), seed);
  std::vector<ProcessSize> sweeps, drivers;
  bool lives = true;
  for (int64_t look = 0; look < kLooks && lives; ++look) {
    const MonotonicTime next = end - length * (kLooks - 1 - look) / kLooks;
    lives = !WaitUntil(next - MonotonicNow(), [&] {
      tormentor.Look();
      return StateOf(sweep.pid()) == 'Z';
    });
    sweeps.push_back(SizeOf(sweep.pid(), LinesIn(out + "/results.jsonl")));
    drivers.push_back(SizeOf(getpid(), single_runs));
  }
  over = true;
  EXPECT_TRUE(lives) << "the sweep ended by itself";
  sweep.Signal(SIGINT);
  const Finished finished = sweep.Wait(Patience(10));
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
  singles.join();

  const int64_t runs = LinesIn(out + "/results.jsonl");
  std::printf("soak of %s: a sweep of %lld runs with %lld faults: %s\n",
              absl::FormatDuration(length).c_str(), static_cast<long long>(runs),
              static_cast<long long>(tormentor.faults()), GrowthText(sweeps).c_str());
  std::printf("%lld programs of one run, by seed: their driver has %s\n",
              static_cast<long long>(single_runs.load()), GrowthText(drivers).c_str());
  EXPECT_GT(runs, 0);
  EXPECT_THAT(WhatGrew(sweeps, kSweepBytesPerRun), IsEmpty());
  EXPECT_THAT(WhatGrew(drivers, 0), IsEmpty());
  EXPECT_THAT(SharedMemoryLeft(), IsEmpty());
  EXPECT_EQ(FilesIn(temporary), 0);
  // A record a run, and the store's own few.
  EXPECT_LE(FilesIn(out), FilesIn(out + "/records") + 4);
  EXPECT_LE(FilesIn(out + "/records"), runs);
  std::error_code error;
  fs::remove_all(folder, error);
}

TEST(SoakRule, FindsWhatGrows) {
  std::vector<ProcessSize> sizes;
  for (int64_t look = 0; look < 40; ++look) sizes.push_back({look, 50 << 20, 20, 4});
  EXPECT_THAT(WhatGrew(sizes, 0), IsEmpty());
  std::vector<ProcessSize> leaks = sizes;
  for (ProcessSize& size : leaks) size.resident_bytes += size.runs * (1 << 18);
  EXPECT_THAT(WhatGrew(leaks, 0), testing::ElementsAre(testing::HasSubstr("memory: ")));
  EXPECT_THAT(WhatGrew(leaks, 1 << 18), IsEmpty());
  leaks = sizes;
  for (ProcessSize& size : leaks) size.descriptors += size.runs / 10;
  EXPECT_THAT(WhatGrew(leaks, 0), testing::ElementsAre(testing::HasSubstr("descriptors: ")));
  leaks = sizes;
  for (ProcessSize& size : leaks) size.threads += size.runs / 10;
  EXPECT_THAT(WhatGrew(leaks, 0), testing::ElementsAre(testing::HasSubstr("threads: ")));
}

}  // namespace
}  // namespace ringmaster
