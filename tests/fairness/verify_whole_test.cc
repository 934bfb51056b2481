// All of `ringmaster verify` on this machine: it passes, in the time it promises.

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

TEST(VerifyCommand, PassesHereAndSaysSoInJson) {
  std::vector<std::string> arguments = {"verify", "--json"};
  const char* dir = std::getenv("RINGMASTER_MNIST_DIR");
  if (dir != nullptr) arguments.insert(arguments.end(), {"--data-dir", dir});
  const Finished finished = Program(arguments).Wait(Patience(600));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const auto object = nlohmann::json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(object.is_object()) << finished.out;
  EXPECT_EQ(object["passed"], true);
  EXPECT_EQ(object["real_data"], dir != nullptr);
  EXPECT_GE(object["checks"].size(), 16u);
  for (const auto& check : object["checks"]) EXPECT_EQ(check["passed"], true) << check;
}

}  // namespace
}  // namespace ringmaster
