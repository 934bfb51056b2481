#include "common/config/load.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "common/config/override.h"
#include "common/config/textproto.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Load, ASpecFromAFileWritesIntoTheOutputFolderAlone) {
  const auto check = [](const std::string& path, const std::string& folder) {
    RunSpec spec;
    spec.mutable_output()->set_save_weights(path);
    const absl::Status weights = CheckOutputsWithin(spec, folder);
    spec.mutable_output()->clear_save_weights();
    spec.mutable_output()->set_checkpoints(path);
    EXPECT_EQ(CheckOutputsWithin(spec, folder).ok(), weights.ok());
    return weights;
  };
  for (const char* const path :
       {"out/w", "./out/a/{arm}.safetensors", "out/../out/w", "/tmp/../../w"})
    EXPECT_TRUE(check(path, path[0] == '/' ? "/" : "out").ok()) << path;
  EXPECT_TRUE(check("/data/run/w", "/data/run/").ok());
  for (const char* const path : {"w", "../w", "out/../w", "output/w", "out", "out/.", "/etc/passwd",
                                 "out/../../out/w", "/out/w"})
    EXPECT_FALSE(check(path, "out").ok()) << path;
  EXPECT_THAT(std::string(check("/etc/passwd", "out").message()), HasSubstr("--save-weights"));
  EXPECT_TRUE(CheckOutputsWithin(RunSpec(), "out").ok());
}

TEST(Load, ASpecSurvivesSerializationAndParsing) {
  const auto spec = ParseRunSpec(R"(
    name: "mine"
    model { name: "mlp" mlp_hidden: [64, 32] }
    optimizer { learning_rate: 0.1 }
    strategy {
      parameter_server { consistency: SSP staleness_bound: 0 servers: 2 placement: COLOCATED }
      launch: THREADS
    }
  )",
                                 "text");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->strategy().parameter_server().has_staleness_bound());
  const auto again = ParseRunSpec(SerializeRunSpec(*spec), "text");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), spec->SerializeAsString());
}

TEST(Load, ErrorsNameFileLineAndColumnAndNothingIsPrinted) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/broken.textproto";
  std::ofstream(path) << "model { name: \"lenet\" }\ntraining {\n  worker: 2\n}\n";
  ::testing::internal::CaptureStderr();
  const auto spec = LoadRunSpec(path);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(spec.status().message()), StartsWith(path + ":3:9: "));
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr("\"worker\""));
}

TEST(Load, AMissingFileAndAFolderAreErrorsThatNameThePath) {
  const auto missing = LoadRunSpec("/nonexistent/spec.textproto");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nonexistent/spec.textproto"));
  const auto folder = LoadRunSpec(std::getenv("TEST_TMPDIR"));
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kInvalidArgument);
}

std::string Set(const std::string& assignment, RunSpec* spec) {
  return std::string(SetField(assignment, spec).message());
}

TEST(Override, SetsEveryKindOfField) {
  RunSpec spec;
  EXPECT_EQ(Set("name=a=b", &spec), "");
  EXPECT_EQ(Set("model.mlp_hidden=256, 128", &spec), "");
  EXPECT_EQ(Set("data.seed=18446744073709551615", &spec), "");
  EXPECT_EQ(Set("optimizer.learning_rate=0.25", &spec), "");
  EXPECT_EQ(Set(" training.steps = 100 ", &spec), "");
  EXPECT_EQ(Set("training.deterministic=true", &spec), "");
  EXPECT_EQ(Set("strategy.launch=threads", &spec), "");
  EXPECT_EQ(Set("strategy.parameter_server.servers=3", &spec), "");
  EXPECT_EQ(spec.name(), "a=b");
  ASSERT_EQ(spec.model().mlp_hidden_size(), 2);
  EXPECT_EQ(spec.model().mlp_hidden(1), 128);
  EXPECT_EQ(spec.data().seed(), 18446744073709551615u);
  EXPECT_EQ(spec.optimizer().learning_rate(), 0.25f);
  EXPECT_EQ(spec.training().steps(), 100);
  EXPECT_TRUE(spec.training().deterministic());
  EXPECT_EQ(spec.strategy().launch(), THREADS);
  EXPECT_EQ(spec.strategy().parameter_server().servers(), 3);
}

