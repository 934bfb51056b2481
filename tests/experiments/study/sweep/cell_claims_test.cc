#include "experiments/study/sweep/cell_claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/machine/host_identity.h"
#include "experiments/study/sweep/claim_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

const CellKey kKey = {"sweep", "cell", 1};

// No renewal comes within a test unless it asks for one.
constexpr absl::Duration kNever = absl::Hours(1);

class Claims : public testing::Test {
 protected:
  void SetUp() override { store_ = NewFolder("store"); }

  std::unique_ptr<CellClaims> Open(absl::Duration renew_every = kNever,
                                   bool files_tell_ages = true) {
    ClaimLease lease;
    lease.renew_every = renew_every;
    lease.files_tell_ages = files_tell_ages;
    auto claims = CellClaims::Open(store_, lease);
    EXPECT_TRUE(claims.ok()) << claims.status();
    return *std::move(claims);
  }
  std::unique_ptr<CellClaim> Take(CellClaims& claims, const CellKey& key = kKey) {
    auto attempt = claims.Claim(key);
    EXPECT_TRUE(attempt.ok()) << attempt.status();
    holder_ = attempt->holder;
    unchanged_since_ = attempt->unchanged_since;
    return std::move(attempt->claim);
  }
  // As a holder on another machine writes it, whose death nobody here can see.
  static void WriteAsOfElsewhere(const std::string& path, const std::string& nonce) {
    std::ofstream(path) << "{\"host\":\"h\",\"process\":1,\"boot\":\"elsewhere\","
                        << "\"pid_namespace\":1,\"nonce\":\"" << nonce << "\"}\n";
  }
  // The only claim's file.
  std::string File() const {
    for (const auto& entry : std::filesystem::directory_iterator(store_ + "/claims")) {
      if (entry.path().extension() == ".claim") return entry.path().string();
    }
    return "";
  }
  static absl::Duration WrittenAt(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return absl::DurationFromTimespec(info.st_mtim);
  }
  static void Age(const std::string& path, absl::Duration by) {
    const timespec then = absl::ToTimespec(WrittenAt(path) - by);
    const timespec times[] = {then, then};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  std::string store_;
  std::string holder_;
  MonotonicTime unchanged_since_;
};

TEST_F(Claims, OneProgramHoldsARunUntilItGivesItUp) {
  const auto one = Open(), two = Open();
  std::unique_ptr<CellClaim> claim = Take(*one);
  ASSERT_NE(claim, nullptr);
  EXPECT_TRUE(claim->IsHeld());
  EXPECT_EQ(Take(*two), nullptr);
  EXPECT_THAT(holder_, HasSubstr(absl::StrCat("process ", getpid(), " on host ")));
  for (const CellKey& other :
       {CellKey{"other", "cell", 1}, CellKey{"sweep", "other", 1}, CellKey{"sweep", "cell", 2}}) {
    EXPECT_NE(Take(*two, other), nullptr);
  }
  claim.reset();
  EXPECT_NE(Take(*two), nullptr);
}

TEST_F(Claims, AClaimThatMissedThreeRenewalsIsTakenOverAndItsHolderLearnsIt) {
  const auto one = Open(absl::Minutes(1)), two = Open(absl::Minutes(1));
  std::unique_ptr<CellClaim> claim = Take(*one);
  Age(File(), absl::Minutes(2));
  EXPECT_EQ(Take(*two), nullptr);
  Age(File(), absl::Minutes(2));
  const std::unique_ptr<CellClaim> taken = Take(*two);
  ASSERT_NE(taken, nullptr);
  EXPECT_FALSE(claim->IsHeld());
  claim.reset();
  EXPECT_TRUE(taken->IsHeld()) << "the late holder gave up what is another's";
}

TEST_F(Claims, AHolderThatLivesRenewsItsClaim) {
  const auto claims = Open(absl::Milliseconds(1));
  const std::unique_ptr<CellClaim> claim = Take(*claims);
  const absl::Duration before = WrittenAt(File());
  EXPECT_TRUE(WaitUntil(absl::Seconds(60), [&] { return WrittenAt(File()) > before; }));
}

TEST_F(Claims, TheClaimOfADeadProcessOfThisMachineIsFreeAtOnce) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const auto claims = Open();
  Take(*claims).reset();
  const std::unique_ptr<CellClaim> claim = Take(*claims);
  const std::string path = File();
  const HostIdentity here = ReadHostIdentity();
  const auto write = [&](const std::string& boot) {
    std::ofstream(path) << "{\"host\":\"h\",\"process\":" << child << ",\"boot\":\"" << boot
                        << "\",\"pid_namespace\":" << here.pid_namespace << "}\n";
  };
  // The same number says nothing about another machine's processes.
  write("another boot");
  EXPECT_EQ(Take(*claims), nullptr);
  EXPECT_THAT(holder_, HasSubstr(absl::StrCat("process ", child, " on host h")));
  write(here.boot_id);
  EXPECT_NE(Take(*claims), nullptr);
}

TEST_F(Claims, AClaimThatIsNotWholeYetIsSomebodys) {
  const auto claims = Open();
  const std::unique_ptr<CellClaim> claim = Take(*claims);
  std::ofstream(File()) << "{\"host\":";
  EXPECT_EQ(Take(*claims), nullptr);
  EXPECT_EQ(holder_, "another program");
}

