#include "common/formats/weights.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/formats/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ParamLayout SmallLayout() {
  return ParamLayout(
      {{"fc2.weight", {2, 3}}, {"fc2.bias", {2}}, {"fc1.weight", {3, 1}}, {"fc1.bias", {3}}}, 4);
}

RunSpec Mlp() {
  RunSpec spec;
  spec.mutable_model()->set_name("mlp");
  spec.mutable_model()->add_mlp_hidden(3);
  spec.mutable_data()->set_name("mnist");
  return spec;
}

std::vector<float> Counting(int64_t count) {
  std::vector<float> arena(count);
  std::iota(arena.begin(), arena.end(), 1.0f);
  return arena;
}

std::string ErrorOf(const std::vector<NamedTensor>& tensors) {
  const std::string path = NewFolder("weights") + "/w.safetensors";
  EXPECT_TRUE(WriteSafetensors(path, {{"model", "other"}}, tensors).ok());
  const ParamLayout layout = SmallLayout();
  std::vector<float> arena(layout.count());
  const absl::Status status = LoadArena(path, "mlp", layout, absl::MakeSpan(arena));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Weights, AnArenaComesBackBitForBitWhateverTheBucketsAndTheOrderInTheFile) {
  const std::string path = NewFolder("weights") + "/w.safetensors";
  const ParamLayout layout = SmallLayout();
  const std::vector<float> arena = Counting(layout.count());
  ASSERT_TRUE(SaveArena(path, Mlp(), layout, arena).ok());
  const ParamLayout other_buckets(
      {{"fc2.weight", {2, 3}}, {"fc2.bias", {2}}, {"fc1.weight", {3, 1}}, {"fc1.bias", {3}}}, 100);
  std::vector<float> loaded(layout.count());
  ASSERT_TRUE(LoadArena(path, "mlp", other_buckets, absl::MakeSpan(loaded)).ok());
  EXPECT_EQ(loaded, arena);
  // Another writer's order: by name.
  auto file = ReadSafetensors(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata["model"], "mlp");
  EXPECT_EQ(file->metadata["data"], "mnist");
  std::vector<NamedTensor> sorted;
  for (const int i : {3, 2, 1, 0}) {
    sorted.push_back({file->tensors[i].name, file->tensors[i].shape, file->tensors[i].values});
  }
  ASSERT_TRUE(WriteSafetensors(path, {}, sorted).ok());
  std::fill(loaded.begin(), loaded.end(), 0.0f);
  const absl::Status status = LoadArena(path, "mlp", layout, absl::MakeSpan(loaded));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(loaded, arena);
}

TEST(Weights, MissingUnknownAndMisshapenTensorsAreAllListedWithWhatWasExpected) {
  const std::vector<float> values = Counting(6);
  const absl::Span<const float> six = values;
  const std::string error = ErrorOf({{"fc2.weight", {3, 2}, six},
                                     {"fc1.weight", {3, 1}, six.first(3)},
                                     {"fc1.bias", {3}, six.first(3)},
                                     {"fc9.bias", {1}, six.first(1)}});
  EXPECT_THAT(error, AllOf(HasSubstr("does not fit model \"mlp\" (it was saved from \"other\")"),
                           HasSubstr("fc2.weight has shape [3, 2], expected [2, 3]"),
                           HasSubstr("fc2.bias [2] is missing"),
                           HasSubstr("fc9.bias [1] is not of this model")));
}

// The tensors of SmallLayout, which count from 1, under other names.
std::vector<NamedTensor> Renamed(const std::function<std::string(const std::string&)>& rename,
                                 const std::vector<float>& arena) {
  const ParamLayout layout = SmallLayout();
  std::vector<NamedTensor> tensors;
  for (const Param& param : layout.params()) {
    tensors.push_back({rename(param.name), param.shape,
                       absl::MakeConstSpan(arena).subspan(param.begin, param.count)});
  }
  return tensors;
}

