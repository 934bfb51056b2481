// The reference model learns: what every comparison's accuracy columns rest on.

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;

TEST(Accuracy, LenetPasses985PermilleOnMnistInTwoEpochs) {
  const char* const dir = std::getenv("RINGMASTER_MNIST_DIR");
  ASSERT_NE(dir, nullptr)
      << "RINGMASTER_MNIST_DIR names no folder; run this test with ./test, which fetches MNIST";
  Program program({"compare", "--arms", "single", "--model", "lenet", "--data", "mnist",
                   "--data-dir", dir, "--epochs", "2", "--json", "--out", NewFolder("out")});
  const Finished finished = program.Wait(Patience(240));
  ASSERT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  const json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(object.is_object()) << finished.out;
  ASSERT_EQ(object["runs"].size(), 1u);
  const json& run = object["runs"][0];
  EXPECT_EQ(run["status"], "ok");
  EXPECT_GT(run["test_accuracy"].get<double>(), 0.985);
  std::printf("accuracy %.4f\n", run["test_accuracy"].get<double>());
}

}  // namespace
}  // namespace ringmaster
