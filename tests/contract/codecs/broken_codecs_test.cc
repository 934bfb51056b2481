// Each check of a codec finds a codec that is broken on purpose, and says what is wrong with it.
#include <memory>
#include <string>

#include "experiments/proof/verify/codec_bytes_check.h"
#include "experiments/proof/verify/codec_check.h"
#include "experiments/proof/verify/codec_under_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/codecs/codec_twins.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr int64_t kDraws = 20000;

template <typename Twin, typename... Arguments>
CodecUnderCheck Broken(const std::string& name, Arguments... arguments) {
  return {name, [=] { return std::unique_ptr<Codec>(new Twin(arguments...)); },
          std::make_shared<CodecSpec>(RealSpec(name))};
}

CodecUnderCheck Real(const std::string& name) { return CodecOf(RealSpec(name)); }

std::string Finding(const absl::Status& status) {
  return status.ok() ? "nothing found" : std::string(status.message());
}

TEST(CodecBound, FindsAWrongScale) {
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("onebit", "onebit", 1.01f), 1)),
              HasSubstr("has energy"));
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("fp16", "fp16", 1.001f), 1)),
              HasSubstr("away"));
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("none", "none", 1.0000002f), 1)),
              HasSubstr("every bit"));
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("topk", "topk", 1.001f), 1)),
              HasSubstr("comes out as"));
  for (const std::string name : {"randomk", "threshold", "twobit", "dgc"}) {
    EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>(name, name, 1.001f), 1)),
                HasSubstr("comes out as"));
  }
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("onebit", "onebit", -1.0f), 1)),
              HasSubstr("other sign"));
}

TEST(CodecBound, FindsALostElement) {
  for (const std::string& name : AllCodecs()) {
    EXPECT_NE(CheckCodecBound(Broken<LosesLargest>(name, name), 1), absl::OkStatus()) << name;
  }
}

TEST(CodecBound, FindsTiesThatGoToTheHigherIndex) {
  EXPECT_THAT(Finding(CheckCodecBound(Broken<LastTieWins>("topk"), 1)),
              HasSubstr("by magnitude and index"));
}

TEST(CodecBound, AsksForABoundOfACodecThatHasNone) {
  EXPECT_THAT(Finding(CheckCodecBound(Broken<RandomQuarter>("quarter", 1.0f, false), 1)),
              HasSubstr("no bound stated"));
}

TEST(CodecBias, PassesAnUnbiasedRandomCodecAndFindsABiasedOne) {
  EXPECT_EQ(Finding(CheckCodecUnbiased(Broken<RandomQuarter>("quarter", 4.0f), 1, kDraws).status()),
            "nothing found");
  // random, and so not exactly its input
  EXPECT_GT(LargestBiasScore(RandomQuarter(4.0f), 1, kDraws), 0);
  EXPECT_THAT(
      Finding(CheckCodecUnbiased(Broken<RandomQuarter>("quarter", 3.6f), 1, kDraws).status()),
      HasSubstr("standard errors"));
  const auto is_biased = [](const CodecInfo& info) { return !info.traits.unbiased; };
  for (const std::string& name : CodecsThat(is_biased)) {
    EXPECT_FALSE(CheckCodecUnbiased(Real(name), 1, 100).ok()) << name << " is biased";
  }
}

TEST(CodecBias, IsCheckedOfEveryCodecThatSaysItIsUnbiased) {
  const absl::StatusOr<CodecFigures> good =
      CheckCodec(Broken<RandomQuarter>("quarter", 4.0f), 1, 1000);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_GT(good->bias_score, 0);
  EXPECT_THAT(Finding(CheckCodec(Broken<RandomQuarter>("quarter", 3.6f), 1, 1000).status()),
              HasSubstr("standard errors"));
}

TEST(CodecRestores, FindsAReceiverThatDecodesAnotherValueThanTheSender) {
  for (const std::string& name : LossyCodecs()) {
    EXPECT_THAT(Finding(CheckCodecRestores(Broken<DecodesByTurns>(name, name), 1)),
                HasSubstr("is kept"))
        << name;
  }
}

TEST(ReplicasAgree, FindsCodecsThatEncodeTheSameInputToDifferentBytes) {
  EXPECT_THAT(Finding(CheckReplicasAgree(Broken<RemembersCalls>("topk", "topk"), 1)),
              HasSubstr("different bytes"));
}

TEST(ReplicasAgree, FindsADecodeAddThatStores) {
  EXPECT_THAT(Finding(CheckReplicasAgree(Broken<StoresForAdds>("fp16", "fp16"), 1)),
              HasSubstr("DecodeAdd"));
}

TEST(HostileBytes, FindsADecoderThatTakesAnyLength) {
  for (const std::string& name : AllCodecs()) {
    EXPECT_THAT(Finding(CheckOtherLengthsRefused(Broken<TakesAnyLength>(name, name))),
                HasSubstr("accepts"))
        << name;
  }
}

TEST(HostileBytes, FindsADecoderThatTakesAnyBits) {
  EXPECT_THAT(Finding(CheckNotFiniteRefused(Broken<TakesAnyBits>("none"))),
              HasSubstr("accepts a gradient"));
  EXPECT_THAT(Finding(CheckMutatedBytes(Broken<TakesAnyBits>("none"), 1, 20000).status()),
              HasSubstr("not finite"));
}

TEST(HostileBytes, FindsADecoderThatWritesBeyondItsOutput) {
  EXPECT_THAT(Finding(CheckMutatedBytes(Broken<WritesBeyond>("fp16", "fp16"), 1, 100).status()),
              HasSubstr("beyond the output"));
}

}  // namespace
}  // namespace ringmaster
