// Every arm and every codec learns MNIST, with the settings of its preset, which a user can run as
// it is. Whoever is new in a registry and has no settings there fails.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/config/textproto.h"
#include "experiments/study/sweep/cells.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "proto/sweep_spec.pb.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using ::testing::Contains;

constexpr double kLearned = 0.97;

std::vector<RunSpec> SpecsOf(const std::string& preset) {
  SweepSpec sweep;
  const std::string path = absl::StrCat("experiments/presets/", preset, ".textproto");
  const absl::Status loaded = LoadTextproto(path, "sweep", &sweep);
  EXPECT_TRUE(loaded.ok()) << loaded;
  const auto cells = ExpandCells(sweep);
  EXPECT_TRUE(cells.ok()) << cells.status();
  std::vector<RunSpec> specs;
  for (const SweepCell& cell : cells->cells) specs.push_back(cell.spec);
  return specs;
}

std::vector<std::string> NamesOf(const std::vector<RunSpec>& specs) {
  std::vector<std::string> names;
  for (const RunSpec& spec : specs) names.push_back(spec.name());
  return names;
}

// Whoever trains alone has no model that all share.
bool Learns(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && arm.traits.replicas != Replicas::kIndependent;
}

TEST(Presets, HaveSettingsForEveryArmAndEveryCodec) {
  const std::vector<std::string> arms = NamesOf(SpecsOf("mnist_by_arm"));
  for (const std::string& arm : ArmsThat(Learns)) EXPECT_THAT(arms, Contains(arm));
  std::vector<std::string> codecs;
  for (const char* preset : {"mnist_by_codec", "mnist_by_vote"}) {
    for (const RunSpec& spec : SpecsOf(preset)) codecs.push_back(spec.codec().name());
  }
  for (const std::string& codec : AllCodecs()) EXPECT_THAT(codecs, Contains(codec));
}

std::string NameOf(const testing::TestParamInfo<RunSpec>& info) {
  return absl::StrReplaceAll(info.param.name(), {{"-", "_"}, {"+", "_with_"}});
}

class OnMnist : public testing::TestWithParam<RunSpec> {};
INSTANTIATE_TEST_SUITE_P(Arm, OnMnist, testing::ValuesIn(SpecsOf("mnist_by_arm")), NameOf);
INSTANTIATE_TEST_SUITE_P(Codec, OnMnist, testing::ValuesIn(SpecsOf("mnist_by_codec")), NameOf);
INSTANTIATE_TEST_SUITE_P(Vote, OnMnist, testing::ValuesIn(SpecsOf("mnist_by_vote")), NameOf);

TEST_P(OnMnist, Reaches97Percent) {
  const char* const dir = std::getenv("RINGMASTER_MNIST_DIR");
  ASSERT_NE(dir, nullptr)
      << "RINGMASTER_MNIST_DIR names no folder; run this test with ./test, which fetches MNIST";
  RunSpec spec = GetParam();
  spec.mutable_data()->set_dir(dir);
  const std::string folder = NewFolder("learning"), path = folder + "/run.textproto";
  std::string text;
  ASSERT_TRUE(google::protobuf::TextFormat::PrintToString(spec, &text));
  std::ofstream(path) << text;
  Program program({"run", path, "--json", "--out", folder + "/out"});
  const Finished finished = program.Wait(Patience(180));
  ASSERT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  const json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(object.is_object()) << finished.out;
  ASSERT_EQ(object["runs"].size(), 1u);
  const json& run = object["runs"][0];
  ASSERT_EQ(run["status"], "ok");
  EXPECT_GE(run["test_accuracy"].get<double>(), kLearned);
  std::printf("%s: accuracy %.4f\n", spec.name().c_str(), run["test_accuracy"].get<double>());
}

}  // namespace
}  // namespace ringmaster
