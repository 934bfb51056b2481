// Each check of a codec finds a codec that is broken on purpose, and says what is wrong with it.
#include <memory>
#include <set>
#include <string>

#include "experiments/proof/verify/codec_bias_check.h"
#include "experiments/proof/verify/codec_bytes_check.h"
#include "experiments/proof/verify/codec_check.h"
#include "experiments/proof/verify/codec_under_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/contract/codecs/codec_twins.h"
#include "tests/contract/codecs/memory_check.h"
#include "tests/contract/codecs/own_twins.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr int64_t kDraws = 20000;
constexpr int64_t kEffort = 1000;

template <typename Twin, typename... Arguments>
CodecUnderCheck BrokenOf(const CodecSpec& spec, Arguments... arguments) {
  return {spec.name(), [=] { return std::unique_ptr<Codec>(new Twin(spec, arguments...)); },
          std::make_shared<CodecSpec>(spec)};
}
template <typename Twin, typename... Arguments>
CodecUnderCheck Broken(const std::string& name, Arguments... arguments) {
  return BrokenOf<Twin>(RealSpec(name), arguments...);
}
// Of no codec of the registry.
CodecUnderCheck Quarter(float factor, bool says_unbiased = true) {
  CodecUnderCheck codec = Broken<RandomQuarter>("none", factor, says_unbiased);
  codec.name = "quarter";
  return codec;
}

std::string Finding(const absl::Status& status) {
  return status.ok() ? "nothing found" : std::string(status.message());
}

// Every check at once, as codecs of the registry have them.
absl::Status CheckAll(const CodecUnderCheck& codec) {
  return CheckCodec(codec, 1, kEffort).status();
}

// A mistake that any codec can make.
struct CommonTwin {
  std::string what;
  std::function<CodecUnderCheck(const CodecSpec&)> make;
  std::function<bool(const CodecSpec&)> wanted;  // of which it is a mistake
};

bool OfAny(const CodecSpec&) { return true; }
bool OfLossy(const CodecSpec& spec) { return !CodecTraitsOf(spec)->exact; }
// Of all elements none is drawn.
bool OfRandom(const CodecSpec& spec) {
  return CodecTraitsOf(spec)->is_random && spec.density() != 1;
}

CodecStream AnotherForEveryRank(CodecStream stream) {
  static int calls = 0;
  stream.run_seed += static_cast<uint64_t>(++calls);
  return stream;
}
CodecStream AlwaysTheSame(CodecStream) { return {}; }

std::vector<CommonTwin> CommonTwins() {
  const auto of = [](auto make) { return [make](const CodecSpec& spec) { return make(spec); }; };
  return {
      {"decodes to 1.01 times as much",
       of([](const CodecSpec& spec) { return BrokenOf<ScaledDecoder>(spec, 1.01f); }), OfAny},
      {"loses the largest", of([](const CodecSpec& spec) { return BrokenOf<LosesLargest>(spec); }),
       OfAny},
      {"remembers calls", of([](const CodecSpec& spec) { return BrokenOf<RemembersCalls>(spec); }),
       OfAny},
      {"decodes by turns", of([](const CodecSpec& spec) { return BrokenOf<DecodesByTurns>(spec); }),
       OfAny},
      {"stores for adds", of([](const CodecSpec& spec) { return BrokenOf<StoresForAdds>(spec); }),
       OfAny},
      {"takes any length", of([](const CodecSpec& spec) { return BrokenOf<TakesAnyLength>(spec); }),
       OfAny},
      {"sends a byte too many", of([](const CodecSpec& spec) { return BrokenOf<PadsByOne>(spec); }),
       OfAny},
      {"forgets what was kept",
       of([](const CodecSpec& spec) { return BrokenOf<BrokenFeedback>(spec, Feedback::kForgets); }),
       OfAny},
      {"keeps nothing", of([](const CodecSpec& spec) {
         return BrokenOf<BrokenFeedback>(spec, Feedback::kKeepsNothing);
       }),
       OfLossy},
      {"adds the gradient twice", of([](const CodecSpec& spec) {
         return BrokenOf<BrokenFeedback>(spec, Feedback::kAddsTwice);
       }),
       OfAny},
      {"draws with a seed of the rank's own",
       of([](const CodecSpec& spec) { return BrokenOf<OtherStream>(spec, AnotherForEveryRank); }),
       OfRandom},
      {"always draws the same",
       of([](const CodecSpec& spec) { return BrokenOf<OtherStream>(spec, AlwaysTheSame); }),
       OfRandom},
  };
}

