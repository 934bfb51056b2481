// The oracles against figures worked out by hand: each finds what deviates.
#include "common/codec/oracle.h"

#include <string>
#include <vector>

#include "common/codec/codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

CodecSpec SpecOf(const char* codec, double density = 0.1) {
  CodecSpec spec;
  spec.set_name(codec);
  spec.set_density(density);
  SetCodecDefaults(&spec);
  return spec;
}

absl::Status Definition(const char* codec, const Floats& in, const Floats& decoded, int64_t kept) {
  return FindCodec(codec)->oracle->check_definition(SpecOf(codec), in, decoded, kept);
}

EncodedSize SizeOf(const char* codec, int64_t count, double density = 0.1) {
  return FindCodec(codec)->oracle->size(SpecOf(codec, density), count);
}

TEST(CodecOracle, FindsEveryDeviationFromTheDefinition) {
  const Floats in = {1.0f, -3.0f, 0.5f, -1.0f, 70000.0f, 1e-8f, 1 + 0x1p-11f};
  const Floats halves = {1.0f, -3.0f, 0.5f, -1.0f, 65504.0f, 0.0f, 1.0f};
  EXPECT_TRUE(Definition("fp16", in, halves, 0).ok());
  const Floats small = {1.0f, -3.0f, 0.5f, -1.5f};
  EXPECT_TRUE(Definition("onebit", small, Floats{1.5f, -1.5f, 1.5f, -1.5f}, 0).ok());
  const Floats ties = {1.0f, -3.0f, -1.0f, 0.5f};
  EXPECT_TRUE(Definition("topk", ties, Floats{1.0f, -3.0f, 0, 0}, 2).ok());
  EXPECT_TRUE(Definition("none", ties, ties, 0).ok());

  const auto message = [](const char* codec, const Floats& given, const Floats& decoded,
                          int64_t kept) {
    return std::string(Definition(codec, given, decoded, kept).message());
  };
  Floats bent = halves;
  bent[6] = 1 + 0x1p-10f;  // the tie goes to even
  EXPECT_THAT(message("fp16", in, bent, 0), HasSubstr("element 6"));
  EXPECT_THAT(message("onebit", small, {1.4f, -1.4f, 1.4f, -1.4f}, 0), HasSubstr("expected +-1.5"));
  EXPECT_THAT(message("onebit", small, {1.5f, -1.5f, -1.5f, -1.5f}, 0), HasSubstr("element 2"));
  EXPECT_THAT(message("topk", ties, {0, -3.0f, -1.0f, 0}, 2), HasSubstr("the lower index is kept"));
  EXPECT_THAT(message("topk", ties, {1.0f, 0, 0, 0}, 1), HasSubstr("above the smallest kept"));
  EXPECT_THAT(message("topk", ties, {1.0f, -3.0f, 0, 0}, 3), HasSubstr("kept 2, expected 3"));
  EXPECT_THAT(message("topk", ties, {1.0f, -2.0f, 0, 0}, 2), HasSubstr("itself or 0"));
  EXPECT_THAT(message("none", ties, {1.0f, -3.0f, -1.0f, 0.25f}, 0), HasSubstr("element 3"));
}

TEST(CodecOracle, SaysTheSizesThatTheFormatsHave) {
  EXPECT_EQ(SizeOf("none", 100).bytes, 400);
  EXPECT_EQ(SizeOf("fp16", 100).bytes, 200);
  EXPECT_EQ(SizeOf("onebit", 100).bytes, 4 + 13);
  EXPECT_EQ(SizeOf("topk", 101).bytes, 8 * 11);
  EXPECT_EQ(SizeOf("topk", 101).index_bytes, 4 * 11);
  EXPECT_EQ(SizeOf("topk", 100, 0.07).bytes, 8 * 7);  // 0.07 * 100 > 7 in double precision
  EXPECT_EQ(SizeOf("topk", 10, 0.001).bytes, 8);
}

TEST(CodecOracle, AndCodecAgreeAboutEverySize) {
  for (const CodecInfo& info : Codecs()) {
    std::vector<CodecSpec> specs = ProofSettings(info);
    for (const double density : {0.001, 0.07, 0.3, 1.0})
      specs.push_back(SpecOf(info.name, density));
    for (const CodecSpec& spec : specs) {
      const auto codec = CreateCodec(spec);
      ASSERT_TRUE(codec.ok()) << codec.status();
      for (int64_t count = 1; count < 1100; ++count) {
        const EncodedSize size = info.oracle->size(spec, count);
        ASSERT_EQ(size.bytes, (*codec)->MaxEncodedBytes(count))
            << count << " floats, " << spec.ShortDebugString();
        if (!(*codec)->traits().fixed_size) continue;  // both are limits, of unlike encodings
        ASSERT_EQ(size.index_bytes, (*codec)->IndexBytes({}, {count, size.bytes}))
            << count << " floats, " << spec.ShortDebugString();
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