TEST(Weights, PrefixesOfPyTorchsWrappersAreTakenOffAndSaid) {
  const std::string path = NewFolder("weights") + "/w.safetensors";
  const ParamLayout layout = SmallLayout();
  const std::vector<float> arena = Counting(layout.count());
  const struct {
    std::string prefix, said;
  } kCases[] = {
      {"module.", "prefix \"module.\" taken off 4 names"},
      {"_orig_mod.", "prefix \"_orig_mod.\" taken off 4 names"},
      {"module._orig_mod.", "prefixes \"_orig_mod.\" and \"module.\" taken off 4 names"},
      {"_orig_mod.module.module.", "prefixes \"_orig_mod.\" and \"module.\" taken off 4 names"}};
  for (const auto& one : kCases) {
    ASSERT_TRUE(
        WriteSafetensors(path, {},
                         Renamed([&](const std::string& name) { return one.prefix + name; }, arena))
            .ok());
    std::vector<float> loaded(layout.count());
    const absl::Status status = LoadArena(path, "mlp", layout, absl::MakeSpan(loaded));
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(loaded, arena) << one.prefix;
    const auto header = ReadWeightsHeader(path);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->changes, absl::StrCat(path, ": ", one.said));
    EXPECT_EQ(header->shapes.count("fc1.weight"), 1u);
  }
  // A wrapped part of a model.
  EXPECT_EQ(WithoutWrappers("layer1._orig_mod.0.conv1.weight"), "layer1.0.conv1.weight");
  EXPECT_EQ(WithoutWrappers("layer1.module"), "layer1.module");
  EXPECT_EQ(WithoutWrappers("modules.fc1.weight"), "modules.fc1.weight");
}

TEST(Weights, TwoTensorsThatArePrefixesApartAreRefused) {
  const std::vector<float> one = {1};
  EXPECT_THAT(ErrorOf({{"fc1.bias", {1}, one}, {"module.fc1.bias", {1}, one}}),
              HasSubstr("\"fc1.bias\" and \"module.fc1.bias\" are both fc1.bias"));
}

TEST(Weights, TheModelThatWasSavedIsRead) {
  const std::string path = NewFolder("weights") + "/w.safetensors";
  const ParamLayout layout = SmallLayout();
  ASSERT_TRUE(SaveArena(path, Mlp(), layout, Counting(layout.count())).ok());
  const auto header = ReadWeightsHeader(path);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->changes, "");
  ASSERT_TRUE(header->model.ok());
  EXPECT_EQ(header->model->SerializeAsString(), Mlp().model().SerializeAsString());
  // From before it was written.
  ASSERT_TRUE(WriteSafetensors(path, {{"model", "mlp"}}, {}).ok());
  EXPECT_EQ(ReadWeightsHeader(path)->model.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadWeightsHeader(path)->model_name, "mlp");
  // Of a newer program.
  ASSERT_TRUE(WriteSafetensors(path, {{"model_spec", "name: \"mlp\" depth: 3"}}, {}).ok());
  EXPECT_THAT(std::string(ReadWeightsHeader(path)->model.status().message()),
              AllOf(HasSubstr(path), HasSubstr("\"depth\"")));
}

TEST(Weights, AFileOfAnotherModelNamesOnlyTheFirstDifferences) {
  const std::vector<float> one = {1};
  std::vector<NamedTensor> tensors;
  for (const char* name : {"a", "b", "c", "d", "e"}) tensors.push_back({name, {1}, one});
  EXPECT_THAT(ErrorOf(tensors), HasSubstr("; and 3 more; choose"));
}

TEST(Weights, AWeightThatIsNotFiniteIsNamed) {
  const std::string path = NewFolder("weights") + "/w.safetensors";
  const ParamLayout layout = SmallLayout();
  std::vector<float> arena = Counting(layout.count());
  arena[layout.params()[2].begin + 1] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(SaveArena(path, Mlp(), layout, arena).ok());
  const absl::Status status = LoadArena(path, "mlp", layout, absl::MakeSpan(arena));
  EXPECT_THAT(std::string(status.message()), HasSubstr("tensor \"fc1.weight\": element 1 is nan"));
}

}  // namespace
}  // namespace ringmaster
