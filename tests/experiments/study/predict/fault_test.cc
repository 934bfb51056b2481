// Faults at any moment of a run, by seed: RINGMASTER_FAULT_SEED=N repeats one,
// RINGMASTER_FAULT_SEEDS says how many there are.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check_context.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/predict/fault_run.h"
#include "tests/experiments/study/predict/seeded_setting.h"

namespace ringmaster {
namespace {

constexpr uint64_t kSeeds = 300;

std::optional<uint64_t> FromEnvironment(const char* name) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

std::vector<Setting> AllSettings() {
  std::vector<Setting> settings = SeededSettings();
  for (Setting& setting : GoingOnSettings()) settings.push_back(std::move(setting));
  for (Setting& setting : ReformingSettings()) settings.push_back(std::move(setting));
  return settings;
}

// The same settings again and again, each with another seed.
class FaultRuns {
 public:
  void Play(uint64_t seed) {
    const Setting& setting = settings_[seed % settings_.size()];
    SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", setting.name(),
                              "; repeat it: bazel test "
                              "//tests/experiments/study/predict:fault_test "
                              "--test_env=RINGMASTER_FAULT_SEED=",
                              seed, " --test_output=all"));
    // A failed RM_CHECK says it too.
    const ScopedCheckContext context(absl::StrCat("RINGMASTER_FAULT_SEED=", seed));
    auto found = expected_.find(setting.name());
    if (found == expected_.end()) {
      FaultRun run(setting, /*seed=*/0, /*expected=*/nullptr);
      run.Run();
      ASSERT_FALSE(run.failed());
      found = expected_.emplace(setting.name(), run.TakeTrajectory()).first;
    }
    FaultRun run(setting, seed, &found->second);
    run.Run();
    std::string faults;
    for (const Fault& fault : run.happened()) {
      absl::StrAppend(&faults, "\n  ", ToString(fault));
      ++(run.failed() ? failed_ : went_on_)[fault.kind];
    }
    ++ends_[run.end()];
    if (!run.failed() && run.workers_lost() > 0) ++without_lost_;
    reformed_ += run.reformed();
    lost_meanwhile_ += run.lost_meanwhile();
    if (testing::Test::HasFailure()) ADD_FAILURE() << "faults:" << faults;
  }

  int64_t went_on(FaultKind kind) { return went_on_[kind]; }
  // Runs that went on to their end without a worker.
  int64_t without_lost() const { return without_lost_; }
  // New formations, and losses that came before they were there.
  int64_t reformed() const { return reformed_; }
  int64_t lost_meanwhile() const { return lost_meanwhile_; }
  int64_t failed(FaultKind kind) { return failed_[kind]; }
  const std::map<absl::StatusCode, int64_t>& ends() const { return ends_; }

 private:
  const std::vector<Setting> settings_ = AllSettings();
  std::map<std::string, Trajectory> expected_;  // by setting
  std::map<FaultKind, int64_t> went_on_, failed_;
  std::map<absl::StatusCode, int64_t> ends_;
  int64_t without_lost_ = 0, reformed_ = 0, lost_meanwhile_ = 0;
};

TEST(FaultsBySeed, EveryRunEndsWithAStatusThatNamesWhoAndWhereOrGoesOnWithItsInvariants) {
  FaultRuns runs;
  if (const auto seed = FromEnvironment("RINGMASTER_FAULT_SEED"); seed.has_value())
    return runs.Play(*seed);
  const uint64_t seeds = FromEnvironment("RINGMASTER_FAULT_SEEDS").value_or(kSeeds);
  for (uint64_t seed = 0; seed < seeds && !HasFailure(); ++seed) runs.Play(seed);
  if (HasFailure()) return;
  // Every kind of fault came, and ended runs or did not.
  for (const auto kind : {FaultKind::kKill, FaultKind::kStop, FaultKind::kCut, FaultKind::kBreak,
                          FaultKind::kHangUp}) {
    EXPECT_GT(runs.failed(kind), 0) << static_cast<int>(kind);
  }
  for (const auto kind : {FaultKind::kStop, FaultKind::kSlow, FaultKind::kCut, FaultKind::kBreak,
                          FaultKind::kJoinTwice}) {
    EXPECT_GT(runs.went_on(kind), 0) << static_cast<int>(kind);
  }
  EXPECT_GT(runs.without_lost(), 0);
  EXPECT_GT(runs.reformed(), 0);
  EXPECT_GT(runs.lost_meanwhile(), 0);
  std::printf("without a lost worker: %d, formed anew: %d, lost meanwhile: %d\n",
              static_cast<int>(runs.without_lost()), static_cast<int>(runs.reformed()),
              static_cast<int>(runs.lost_meanwhile()));
  for (const auto& [code, count] : runs.ends())
    std::printf("%s: %d\n", absl::StatusCodeToString(code).c_str(), static_cast<int>(count));
}

}  // namespace
}  // namespace ringmaster
