#include "common/machine/process_costs.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

TEST(ProcessCosts, TheWorkOfEveryThreadCounts) {
  const double before = ProcessCpuSeconds();
  double own = 0;
  std::thread([&own] {
    timespec begin{}, now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    do {
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
      own = static_cast<double>(now.tv_sec - begin.tv_sec) +
            1e-9 * static_cast<double>(now.tv_nsec - begin.tv_nsec);
    } while (own < 0.05);
  }).join();
  // What the kernel rounds is far less than half.
  EXPECT_GE(ProcessCpuSeconds() - before, own / 2);
}

TEST(ProcessCosts, MemoryThatIsTouchedCountsAndWhatIsGivenBackStaysInThePeakAlone) {
  constexpr int64_t kBytes = 64 * kMebibyte;
  const int64_t before = ProcessPssBytes().value();
  {
    std::vector<char> memory(kBytes, 1);
    EXPECT_GE(*ProcessPssBytes() - before, kBytes * 9 / 10);
    EXPECT_GE(*ProcessPeakRssBytes(), kBytes);
  }
  EXPECT_LT(*ProcessPssBytes() - before, kBytes / 2);
  EXPECT_GE(*ProcessPeakRssBytes(), kBytes);
}

TEST(ProcessCosts, APageOfTwoProcessesCountsHalfInEach) {
  constexpr int64_t kBytes = 64 * kMebibyte;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  std::memset(memory, 1, kBytes);
  const int64_t alone = *ProcessPssBytes();
  int touched[2], done[2];
  ASSERT_EQ(pipe(touched), 0);
  ASSERT_EQ(pipe(done), 0);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    volatile char sum = 0;
    for (int64_t i = 0; i < kBytes; i += 4096) sum = sum + static_cast<char*>(memory)[i];
    if (write(touched[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  ASSERT_EQ(read(touched[0], &byte, 1), 1);
  EXPECT_LE(*ProcessPssBytes(), alone - kBytes * 4 / 10);
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  munmap(memory, kBytes);
}

TEST(ProcessCosts, WhatTheSystemDoesNotTellIsAbsent) {
  const std::string proc = testing::TempDir() + "/proc";
  EXPECT_FALSE(ProcessPssBytes(proc).has_value());
  std::filesystem::create_directories(proc + "/self");
  std::ofstream(proc + "/self/smaps_rollup")
      << "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   12 kB\nPss_Dirty: 3 kB\n";
  EXPECT_EQ(ProcessPssBytes(proc), 12 * 1024);
  EXPECT_FALSE(ProcessPeakRssBytes(proc).has_value());
}

}  // namespace
}  // namespace ringmaster
