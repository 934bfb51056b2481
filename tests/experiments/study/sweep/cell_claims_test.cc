#include "experiments/study/sweep/cell_claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/machine/host_identity.h"
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

  std::unique_ptr<CellClaims> Open(absl::Duration renew_every = kNever) {
    auto claims = CellClaims::Open(store_, renew_every);
    EXPECT_TRUE(claims.ok()) << claims.status();
    return *std::move(claims);
  }
  std::unique_ptr<CellClaim> Take(CellClaims& claims, const CellKey& key = kKey) {
    auto claim = claims.Claim(key, &holder_);
    EXPECT_TRUE(claim.ok()) << claim.status();
    return *std::move(claim);
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

TEST_F(Claims, AFolderThatCannotBeWrittenIsAnError) {
  std::ofstream(store_ + "/claims") << "a file";
  EXPECT_EQ(CellClaims::Open(store_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ringmaster