TEST(BrokenTwins, OfEveryCodecWithEverySettingAreFound) {
  for (const CodecInfo& info : Codecs()) {
    for (const CodecSpec& spec : ProofSettings(info)) {
      for (const CommonTwin& twin : CommonTwins()) {
        if (!twin.wanted(spec)) continue;
        EXPECT_NE(CheckAll(twin.make(spec)), absl::OkStatus())
            << spec.ShortDebugString() << ": " << twin.what;
      }
    }
  }
}

TEST(BrokenTwins, OfOneCodecAloneAreFound) {
  for (const OwnTwin& twin : OwnTwins()) {
    EXPECT_EQ(CheckAll(CodecOf(twin.spec)), absl::OkStatus()) << twin.spec.ShortDebugString();
    EXPECT_NE(CheckAll(BrokenOf<BentEncoder>(twin.spec, twin.bends)), absl::OkStatus())
        << twin.spec.ShortDebugString() << ": " << twin.what;
  }
}

// What is summed in rounds has its own (broken_reducers_test.cc).
TEST(BrokenTwins, OfItsOwnHasEveryCodecOfTheRegistry) {
  std::set<std::string> names;
  for (const OwnTwin& twin : OwnTwins()) names.insert(twin.spec.name());
  for (const std::string& name : AllCodecs()) EXPECT_EQ(names.count(name), 1u) << name;
}

// An option that changes neither encodings nor what is remembered is no option.
TEST(BrokenTwins, ThatForgetAnOptionAreFound) {
  for (const CodecInfo& info : Codecs()) {
    const std::vector<CodecSpec> settings = ProofSettings(info);
    for (size_t i = 1; i < settings.size(); ++i) {
      CodecSpec forgets = settings[0], asked = settings[i];
      forgets.set_error_feedback(true);
      asked.set_error_feedback(true);
      const CodecUnderCheck twin = {info.name, [forgets] { return *CreateCodec(forgets); },
                                    std::make_shared<CodecSpec>(asked)};
      const bool is_found = !CheckAll(twin).ok() || !CheckMemory(asked, MemoryOf(forgets)).ok();
      EXPECT_TRUE(is_found) << asked.ShortDebugString();
    }
  }
}

TEST(CodecBound, NamesAWrongScale) {
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("onebit", 1.01f), 1)),
              HasSubstr("has energy"));
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("fp16", 1.001f), 1)),
              HasSubstr("away"));
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("none", 1.0000002f), 1)),
              HasSubstr("every bit"));
  for (const std::string name : {"topk", "randomk", "threshold", "twobit", "dgc"}) {
    EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>(name, 1.001f), 1)),
                HasSubstr("comes out as"));
  }
  EXPECT_THAT(Finding(CheckCodecBound(Broken<ScaledDecoder>("onebit", -1.0f), 1)),
              HasSubstr("other sign"));
}

TEST(CodecBound, FindsALostElement) {
  for (const std::string& name : AllCodecs())
    EXPECT_NE(CheckCodecBound(Broken<LosesLargest>(name), 1), absl::OkStatus()) << name;
}

TEST(CodecBound, FindsTiesThatGoToTheHigherIndex) {
  EXPECT_THAT(Finding(CheckCodecBound(Broken<LastTieWins>("topk"), 1)),
              HasSubstr("by magnitude and index"));
}

TEST(CodecBound, AsksForABoundOfACodecThatHasNone) {
  EXPECT_THAT(Finding(CheckCodecBound(Quarter(1.0f, false), 1)), HasSubstr("no bound stated"));
}

// The bound of bf16 is one of any rounding.
TEST(CodecDefinition, FindsAnotherRoundingThanToEven) {
  const CodecUnderCheck cuts = Broken<BentEncoder>("bf16", Cuts(16));
  EXPECT_THAT(Finding(CheckCodecDefinition(cuts, 1)), HasSubstr("codec \"bf16\": element"));
  const CodecUnderCheck up = Broken<BentEncoder>("fp16", TiesGoUp(13));
  EXPECT_EQ(CheckCodecBound(up, 1), absl::OkStatus());
  EXPECT_THAT(Finding(CheckCodecDefinition(up, 1)), HasSubstr("codec \"fp16\": element"));
}

