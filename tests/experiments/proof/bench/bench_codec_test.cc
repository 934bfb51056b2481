#include "experiments/proof/bench/bench_codec.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "experiments/proof/bench/bench_codec_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

TEST(BenchCodec, BytesMovedAreEveryInputAndOutputOnce) {
  EXPECT_EQ(MovedBytes("encode", 4096, 2048, 0), 4096 + 2048);
  EXPECT_EQ(MovedBytes("decode", 4096, 2048, 0), 2048 + 4096);
  EXPECT_EQ(MovedBytes("decode_add", 4096, 2048, 0), 2048 + 2 * 4096);
  EXPECT_EQ(MovedBytes("encode_feedback", 4096, 2048, 0), 3 * 4096 + 2048);
  // 10 pairs: 10 cache lines read and written, but never more than all of them.
  EXPECT_EQ(MovedBytes("decode_add", 4096, 80, 40), 80 + 2 * 10 * 64);
  EXPECT_EQ(MovedBytes("decode_add", 400, 80, 40), 80 + 2 * 400);
}

TEST(BenchCodec, TheLossyCodecsOfTheRegistryAreMeasured) {
  std::vector<std::string> expected;
  for (const CodecInfo& codec : CodecsAndReducers()) {
    if (!codec.traits.exact) expected.emplace_back(codec.name);
  }
  EXPECT_EQ(CodecBench().codecs, expected);
}

TEST(BenchCodec, OfACodecThatIsSummedInRoundsEveryRoundIsMeasured) {
  CodecBench bench;
  bench.codecs = {"powersgd"};
  bench.sizes = {4, 4096, 40000};
  bench.iterations = 3;
  ASSERT_TRUE(CheckCodecBench(bench, 0).ok());
  std::vector<CodecResult> results;
  const absl::Status status =
      RunCodecBench(bench, [&](const CodecResult& result) { results.push_back(result); });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(results.size(), 3u);
  // One element goes as it is, in one round.
  EXPECT_EQ(results[0].operations.size(), 2u);
  EXPECT_EQ(results[0].encoded_bytes, 4);
  EXPECT_EQ(results[1].encoded_bytes, 4 * 4 * (32 + 32));
  for (const CodecTimes& times : results[2].operations) {
    EXPECT_EQ(times.times_us.size(), 3u) << times.operation;
    EXPECT_EQ(times.copy_us.size(), 3u) << times.operation;
    EXPECT_EQ(times.moved_bytes, (times.operation == "later_rounds" ? 1 : 3) * 40000 + 4 * 4 * 200);
  }
}

TEST(BenchCodec, ARunMeasuresEveryOperationOfEveryCodecAndSize) {
  CodecBench bench;
  bench.codecs = AllCodecs();
  bench.sizes = {4, 4096, 40000};
  bench.iterations = 3;
  ASSERT_TRUE(CheckCodecBench(bench, 0).ok());
  std::vector<CodecResult> results;
  const absl::Status status =
      RunCodecBench(bench, [&](const CodecResult& result) { results.push_back(result); });
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(results.size(), bench.codecs.size() * 3);
  for (const CodecResult& result : results) {
    ASSERT_EQ(result.operations.size(), 4u);
    for (const CodecTimes& times : result.operations) {
      EXPECT_EQ(times.times_us.size(), 3u);
      EXPECT_EQ(times.copy_us.size(), 3u);
    }
  }
  const auto halves = absl::c_find_if(results, [](const CodecResult& result) {
    return result.codec == "fp16" && result.size_bytes == 4096;
  });
  ASSERT_NE(halves, results.end());
  EXPECT_EQ(halves->encoded_bytes, 2048);
  const nlohmann::json json = nlohmann::json::parse(CodecJson(bench, results, Machine(), "abc"));
  ASSERT_EQ(json["rows"].size(), results.size() * 4);
  EXPECT_EQ(json["rows"][0]["operation"], "encode");
  EXPECT_EQ(json["density"], 0.01);
}

TEST(BenchCodec, CodecsTakeTheSettingsThatTheyHave) {
  CodecBench bench;
  bench.codecs = {"fp16", "int8", "topk"};
  bench.sizes = {4096};
  bench.iterations = 1;
  bench.settings.set_auto_scale(true);
  bench.settings.set_block(64);
  bench.settings.set_two_bit_values(true);
  ASSERT_TRUE(CheckCodecBench(bench, 0).ok());
  std::vector<int64_t> bytes;
  const absl::Status status = RunCodecBench(
      bench, [&](const CodecResult& result) { bytes.push_back(result.encoded_bytes); });
  ASSERT_TRUE(status.ok()) << status;
  // 11 of 1024 elements: two magnitudes, two bits and an index each.
  EXPECT_EQ(bytes, (std::vector<int64_t>{2 * 1024 + 4, 1024 + 4 * 16, 8 + 3 + 11 * 4}));
}

TEST(BenchCodec, ColdAndUnalignedGradientsComeOutRightToo) {
  CodecBench bench;
  bench.codecs = AllCodecs();
  bench.sizes = {4096};
  bench.iterations = 2;
  bench.buffers = {"cold", true};
  std::vector<CodecResult> results;
  const absl::Status status =
      RunCodecBench(bench, [&](const CodecResult& result) { results.push_back(result); });
  ASSERT_TRUE(status.ok()) << status;
  const nlohmann::json json = nlohmann::json::parse(CodecJson(bench, results, Machine(), "abc"));
  EXPECT_EQ(json["buffers"], "cold");
  EXPECT_EQ(json["unaligned"], true);
  for (const auto& row : json["rows"]) EXPECT_LE(row["time_us"], row["time_us_p95"]);
  EXPECT_THAT(CodecTableHead(bench, Machine(), "c"),
              HasSubstr("buffers: cold, 4 bytes off a cache line,"));
}

TEST(BenchCodec, ShareIsMovedBytesOverMemcpysPairByPair) {
  // 600 of bytes moved in 3, 6 and 2 times memcpy's time for 2 * 400.
  const CodecFigures figures = FiguresOf({"encode", 600, {3, 12, 8}, {1, 2, 4}}, 400);
  EXPECT_DOUBLE_EQ(figures.time_us, 8);
  EXPECT_DOUBLE_EQ(figures.time_us_p95, 12);
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
  bench.settings.set_levels(3);
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("\"levels: 3\" the codecs take \"\""));
  bench.codecs = {"topk", "qsgd"};
  EXPECT_TRUE(CheckCodecBench(bench, 0).ok());
  bench.settings.set_warmup_steps(3);
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("leave the others out"));
  bench.settings.Clear();
  bench.codecs = {"topk"};
  EXPECT_TRUE(CheckCodecBench(bench, 1 << 20).ok());
  bench.sizes = {1 << 18};
  EXPECT_THAT(CheckCodecBench(bench, 1 << 20).message(),
              HasSubstr("more than half of this machine's 1 MiB"));
  bench.sizes.clear();
  EXPECT_THAT(CheckCodecBench(bench, 0).message(), HasSubstr("no codec or no size"));
}

}  // namespace
}  // namespace ringmaster
