// `ringmaster codec` as a user runs it.

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/formats/json.h"
#include "common/formats/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

std::string PathOf(const std::string& name) { return absl::StrCat(testing::TempDir(), "/", name); }

// A Gaussian array of shape [20, 50] in a file.
std::string WriteGradient() {
  Random random(3);
  std::vector<float> values(1000);
  for (float& value : values) value = random.Normal();
  const std::string path = PathOf("gradient.npy");
  const auto writer = *NpyWriter::Create(path, NpyType::kFloat32, {20, 50});
  EXPECT_TRUE(writer->Append(absl::MakeConstSpan(values)).ok());
  EXPECT_TRUE(writer->Finish().ok());
  return path;
}

Json Told(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "codec");
  arguments.push_back("--json");
  const Finished told = RunProgram(arguments);
  EXPECT_EQ(told.exit_code, 0) << told.err;
  return *Json::Parse(told.out);
}

TEST(CodecCommand, WritesWhatArrivesWhatTravelsAndWhatIsKept) {
  const std::string in = WriteGradient();
  const std::string out = PathOf("out.npy"), wire = PathOf("wire"), left = PathOf("left.npy");
  const Json told = Told({"int4", "--in", in, "--out", out, "--wire", wire, "--residual", left});
  const NpyArray decoded = *ReadNpy(out), residual = *ReadNpy(left), given = *ReadNpy(in);
  EXPECT_EQ(decoded.shape, given.shape);
  const auto x = given.values<float>(), d = decoded.values<float>(), r = residual.values<float>();
  double error = 0, energy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(r[i], x[i] - d[i]);
    error += std::pow(static_cast<double>(x[i]) - d[i], 2);
    energy += static_cast<double>(x[i]) * x[i];
  }
  EXPECT_NEAR(told["relative_error"].number(), std::sqrt(error / energy), 1e-9);
  std::ifstream file(wire, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(bytes.size(), 500u + 4 * 4);
  EXPECT_EQ(told["bytes"].number(), 516);
  EXPECT_NEAR(told["ratio"].number(), 4000.0 / 516, 1e-9);
}

TEST(CodecCommand, MeasuresBiasAndWhatErrorFeedbackMakesGood) {
  const std::string in = WriteGradient();
  const Json random = Told({"qsgd", "--in", in, "--draws", "400"});
  EXPECT_GT(random["bias_standard_error"].number(), 0);
  EXPECT_LT(std::fabs(random["bias"].number()), 5 * random["bias_standard_error"].number());
  const Json topk = Told({"topk", "--in", in, "--steps", "400"});
  EXPECT_LT(topk["bias"].number(), -0.5) << "most is left out";
  EXPECT_GT(topk["relative_error"].number(), 0.5);
  EXPECT_LT(topk["relative_error_of_mean"].number(), 0.5);
  const Json forgets =
      Told({"topk", "--in", in, "--steps", "400", "--set", "codec.error_feedback=false"});
  EXPECT_GT(forgets["relative_error_of_mean"].number(), 0.9);
}

TEST(CodecCommand, SaysWhatIsWrongAndWhatToDo) {
  const std::string in = WriteGradient();
  const auto said = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "codec");
    const Finished told = RunProgram(arguments);
    EXPECT_EQ(told.exit_code, 2) << told.out;
    return told.err;
  };
  EXPECT_THAT(said({"int9", "--in", in}), HasSubstr("\"int8\""));
  EXPECT_THAT(said({"int8", "--in", "/nowhere.npy"}), HasSubstr("/nowhere.npy"));
  EXPECT_THAT(said({"int8", "--in", in, "--set", "codec.levels=3"}),
              HasSubstr("codec \"int8\" does not take it"));
  EXPECT_THAT(said({"int8", "--in", in, "--set", "codec.block=0"}), HasSubstr("codec.block 0"));
  EXPECT_THAT(said({"int8", "--in", in, "--set", "model.name=mlp"}),
              HasSubstr("expected an option of the codec"));
  EXPECT_THAT(said({"int8", "--in", in, "--residual", PathOf("r.npy")}),
              HasSubstr("add --set codec.error_feedback=true"));
  const Finished planned = RunProgram({"codec", "qsgd", "--in", in, "--plan"});
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_THAT(planned.out, HasSubstr("1000 floats: 1 steps, bias over 100 seeds"));
}

}  // namespace
}  // namespace ringmaster
