// What every codec of the registry promises: a new codec is tested here by being registered.
#include <cstdio>
#include <string>

#include "common/codec/codec.h"
#include "experiments/proof/verify/codec_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Codecs, KeepTheirBoundsAgreeAmongReplicasAndRefuseHostileBytes) {
  for (const uint64_t seed : {1, 2, 3}) {
    const absl::StatusOr<std::string> figures = CheckCodecs(seed, 4000);
    ASSERT_TRUE(figures.ok()) << figures.status();
    std::printf("%s\n", figures->c_str());
    for (const CodecInfo& info : Codecs()) EXPECT_THAT(*figures, testing::HasSubstr(info.name));
  }
}

TEST(Codecs, OfTheRegistryHaveTheTraitsThatItLists) {
  for (const CodecInfo& info : Codecs()) {
    CodecSpec spec;
    spec.set_name(info.name);
    spec.set_density(0.1);
    const auto codec = CreateCodec(spec);
    ASSERT_TRUE(codec.ok()) << codec.status();
    const CodecTraits is = (*codec)->traits(), says = info.traits;
    EXPECT_EQ(is.exact, says.exact) << info.name;
    EXPECT_EQ(is.unbiased, says.unbiased) << info.name;
    EXPECT_EQ(is.summable_on_wire, says.summable_on_wire) << info.name;
    EXPECT_EQ(is.index_bearing, says.index_bearing) << info.name;
    // Encoded elements are added as halves, and nothing else is.
    EXPECT_EQ(says.summable_on_wire, std::string(info.name) == "fp16") << info.name;
  }
}

}  // namespace
}  // namespace ringmaster