TEST_F(Claims, WhereFilesTellNoAgesAClaimLapsesWhenItIsSeenUnchangedForSoLong) {
  const absl::Duration renewal = absl::Milliseconds(50);
  const auto others = Open();
  const std::unique_ptr<CellClaim> claim = Take(*others);
  const std::string path = File();
  WriteAsOfElsewhere(path, "a");
  // By its file the claim is an hour old, as where the holder's clock is late; nobody knows that.
  Age(path, absl::Hours(1));
  const auto watching = Open(renewal, false);
  const MonotonicTime begin = MonotonicNow();
  EXPECT_EQ(Take(*watching), nullptr);
  std::unique_ptr<CellClaim> taken;
  EXPECT_TRUE(WaitUntil(absl::Seconds(60), [&] { return (taken = Take(*watching)) != nullptr; }));
  EXPECT_GT(MonotonicNow() - begin, 3 * renewal);
  taken.reset();  // its thread would renew what is written there now
  // Nor does a clock that is early keep a dead program's claim for ever.
  WriteAsOfElsewhere(path, "b");
  Age(path, -absl::Hours(1000));
  for (const bool files_tell_ages : {true, false}) {
    const auto other = Open(renewal, files_tell_ages);
    std::unique_ptr<CellClaim> free;
    EXPECT_TRUE(WaitUntil(absl::Seconds(60), [&] { return (free = Take(*other)) != nullptr; }));
    free.reset();
    WriteAsOfElsewhere(path, "c");
    Age(path, -absl::Hours(1000));
  }
}

TEST_F(Claims, ARenewalIsASignOfLife) {
  const auto others = Open();
  const std::unique_ptr<CellClaim> claim = Take(*others);
  const std::string path = File();
  WriteAsOfElsewhere(path, "a");
  const auto watching = Open(absl::Minutes(1), false);
  EXPECT_EQ(Take(*watching), nullptr);
  const MonotonicTime first = unchanged_since_;
  EXPECT_EQ(Take(*watching), nullptr);
  EXPECT_EQ(unchanged_since_, first);
  Age(path, -absl::Seconds(5));
  EXPECT_EQ(Take(*watching), nullptr);
  EXPECT_GT(unchanged_since_, first);
  const MonotonicTime second = unchanged_since_;
  WriteAsOfElsewhere(path, "b");  // another holder's
  EXPECT_EQ(Take(*watching), nullptr);
  EXPECT_GT(unchanged_since_, second);
}

// Many who find one lapsed claim at once: one of them gets it, and nobody's new claim is lost.
TEST_F(Claims, OfManyWhoTakeALapsedClaimOverOneHoldsIt) {
  const auto first = Open();
  for (int round = 0; round < 50; ++round) {
    std::unique_ptr<CellClaim> claim = Take(*first);
    ASSERT_NE(claim, nullptr);
    WriteAsOfElsewhere(File(), "a");
    Age(File(), absl::Hours(10));
    std::atomic<int> holders{0};
    std::vector<std::unique_ptr<CellClaim>> taken(4);
    std::vector<std::thread> threads;
    for (std::unique_ptr<CellClaim>& own : taken) {
      threads.emplace_back([&] {
        const auto claims = Open(absl::Minutes(1));
        auto attempt = claims->Claim(kKey);
        ASSERT_TRUE(attempt.ok()) << attempt.status();
        own = std::move(attempt->claim);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& own : taken) holders += own != nullptr && own->IsHeld() ? 1 : 0;
    EXPECT_EQ(holders, 1) << "round " << round;
    claim.reset();
  }
}

// What a program does that found a claim lapsed, after another one has taken it over.
TEST_F(Claims, AClaimThatIsNotTheOneThatLapsedStays) {
  const std::string path = store_ + "/claim";
  std::ofstream(path) << "of a living program";
  const auto is_lapsed = [](const ClaimFile& file) { return file.text == "lapsed"; };
  const auto files = [&] { return std::distance(std::filesystem::directory_iterator(store_), {}); };
  EXPECT_EQ(*TakeClaimAway(path, is_lapsed), false);
  EXPECT_EQ((*LookAtClaim(path))->text, "of a living program");
  EXPECT_EQ(files(), 1) << "it was left aside";
  std::ofstream(path) << "lapsed";
  EXPECT_EQ(*TakeClaimAway(path, is_lapsed), true);
  EXPECT_EQ(files(), 0);
  EXPECT_EQ(*TakeClaimAway(path, is_lapsed), false);
  EXPECT_FALSE(LookAtClaim(path)->has_value());
}

TEST_F(Claims, ALeaseIsLongerWhereServersStall) {
  EXPECT_EQ(LeaseOn("").lapses_after(), absl::Seconds(15));
  EXPECT_TRUE(LeaseOn("").files_tell_ages);
  EXPECT_EQ(LeaseOn("lustre").lapses_after(), absl::Minutes(1));
  EXPECT_FALSE(LeaseOn("lustre").files_tell_ages);
}

TEST_F(Claims, AFolderThatCannotBeWrittenIsAnError) {
  std::ofstream(store_ + "/claims") << "a file";
  EXPECT_EQ(CellClaims::Open(store_, ClaimLease()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ringmaster
