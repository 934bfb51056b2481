// The codec of the weights' way from servers to workers: its options' defaults are the registry's,
// and what does not go with it is refused by name, in one line.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "common/config/validate.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

constexpr char kDown[] = "strategy.parameter_server.down_codec.";

// `settings`: of the down codec, "name=topk"; those that begin with "/" of the whole spec.
RunSpec SpecOf(const std::vector<std::string>& settings) {
  RunSpec spec;
  for (const std::string& setting : settings) {
    const bool is_whole = setting[0] == '/';
    EXPECT_TRUE(SetField(is_whole ? setting.substr(1) : absl::StrCat(kDown, setting), &spec).ok());
  }
  spec.mutable_training()->set_steps(1);
  return *Resolve(std::move(spec), {"/data", 60000});
}

std::string ErrorOf(const std::vector<std::string>& settings) {
  return std::string(Validate(SpecOf(settings), TestNames()).message());
}

TEST(DownCodec, HasTheRegistrysDefaultsAndRemembersWhatItLeavesOut) {
  const RunSpec topk = SpecOf({"name=topk"});
  const CodecSpec& down = topk.strategy().parameter_server().down_codec();
  EXPECT_EQ(down.density(), 0.01);
  EXPECT_TRUE(down.error_feedback());
  EXPECT_EQ(DownCodecOf(topk), &down);
  EXPECT_TRUE(TraitsOf(topk).weights_encoded);
  // The gradients' is another.
  EXPECT_EQ(topk.codec().name(), "none");
  EXPECT_FALSE(SpecOf({}).strategy().parameter_server().has_down_codec());
  for (const RunSpec& spec : {SpecOf({}), SpecOf({"name=none"}), SpecOf({"/strategy.solo={}"})}) {
    EXPECT_EQ(DownCodecOf(spec), nullptr);
    EXPECT_FALSE(TraitsOf(spec).weights_encoded);
    EXPECT_EQ(Validate(spec, TestNames()), absl::OkStatus());
  }
}

TEST(DownCodec, MayBeEveryCodecThatSendsMagnitudesAndKeepsNothing) {
  int legal = 0;
  for (const CodecInfo& codec : CodecsAndReducers()) {
    const bool may =
        !codec.traits.in_rounds && !codec.traits.majority_vote && codec.traits.memory_floats == 0;
    const std::string error = ErrorOf({absl::StrCat("name=", codec.name)});
    EXPECT_EQ(error.empty(), may) << codec.name << ": " << error;
    legal += may ? 1 : 0;
  }
  EXPECT_GT(legal, 10);
}

TEST(DownCodec, WhatDoesNotGoWithItIsOneErrorThatSaysWhatToDo) {
  const struct {
    std::vector<std::string> settings;
    const char* text;
  } kCases[] = {
      {{"name=zip"}, "down_codec.name = \"zip\": no such codec; known are none"},
      {{"name=powersgd"}, "down_codec.name = \"powersgd\": is summed over all workers"},
      {{"name=signsgd"}, "down_codec.name = \"signsgd\": sends signs without a magnitude"},
      {{"name=dgc"}, "down_codec.name = \"dgc\": has a memory of its own"},
      {{"name=topk", "density=0"}, "down_codec.density = 0: expected above 0 and at most 1"},
      {{"name=topk", "levels=3"}, "down_codec.levels = 3: only for codec \"qsgd\""},
      {{"name=topk", "error_feedback=false"}, "down_codec.error_feedback = false: what an"},
      {{"name=none", "error_feedback=true"}, "down_codec.error_feedback = true: codec \"none\""},
      {{"name=topk", "feedback_decay=0.5"}, "down_codec.feedback_decay = 0.5: a worker that was"},
      {{"name=topk", "warmup_steps=5"}, "down_codec.warmup_steps = 5: nothing is lost"},
      {{"name=topk", "min_tensor_elements=9"}, "min_tensor_elements = 9: nothing is lost"},
      {{"name=int8", "/training.deterministic=true"}, "training.deterministic asks for"},
  };
  for (const auto& c : kCases) {
    const std::string error = ErrorOf(c.settings);
    EXPECT_THAT(error, HasSubstr(c.text));
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace ringmaster
