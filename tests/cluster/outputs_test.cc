// What a run leaves behind and starts from, and `evaluate`: real processes, real files.

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/formats/npy.h"
#include "common/formats/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string BytesOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream stream;
  stream << file.rdbuf();
  return stream.str();
}

// A comparison over tcp in a folder of its own, which keeps its records there too.
class Outputs : public testing::Test {
 protected:
  Finished Compare(const std::string& arms, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--arms", arms,    "--transport", "tcp", "--json",
                                          "--out",  folder_, "--steps",     "20"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(SmallRun("compare", arguments));
  }
  // Saves the weights of a short run.
  std::string Train(const std::vector<std::string>& more = {}) {
    const std::string path = absl::StrCat(folder_, "/trained.safetensors");
    std::vector<std::string> arguments = {"--save-weights", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = Compare("single", arguments);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return path;
  }
  static std::vector<std::string> Model() {
    return {"--data",  "synthetic",
            "--model", "mlp",
            "--set",   "data.synthetic.train_samples=500",
            "--set",   "data.synthetic.height=9",
            "--set",   "data.synthetic.width=7",
            "--set",   "model.mlp_hidden=31",
            "--set",   "training.kernels=cpu",
            "--set",   "data.synthetic.noise=3",
            "--set",   "data.synthetic.test_samples=1337"};
  }
  static Finished Evaluate(const std::string& weights, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"evaluate", "--weights", weights};
    for (const std::string& argument : Model()) arguments.push_back(argument);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments);
  }
  const std::string folder_ = NewFolder("outputs");
};

