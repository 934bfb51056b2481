// What every codec of the registry promises: a new codec is tested here by being registered.
#include <cstdio>
#include <string>

#include "common/codec/codec.h"
#include "experiments/proof/verify/codec_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

TEST(Codecs, KeepTheirBoundsAgreeAmongReplicasAndRefuseHostileBytes) {
  for (const uint64_t seed : {1, 2, 3}) {
    const absl::StatusOr<std::string> figures = CheckCodecs(seed, 2000);
    ASSERT_TRUE(figures.ok()) << figures.status();
    std::printf("%s\n", figures->c_str());
    for (const CodecInfo& info : Codecs()) EXPECT_THAT(*figures, testing::HasSubstr(info.name));
  }
}

TEST(Codecs, OfTheRegistryHaveTheTraitsThatItLists) {
  for (const CodecInfo& info : Codecs()) {
    CodecSpec spec;
    spec.set_name(info.name);
    SetCodecDefaults(&spec);
    const auto codec = CreateCodec(spec);
    ASSERT_TRUE(codec.ok()) << codec.status();
    const CodecTraits is = (*codec)->traits(), says = info.traits;
    EXPECT_EQ(is.exact, says.exact) << info.name;
    EXPECT_EQ(is.unbiased, says.unbiased) << info.name;
    EXPECT_EQ(is.summable_as, says.summable_as) << info.name;
    EXPECT_EQ(is.index_bearing, says.index_bearing) << info.name;
    EXPECT_EQ(is.feedback_by_default, says.feedback_by_default) << info.name;
    EXPECT_EQ(is.device_kind, says.device_kind) << info.name;
    EXPECT_EQ(is.is_random, says.is_random) << info.name;
    EXPECT_EQ(is.fixed_size, says.fixed_size) << info.name;
    EXPECT_EQ(is.majority_vote, says.majority_vote) << info.name;
    EXPECT_EQ(info.oracle->variance_bound != nullptr, says.unbiased && !says.exact) << info.name;
    EXPECT_TRUE(!says.exact || says.summable_as == ElementType::kFloat32) << info.name;
  }
}

// Executors sum encodings element by element; the formula of bytes knows that by itself.
TEST(Codecs, AndOraclesAgreeAboutWhatIsSummedWithEverySetting) {
  for (const CodecInfo& info : Codecs()) {
    for (const CodecSpec& spec : ProofSettings(info)) {
      const auto summable_as = (*CreateCodec(spec))->traits().summable_as;
      const auto summed = info.oracle->summed_element_bytes;
      EXPECT_EQ(summable_as.has_value() ? ElementBytes(*summable_as) : 0,
                summed == nullptr ? 0 : summed(spec))
          << spec.ShortDebugString();
    }
  }
}

}  // namespace
}  // namespace ringmaster
