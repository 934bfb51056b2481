#include <string>

#include "common/codec/codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

CodecSpec Named(const std::string& name) {
  CodecSpec codec;
  codec.set_name(name);
  SetCodecDefaults(&codec);
  return codec;
}

TEST(CodecAndStatistics, EveryLossyCodecIsRefusedWhereTheModelKeepsStatistics) {
  Param weight;
  weight.name = "fc.weight";
  weight.shape = {4};
  Param mean;
  mean.name = "bn.running_mean";
  mean.shape = {4};
  mean.statistic = true;
  const ParamLayout plain({weight}, 8);
  const ParamLayout with({weight, mean}, 8);
  int lossy = 0;
  for (const CodecInfo& info : Codecs()) {
    EXPECT_TRUE(CheckCodecKeepsStatistics(plain, Named(info.name)).ok()) << info.name;
    const absl::Status status = CheckCodecKeepsStatistics(with, Named(info.name));
    if (info.traits.exact) {
      EXPECT_TRUE(status.ok()) << status;
      continue;
    }
    ++lossy;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << info.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("bn.running_mean"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("use codec \"none\""));
  }
  EXPECT_GE(lossy, 3);
}

}  // namespace
}  // namespace ringmaster