TEST(CodecBias, PassesAnUnbiasedRandomCodecAndFindsABiasedOne) {
  EXPECT_EQ(Finding(CheckCodecUnbiased(Quarter(4.0f), 1, kDraws).status()), "nothing found");
  // random, and so not exactly its input
  EXPECT_GT(MeasureBias(Quarter(4.0f), 1, kDraws)->score, 0);
  EXPECT_THAT(Finding(CheckCodecUnbiased(Quarter(3.6f), 1, kDraws).status()),
              HasSubstr("standard errors"));
  const auto is_biased = [](const CodecInfo& info) { return !info.traits.unbiased; };
  for (const std::string& name : CodecsThat(is_biased))
    EXPECT_FALSE(CheckCodecUnbiased(CodecOf(RealSpec(name)), 1, 100).ok()) << name << " is biased";
}

TEST(CodecBias, FindsElementsThatShareADraw) {
  const CodecUnderCheck shares = Broken<BentEncoder>("natural", OfBytes(SharesOneDraw));
  EXPECT_THAT(Finding(CheckCodecUnbiased(shares, 1, kDraws).status()),
              HasSubstr("not drawn independently"));
}

TEST(CodecBias, FindsAVarianceBeyondTheBound) {
  CodecUnderCheck quarter = Broken<RandomQuarter>("natural", 4.0f);
  EXPECT_THAT(Finding(CheckCodecUnbiased(quarter, 1, kDraws).status()),
              HasSubstr("times the bound of its mean"));
}

TEST(CodecBias, IsCheckedOfEveryCodecThatSaysItIsUnbiased) {
  const absl::StatusOr<CodecFigures> good = CheckCodec(Quarter(4.0f), 1, 1000);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_GT(good->bias_score, 0);
  EXPECT_THAT(Finding(CheckAll(Quarter(3.6f))), HasSubstr("standard errors"));
}

TEST(CodecRestores, FindsAReceiverThatDecodesAnotherValueThanTheSender) {
  for (const std::string& name : LossyCodecs()) {
    EXPECT_THAT(Finding(CheckCodecRestores(Broken<DecodesByTurns>(name), 1)), HasSubstr("kept"))
        << name;
  }
}

TEST(CodecRestores, FindsAMemoryThatIsForgotten) {
  EXPECT_THAT(Finding(CheckCodecRestores(Broken<BrokenFeedback>("topk", Feedback::kForgets), 1)),
              HasSubstr("other bytes than Encode of the sum"));
}

TEST(CodecSizes, FindAByteTooMany) {
  EXPECT_THAT(Finding(CheckCodecSizes(Broken<PadsByOne>("int8"))),
              HasSubstr("says at most 6 bytes"));
}

TEST(ReplicasAgree, FindsCodecsThatEncodeTheSameInputToDifferentBytes) {
  EXPECT_THAT(Finding(CheckReplicasAgree(Broken<RemembersCalls>("topk"), 1)),
              HasSubstr("different bytes"));
}

TEST(ReplicasAgree, FindsADecodeAddThatStores) {
  EXPECT_THAT(Finding(CheckReplicasAgree(Broken<StoresForAdds>("fp16"), 1)),
              HasSubstr("DecodeAdd"));
}

// Ranks have lots of their own.
TEST(SumsOnTheWire, FindElementsThatAreDrawnByTheLot) {
  const auto by_lot = [](CodecStream stream) {
    stream.step = stream.lot == 0 ? stream.step : stream.lot;
    return stream;
  };
  const CodecUnderCheck twin =
      Broken<OtherStream>("randomk", std::function<CodecStream(CodecStream)>(by_lot));
  EXPECT_THAT(Finding(CheckSumsOnTheWire(twin, 1)), HasSubstr("what another rank sends"));
}

TEST(HostileBytes, FindsADecoderThatTakesAnyLength) {
  for (const std::string& name : AllCodecs()) {
    EXPECT_THAT(Finding(CheckOtherLengthsRefused(Broken<TakesAnyLength>(name))),
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
  EXPECT_THAT(Finding(CheckMutatedBytes(Broken<WritesBeyond>("fp16"), 1, 100).status()),
              HasSubstr("beyond the output"));
}

}  // namespace
}  // namespace ringmaster
