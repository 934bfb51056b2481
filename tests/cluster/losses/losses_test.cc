// Real processes that are killed or suspended, in runs that go on without them.

#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/losses/lose_one.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(LostProcess, ThatIsKilledIsGoneOnWithoutSoonAndIsInTheRecord) {
  const nlohmann::json run = LoseOne("ring", {SIGKILL});
  ASSERT_TRUE(run.contains("losses")) << run.dump();
  ASSERT_EQ(run["losses"].size(), 1u);
  const nlohmann::json& loss = run["losses"][0];
  EXPECT_EQ(loss["nodes"][0], "worker/2");
  EXPECT_EQ(loss["how"], "signal 9 (Killed)");
  EXPECT_TRUE(loss["reformed"].get<bool>());
  EXPECT_LE(loss["recovery_seconds"].get<double>(), absl::ToDoubleSeconds(Patience(1)));
  EXPECT_EQ(run["status"], "ok");
}

TEST(LostProcess, ThatIsSuspendedIsKilledAndGoneOnWithout) {
  const nlohmann::json run =
      LoseOne("ps", {SIGSTOP}, {"--set", "limits.heartbeat_seconds=0.1", "--transport", "shm"});
  ASSERT_TRUE(run.contains("losses")) << run.dump();
  EXPECT_THAT(run["losses"][0]["how"].get<std::string>(), HasSubstr("suspended"));
  EXPECT_EQ(run["status"], "ok");
}

}  // namespace
}  // namespace ringmaster
