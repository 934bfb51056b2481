#include "experiments/proof/bench/bench_codec.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/proof/bench/bench_codec_check.h"
#include "experiments/proof/bench/bench_codec_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Floats = std::vector<float>;

TEST(BenchCodec, BytesMovedAreEveryInputAndOutputOnce) {
  EXPECT_EQ(MovedBytes("encode", 4096, 2048, 0), 4096 + 2048);
  EXPECT_EQ(MovedBytes("decode", 4096, 2048, 0), 2048 + 4096);
  EXPECT_EQ(MovedBytes("decode_add", 4096, 2048, 0), 2048 + 2 * 4096);
  EXPECT_EQ(MovedBytes("encode_feedback", 4096, 2048, 0), 3 * 4096 + 2048);
  // 10 pairs: 10 cache lines read and written, but never more than all of them.
  EXPECT_EQ(MovedBytes("decode_add", 4096, 80, 40), 80 + 2 * 10 * 64);
  EXPECT_EQ(MovedBytes("decode_add", 400, 80, 40), 80 + 2 * 400);
}

TEST(BenchCodec, ARunMeasuresEveryOperationOfEveryCodecAndSize) {
  CodecBench bench;
  bench.codecs = {"none", "fp16", "topk", "onebit"};
  bench.sizes = {4, 4096, 40000};
  bench.iterations = 3;
  ASSERT_TRUE(CheckCodecBench(bench, 0).ok());
  std::vector<CodecResult> results;
  const absl::Status status = RunCodecBench(bench, [&](const CodecResult& result) { results.push_back(result); });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(results.size(), 12u);
  for (const CodecResult& result : results) {
    ASSERT_EQ(result.operations.size(), 4u);
    for (const CodecTimes& times : result.operations) {
      EXPECT_EQ(times.times_us.size(), 3u);
      EXPECT_EQ(times.copy_us.size(), 3u);
    }
  }
  EXPECT_EQ(results[4].codec, "fp16");
  EXPECT_EQ(results[4].encoded_bytes, 2048);
  const nlohmann::json json = nlohmann::json::parse(CodecJson(bench, results, Machine(), "abc"));
  ASSERT_EQ(json["rows"].size(), 48u);
  EXPECT_EQ(json["rows"][0]["operation"], "encode");
  EXPECT_EQ(json["density"], 0.01);
}

TEST(BenchCodec, ShareIsMovedBytesOverMemcpysPairByPair) {
  // 600 of bytes moved in 3, 6 and 2 times memcpy's time for 2 * 400.
  const CodecFigures figures = FiguresOf({"encode", 600, {3, 12, 8}, {1, 2, 4}}, 400);
  EXPECT_DOUBLE_EQ(figures.time_us, 8);
  EXPECT_DOUBLE_EQ(figures.dense_gbps, 400 / 8e3);
  EXPECT_DOUBLE_EQ(figures.moved_gbps, 600 / 8e3);
  EXPECT_DOUBLE_EQ(figures.memory_gbps, 800 / 2e3);
  EXPECT_DOUBLE_EQ(figures.share.median, 600.0 / 800 / 3);
}

TEST(BenchCodec, SettingsThatMakeNoSenseAreNamed) {
  CodecBench bench;
  bench.sizes = {4096};
  bench.codecs = {"zip"};
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("\"zip\" is unknown"));
  bench.codecs = {"fp16", "fp16"};
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("named twice"));
  bench.codecs = {"topk"};
  bench.density = 2;
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("codec.density 2"));
  bench.density = 0.5;
  EXPECT_TRUE(CheckCodecBench(bench, 1 << 20).ok());
  bench.sizes = {1 << 18};
  EXPECT_THAT(CheckCodecBench(bench, 1 << 20).message(), HasSubstr("more than half of this machine's 1 MiB"));
  bench.sizes.clear();
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("no codec or no size"));
}

TEST(BenchCodecCheck, EveryDeviationFromTheDefinitionIsFound) {
  const Floats in = {1.0f, -3.0f, 0.5f, -1.0f, 70000.0f, 1e-8f, 1 + 0x1p-11f};
  const Floats halves = {1.0f, -3.0f, 0.5f, -1.0f, 65504.0f, 0.0f, 1.0f};
  EXPECT_TRUE(CheckDecoded("fp16", in, halves, 0).ok());
  const Floats small = {1.0f, -3.0f, 0.5f, -1.5f};
  EXPECT_TRUE(CheckDecoded("onebit", small, Floats{1.5f, -1.5f, 1.5f, -1.5f}, 0).ok());
  const Floats ties = {1.0f, -3.0f, -1.0f, 0.5f};
  EXPECT_TRUE(CheckDecoded("topk", ties, Floats{1.0f, -3.0f, 0, 0}, 2).ok());
  EXPECT_TRUE(CheckDecoded("none", ties, ties, 0).ok());

  const auto message = [](const std::string& codec, const Floats& given, const Floats& decoded, int64_t kept) {
    return std::string(CheckDecoded(codec, given, decoded, kept).message());
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
  EXPECT_THAT(message("zip", ties, ties, 0), HasSubstr("no definition"));
}

}  // namespace
}  // namespace ringmaster