TEST(Override, AnotherMemberOfAOneofReplacesTheFormer) {
  RunSpec spec;
  EXPECT_EQ(Set("strategy.parameter_server.servers=3", &spec), "");
  EXPECT_EQ(Set("strategy.all_reduce.collective=ring", &spec), "");
  EXPECT_FALSE(spec.strategy().has_parameter_server());
  EXPECT_EQ(Set("strategy.single={}", &spec), "");
  EXPECT_TRUE(spec.strategy().has_single());
  EXPECT_EQ(Set("strategy.all_reduce={collective: \"direct\"}", &spec), "");
  EXPECT_EQ(spec.strategy().all_reduce().collective(), "direct");
}

TEST(Override, AListReplacesAndAnEmptyListClears) {
  RunSpec spec;
  spec.mutable_model()->add_mlp_hidden(7);
  EXPECT_EQ(Set("model.mlp_hidden=1,2", &spec), "");
  EXPECT_EQ(spec.model().mlp_hidden_size(), 2);
  EXPECT_EQ(Set("model.mlp_hidden=", &spec), "");
  EXPECT_EQ(spec.model().mlp_hidden_size(), 0);
}

TEST(Override, AnUnknownFieldNamesTheNearestAndTheKnownOnes) {
  RunSpec spec;
  EXPECT_THAT(
      Set("optimizer.learning_rat=1", &spec),
      StartsWith("no field \"learning_rat\" in \"optimizer\"; did you mean "
                 "\"learning_rate\"? known are name, learning_rate, momentum, step_schedule, "));
  const std::string far = Set("zzzzzzzzz=1", &spec);
  EXPECT_THAT(far, HasSubstr("no field \"zzzzzzzzz\" in a run spec; known are name, model"));
  EXPECT_THAT(far, Not(HasSubstr("did you mean")));
  EXPECT_THAT(Set("strategy.single.x=1", &spec), HasSubstr("\"strategy.single\" has no fields"));
  EXPECT_THAT(Set("name.x=1", &spec), HasSubstr("\"name\" is a value"));
  EXPECT_THAT(Set("=1", &spec), HasSubstr("no field \"\""));
}

TEST(Override, AnEnumsDefaultIsAValueToo) {
  RunSpec spec;
  EXPECT_EQ(Set("training.bucket_layout=WHOLE_TENSORS", &spec), "");
  EXPECT_EQ(spec.training().bucket_layout(), TrainingSpec::WHOLE_TENSORS);
  EXPECT_EQ(Set("training.bucket_layout=cut", &spec), "");
  EXPECT_EQ(spec.training().bucket_layout(), TrainingSpec::CUT);
  EXPECT_THAT(Set("training.bucket_layout=WHOLE", &spec),
              HasSubstr("known are CUT, WHOLE_TENSORS"));
  EXPECT_THAT(
      std::string(ParseTextproto("training { bucket_layout: WHOLE }", "a file", &spec).message()),
      HasSubstr("known are CUT, WHOLE_TENSORS"));
}

TEST(Override, ARefusedAssignmentLeavesTheSpecAsItWas) {
  RunSpec spec;
  spec.mutable_model()->add_mlp_hidden(7);
  const std::string before = spec.SerializeAsString();
  for (const char* assignment :
       {"training.steps", "training.steps=", "training.steps=1.5", "training.workers=3000000000",
        "data.seed=-1", "optimizer.learning_rate=nan", "optimizer.learning_rate=1e300",
        "training.deterministic=yes", "strategy.launch=FORKS", "strategy.launch=LAUNCH_MODE_UNSET",
        "model.mlp_hidden=1,x", "training=5", "strategy.single={x: 1}",
        "strategy.parameter_server.servers=x"}) {
    EXPECT_NE(Set(assignment, &spec), "") << assignment;
    EXPECT_EQ(spec.SerializeAsString(), before) << assignment;
  }
  EXPECT_THAT(Set("strategy.launch=FORKS", &spec),
              HasSubstr("\"FORKS\" is no value of it; known are PROCESSES, THREADS"));
}

TEST(FieldCalled, IsTheOnlyOneOrTheOneThatIsLeastDeep) {
  const auto all = [](const std::string&) { return true; };
  EXPECT_EQ(FieldCalled("learning_rate", all), "optimizer.learning_rate");
  EXPECT_EQ(FieldCalled("momentum", all), "optimizer.momentum");  // and codec.dgc.momentum
  EXPECT_EQ(FieldCalled("collective", all), "");                  // of several strategies
  EXPECT_EQ(FieldCalled("no_such_field", all), "");
  EXPECT_EQ(FieldCalled("momentum", [](const std::string& path) { return path[0] == 'c'; }),
            "codec.dgc.momentum");
}

}  // namespace
}  // namespace ringmaster
