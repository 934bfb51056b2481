// What ranks take of their machine: address space, memory, and what is left of it under limits.

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr int64_t kMebi = 1 << 20;

// One line of /proc/PID/maps.
struct Mapping {
  int64_t bytes = 0;
  std::string name;  // empty: memory of the process's own
};

std::vector<Mapping> MappingsOf(pid_t pid) {
  std::vector<Mapping> mappings;
  std::ifstream file(absl::StrCat("/proc/", pid, "/maps"));
  for (std::string line; std::getline(file, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
    const size_t name = line.find_first_of("/[");
    mappings.push_back(
        {static_cast<int64_t>(end - begin), name == std::string::npos ? "" : line.substr(name)});
  }
  return mappings;
}

int CountOf(const std::vector<Mapping>& mappings, const std::string& name) {
  int count = 0;
  for (const Mapping& mapping : mappings) count += absl::StrContains(mapping.name, name) ? 1 : 0;
  return count;
}

// Memory of a process, what it shares divided among those who share it; 0 where it has ended.
int64_t ProportionalBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  for (std::string line; std::getline(file, line);) {
    long long kibibytes = 0;
    if (std::sscanf(line.c_str(), "Pss: %lld kB", &kibibytes) == 1) return kibibytes << 10;
  }
  return 0;
}

// The ranks of `program` once each has its own exchange memory and a neighbour's: the ring goes
// round. Fewer at the limit.
std::vector<pid_t> RanksThatExchange(const Program& program, size_t ranks, absl::Duration limit) {
  std::vector<pid_t> ready;
  WaitUntil(limit, [&] {
    ready.clear();
    for (const pid_t pid : ChildrenOf(program.pid())) {
      if (CountOf(MappingsOf(pid), "ringmaster-exchange") >= 2) ready.push_back(pid);
    }
    return ready.size() == ranks;
  });
  return ready;
}

TEST(RanksOfOneHost, MapWhatTheRunNeedsAndTakeLittleMemoryWhereTheyComputeNothing) {
  constexpr int kRanks = 8;
  const Program program({"compare", "--arms", "ring", "--workers", absl::StrCat(kRanks),
                         "--emulate", "20", "--data", "synthetic", "--model", "mlp", "--steps",
                         "100000", "--transport", "shm", "--out", NewFolder("out")});
  const std::vector<pid_t> ranks = RanksThatExchange(program, kRanks, Patience(60));
  ASSERT_EQ(ranks.size(), size_t{kRanks}) << program.ErrorSoFar();
  for (const pid_t rank : ranks) {
    const std::vector<Mapping> mappings = MappingsOf(rank);
    for (const Mapping& mapping : mappings) {
      // The model has a mebibyte of weights, and a lane of a peer is as large.
      const bool is_shared = absl::StrContains(mapping.name, "memfd:");
      // What the allocator sets aside for threads may lie side by side.
      EXPECT_LE(mapping.bytes, is_shared ? 2 * kRanks * kMebi : 1024 * kMebi) << mapping.name;
    }
    // Of the peers' memory a ring needs one neighbour's.
    EXPECT_LE(CountOf(mappings, "ringmaster-exchange"), 4);
    EXPECT_LT(ProportionalBytes(rank), 20 * kMebi);
  }
}

// A soft limit of address space, for the programs that are started meanwhile.
class AddressSpaceLimit {
 public:
  explicit AddressSpaceLimit(int64_t bytes) {
    getrlimit(RLIMIT_AS, &before_);
    const rlimit limit = {static_cast<rlim_t>(bytes), before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  }
  ~AddressSpaceLimit() { setrlimit(RLIMIT_AS, &before_); }

 private:
  rlimit before_{};
};

Finished RunUnder(int64_t address_space_bytes, const std::string& transport) {
  const AddressSpaceLimit limit(address_space_bytes);
  return RunProgram(SmallRun("compare", {"--arms", "ring,ps", "--workers", "4", "--steps", "10",
                                         "--transport", transport, "--out", NewFolder("out")}));
}

TEST(AddressSpace, OfFourHundredMegabytesIsEnoughForASmallRunOverSharedMemoryAndSockets) {
  for (const char* transport : {"shm", "grpc"}) {
    const Finished finished = RunUnder(400'000'000, transport);
    EXPECT_EQ(finished.exit_code, 0) << transport << ": " << finished.err;
  }
}

// What is not foreseen is said by the rank that meets it, or by whoever sees it end.
TEST(AddressSpace, ThatRunsOutLaterIsNamedToo) {
  const AddressSpaceLimit limit(400'000'000);
  const Finished finished =
      RunProgram({"compare", "--arms", "ring", "--workers", "2", "--emulate", "5", "--data",
                  "synthetic", "--model", "mlp", "--set", "model.mlp_hidden=4000,4000", "--steps",
                  "3", "--transport", "shm", "--out", NewFolder("out")});
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("400000000 bytes of address space (ulimit -v, RLIMIT_AS)"));
}

TEST(AddressSpace, ThatIsTooSmallEndsTheRunWithTheNameAndValueOfItsLimit) {
  const Finished finished = RunUnder(120'000'000, "shm");
  EXPECT_EQ(finished.exit_code, 2) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("needs at least 15"));
  EXPECT_THAT(finished.err, HasSubstr("limited to 120000000 bytes (ulimit -v, RLIMIT_AS)"));
  EXPECT_THAT(finished.err, HasSubstr("raise the limit"));
}

}  // namespace
}  // namespace ringmaster
