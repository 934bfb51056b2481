// What every codec of the registry promises: a new codec is tested here by being registered.
#include <cstdio>
#include <string>

#include "common/codec/codec.h"
#include "experiments/proof/verify/codec_check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

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
    EXPECT_EQ(is.summable_as, says.summable_as) << info.name;
    EXPECT_EQ(is.index_bearing, says.index_bearing) << info.name;
    EXPECT_EQ(is.feedback_by_default, says.feedback_by_default) << info.name;
    EXPECT_EQ(is.device_kind, says.device_kind) << info.name;
    // Executors sum encodings element by element; the formula of bytes knows that by itself.
    EXPECT_EQ(says.summable_as.has_value() ? ElementBytes(*says.summable_as) : 0,
              info.oracle->summed_element_bytes)
        << info.name;
    EXPECT_TRUE(!says.exact || says.summable_as == ElementType::kFloat32) << info.name;
  }
}

}  // namespace
}  // namespace ringmaster
