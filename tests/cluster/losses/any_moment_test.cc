// Workers that are killed at moments drawn from a seed, over every transport.

#include <signal.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/cluster/losses/lose_one.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

constexpr int kMoments = 5;

TEST(LostProcess, AtAnyMomentOverEveryTransportIsGoneOnWithout) {
  for (const std::string& transport : ProcessTransports()) {
    for (const char* arm : {"ring", "ps"}) {
      for (uint64_t seed = 0; seed < kMoments && !HasFailure(); ++seed) {
        SCOPED_TRACE(absl::StrCat(transport, " ", arm, " seed ", seed));
        Random random(seed);
        const absl::Duration after = absl::Milliseconds(random.Below(1200));
        const nlohmann::json run = LoseOne(arm, {SIGKILL, after}, {"--transport", transport});
        ASSERT_TRUE(run.contains("losses")) << run.dump();
        EXPECT_EQ(run["losses"].size(), 1u);
        EXPECT_EQ(run["status"], "ok");
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