TEST_F(Outputs, ArmsOfOneTrajectorySaveTheSameFileAndItsTensorsAreTheModels) {
  const Finished finished = Compare(Joined(OneArmOfEachScheme(HasOneTrajectory)),
                                    {"--save-weights", folder_ + "/{arm}.safetensors"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::string single = BytesOfFile(folder_ + "/single.safetensors");
  EXPECT_EQ(single, BytesOfFile(folder_ + "/ps.safetensors"));
  EXPECT_EQ(single, BytesOfFile(folder_ + "/ring.safetensors"));
  const auto file = ReadSafetensors(folder_ + "/ring.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("model"), "mlp");
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const LoadedTensor& tensor : file->tensors) shapes[tensor.name] = tensor.shape;
  EXPECT_EQ(shapes, (std::map<std::string, std::vector<int64_t>>{{"fc1.bias", {31}},
                                                                 {"fc1.weight", {31, 63}},
                                                                 {"fc2.bias", {10}},
                                                                 {"fc2.weight", {10, 31}}}));
}

TEST_F(Outputs, ARunContinuesFromSavedWeightsInEveryArm) {
  const std::string weights = Train();
  const Finished finished = Compare(Joined(OneArmOfEachScheme(HasOneTrajectory)),
                                    {"--init-weights", weights, "--learning-rate", "1e-30"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  // Steps that are lost in rounding leave the weights as they were loaded.
  const json trained = json::parse(Evaluate(weights, {"--json"}).out);
  const json object = json::parse(finished.out);
  for (const json& run : object["runs"]) {
    EXPECT_EQ(run["weights_sha256"], trained["weights_sha256"]) << run["arm"];
  }
}

TEST_F(Outputs, EveryRanksIndicesAreDumpedAndAreTheSameInEveryArm) {
  const Finished finished =
      Compare(Joined(OneArmOfEachScheme(HasOneTrajectory)), {"--dump-batches", folder_ + "/{arm}"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("take no figure of speed from this run"));
  std::multiset<int64_t> seen;
  for (const char* rank : {"0", "1"}) {
    const std::string name = absl::StrCat("/batches-rank", rank, ".npy");
    const auto batches = ReadNpy(absl::StrCat(folder_, "/ring", name));
    ASSERT_TRUE(batches.ok()) << batches.status();
    EXPECT_EQ(batches->type, NpyType::kInt64);
    EXPECT_EQ(batches->shape, (std::vector<int64_t>{20, 8}));
    for (const int64_t index : batches->values<int64_t>()) seen.insert(index);
    EXPECT_EQ(BytesOfFile(absl::StrCat(folder_, "/single", name)),
              BytesOfFile(absl::StrCat(folder_, "/ring", name)));
    EXPECT_EQ(BytesOfFile(absl::StrCat(folder_, "/ps", name)),
              BytesOfFile(absl::StrCat(folder_, "/ring", name)));
  }
  // 320 of the 500 samples of one epoch: none twice.
  EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), 320u);
  EXPECT_GE(*seen.begin(), 0);
  EXPECT_LT(*seen.rbegin(), 500);
}

TEST_F(Outputs, TheFirstStepsAveragedGradientsAreDumpedAndAreTheUpdates) {
  const Finished finished =
      Compare("single,ring", {"--dump-gradients", folder_ + "/{arm}", "--set",
                              "output.dump_gradient_steps=1", "--set", "optimizer.learning_rate=1",
                              "--set", "training.steps=1", "--save-weights", folder_ + "/{arm}.w"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::string name = "/gradients-step000000.safetensors";
  EXPECT_EQ(BytesOfFile(folder_ + "/single" + name), BytesOfFile(folder_ + "/ring" + name));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/ring/gradients-step000001.safetensors"));
  // One step of rate 1 from the initial weights, which a step of no size leaves as they were.
  ASSERT_EQ(Compare("single", {"--set", "training.steps=1", "--learning-rate", "1e-30",
                               "--save-weights", folder_ + "/start"})
                .exit_code,
            0);
  const auto gradients = ReadSafetensors(folder_ + "/ring" + name),
             start = ReadSafetensors(folder_ + "/start"),
             after = ReadSafetensors(folder_ + "/ring.w");
  ASSERT_TRUE(gradients.ok() && start.ok() && after.ok());
  for (size_t i = 0; i < gradients->tensors.size(); ++i) {
    const LoadedTensor& gradient = gradients->tensors[i];
    EXPECT_EQ(gradient.name, start->tensors[i].name);
    EXPECT_EQ(gradient.shape, start->tensors[i].shape);
    for (size_t j = 0; j < gradient.values.size(); ++j) {
      ASSERT_EQ(after->tensors[i].values[j], start->tensors[i].values[j] - gradient.values[j])
          << gradient.name << j;
    }
  }
}

TEST_F(Outputs, WhatCannotBeWrittenOrWouldBeWrittenOverIsFoundBeforeTraining) {
  const auto error = [this](const std::string& arms, const std::vector<std::string>& more) {
    const Finished finished = Compare(arms, more);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    EXPECT_THAT(finished.err, testing::Not(HasSubstr("step 1/")));
    return finished.err;
  };
  EXPECT_THAT(error("ring", {"--save-weights", folder_ + "/none/w"}),
              AllOf(HasSubstr("--save-weights"), HasSubstr("no folder")));
  EXPECT_THAT(error("ring", {"--save-weights", folder_}),
              AllOf(HasSubstr("--save-weights"), HasSubstr("it is a folder")));
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_THAT(error("ring", {"--dump-batches", folder_ + "/file/b"}), HasSubstr("--dump-batches"));
  EXPECT_THAT(error("single,ring", {"--save-weights", folder_ + "/w"}),
              HasSubstr("put {arm} into the path"));
  EXPECT_THAT(error("ps", {"--dump-gradients", folder_ + "/g"}),
              HasSubstr("exists on the servers alone"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/results.jsonl"));
}

TEST_F(Outputs, WeightsOfAnotherModelOrWithNoNumbersAreRefusedByName) {
  const std::string path = Train();
  const auto error = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--init-weights", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = Compare("ring", arguments);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    return finished.err;
  };
  EXPECT_THAT(error({"--set", "model.mlp_hidden=30"}),
              HasSubstr("fc1.weight has shape [31, 63], expected [30, 63]"));
  EXPECT_THAT(error({"--set", "model.mlp_hidden=31,31"}),
              HasSubstr("fc3.weight [10, 31] is missing"));
  auto file = ReadSafetensors(path);
  ASSERT_TRUE(file.ok());
  std::vector<NamedTensor> tensors;
  for (LoadedTensor& tensor : file->tensors) {
    if (tensor.name == "fc1.weight") tensor.values[77] = std::numeric_limits<float>::quiet_NaN();
    tensors.push_back({tensor.name, tensor.shape, tensor.values});
  }
  ASSERT_TRUE(WriteSafetensors(path, {}, tensors).ok());
  EXPECT_THAT(error({}), HasSubstr("tensor \"fc1.weight\": element 77 is nan"));
  std::filesystem::resize_file(path, 100);
  EXPECT_THAT(error({}), HasSubstr("cut short"));
  std::filesystem::remove(path);
  EXPECT_THAT(error({}), HasSubstr("cannot read"));
}

class Diverging : public Outputs, public testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Arms, Diverging, testing::ValuesIn(OneArmOfEachScheme(HasOneTrajectory)),
                         [](const auto& info) { return TestName(info.param); });

// Weights so large that the loss of the next batch overflows.
TEST_P(Diverging, EndsTheRunNamingStepRankAndBucket) {
  const Finished finished = Compare(GetParam(), {"--learning-rate", "1e30"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("OUT_OF_RANGE: worker/"));
  EXPECT_THAT(finished.err, HasSubstr(" step=1 "));
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("the training loss is "), HasSubstr("in bucket="), HasSubstr("fc"),
                    HasSubstr("lower optimizer.learning_rate (now 1e+30)")));
}

// The last update's overflow shows in no loss.
TEST_P(Diverging, FinalWeightsThatAreNoNumbersAreAnError) {
  const std::string weights = absl::StrCat(folder_, "/w.safetensors");
  const Finished finished =
      Compare(GetParam(),
              {"--learning-rate", "3e38", "--set", "training.steps=1", "--save-weights", weights,
               "--set", "data.synthetic.noise=1000", "--set", "training.evaluate_every_samples=0"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr(" step=0 "), HasSubstr("final weight"), HasSubstr("in bucket=")));
  EXPECT_FALSE(std::filesystem::exists(weights));
}

TEST_F(Outputs, EvaluationsByAnyNumberOfWorkersAreOnesToTheLastBit) {
  const std::string weights = Train({"--set", "data.synthetic.noise=3"});
  json first;
  std::string predictions;
  for (const char* workers : {"1", "2", "3", "5", "7"}) {
    const std::string path = absl::StrCat(folder_, "/predictions-", workers, ".npy");
    const Finished finished =
        Evaluate(weights, {"--workers", workers, "--json", "--predictions", path});
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    const json result = json::parse(finished.out);
    if (first.is_null()) {
      first = result;
      predictions = BytesOfFile(path);
    }
    EXPECT_EQ(result["samples"], 1337) << workers;
    EXPECT_EQ(result["loss"].get<double>(), first["loss"].get<double>()) << workers;
    EXPECT_EQ(result["accuracy"].get<double>(), first["accuracy"].get<double>()) << workers;
    EXPECT_EQ(BytesOfFile(path), predictions) << workers;
  }
  // Sample i of the synthetic set has label i mod 10: the predictions are in the samples' order.
  const auto array = ReadNpy(folder_ + "/predictions-3.npy");
  ASSERT_TRUE(array.ok()) << array.status();
  ASSERT_EQ(array->shape, (std::vector<int64_t>{1337}));
  const std::vector<int32_t> classes = array->values<int32_t>();
  int64_t correct = 0;
  for (size_t i = 0; i < classes.size(); ++i)
    correct += classes[i] == static_cast<int32_t>(i % 10) ? 1 : 0;
  EXPECT_EQ(static_cast<double>(correct) / 1337, first["accuracy"].get<double>());
  EXPECT_GT(correct, 1337 / 5);
  EXPECT_LT(correct, 1337);
}

TEST_F(Outputs, AnEvaluationNamesWhatIsWrongAndShowsAShortResult) {
  const std::string weights = Train();
  const Finished good = Evaluate(weights, {});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_THAT(good.out, AllOf(HasSubstr("mlp on synthetic"), HasSubstr("samples    1 337"),
                              HasSubstr("loss"), HasSubstr("accuracy")));
  const Finished other = Evaluate(weights, {"--model", "lenet", "--set", "model.mlp_hidden="});
  EXPECT_EQ(other.exit_code, 2);
  const Finished sizes = Evaluate(weights, {"--set", "model.mlp_hidden=5"});
  EXPECT_EQ(sizes.exit_code, 2);
  EXPECT_THAT(sizes.err, HasSubstr("expected [5, 63]"));
  const Finished unwritable = Evaluate(weights, {"--predictions", folder_ + "/none/p.npy"});
  EXPECT_EQ(unwritable.exit_code, 2);
  EXPECT_THAT(unwritable.err, AllOf(HasSubstr("--predictions"), HasSubstr("no folder")));
  EXPECT_EQ(RunProgram({"evaluate"}).exit_code, 2);
}

}  // namespace
}  // namespace ringmaster
