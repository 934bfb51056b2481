#include "common/codec/memory.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;
using Floats = std::vector<float>;

constexpr int64_t kCount = 300;

std::unique_ptr<Codec> Create(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_density(0.1);
  SetCodecDefaults(&spec);
  absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

Floats GradientOf(int64_t step) {
  Random random(step);
  Floats gradient(kCount);
  for (float& value : gradient) value = random.Normal();
  return gradient;
}

// What one step sends, of two slices.
Bytes Step(const Codec& codec, int64_t step, CodecMemory* memory) {
  const Floats gradient = GradientOf(step);
  Bytes all;
  for (const int64_t begin : {int64_t{0}, int64_t{200}}) {
    const int64_t count = begin == 0 ? 200 : 100;
    Bytes bytes(codec.MaxEncodedBytes(count));
    bytes.resize(memory->Encode(BucketStream(1, {step, step}, 0), begin,
                                absl::MakeConstSpan(gradient).subspan(begin, count),
                                absl::MakeSpan(bytes)));
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

TEST(CodecMemory, WithoutFeedbackOrWithAnExactCodecItOnlyEncodes) {
  for (const std::string name : {"topk", "none"}) {
    const auto codec = Create(name);
    const auto memory = CreateCodecMemory(*codec, kCount, name == "none");
    for (int step = 0; step < 3; ++step) {
      const Floats gradient = GradientOf(step);
      Bytes plain(codec->MaxEncodedBytes(kCount)), fed(plain.size());
      EXPECT_EQ(codec->Encode({}, gradient, absl::MakeSpan(plain)),
                memory->Encode({}, 0, gradient, absl::MakeSpan(fed)));
      EXPECT_EQ(plain, fed);
    }
    EXPECT_TRUE(memory->Give().entries().empty());
    EXPECT_TRUE(memory->Take(State()).ok());
  }
}

TEST(CodecMemory, GivenAndTakenItGoesOnAsIfItHadNeverStopped) {
  for (const CodecInfo& info : Codecs()) {
    for (const bool feedback : {false, true}) {
      const auto codec = Create(info.name);
      const auto whole = CreateCodecMemory(*codec, kCount, feedback),
                 before = CreateCodecMemory(*codec, kCount, feedback);
      for (int64_t step = 0; step < 4; ++step) {
        Step(*codec, step, whole.get());
        Step(*codec, step, before.get());
      }
      const State state = before->Give();
      Step(*codec, 99, before.get());  // the state is a copy
      const auto after = CreateCodecMemory(*codec, kCount, feedback);
      ASSERT_TRUE(after->Take(state).ok());
      for (int64_t step = 4; step < 8; ++step) {
        EXPECT_EQ(Step(*codec, step, after.get()), Step(*codec, step, whole.get()))
            << info.name << " step " << step;
      }
    }
  }
}

TEST(CodecMemory, RefusesAStateOfAnotherKindOrSizeAndKeepsWhatItHas) {
  const auto codec = Create("topk");
  const auto fed = CreateCodecMemory(*codec, kCount, true),
             small = CreateCodecMemory(*codec, 7, true);
  const auto plain = CreateCodecMemory(*codec, kCount, false),
             twin = CreateCodecMemory(*codec, kCount, true);
  for (const auto* memory : {&fed, &twin}) Step(*codec, 0, memory->get());
  const auto refusal = [](CodecMemory& memory, const State& state) {
    const absl::Status status = memory.Take(state);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(*fed, small->Give()),
              HasSubstr("\"residual\": it is 7 floats, expected 300 floats"));
  EXPECT_THAT(refusal(*fed, plain->Give()),
              HasSubstr("without \"residual\", which is expected; it has nothing"));
  EXPECT_THAT(refusal(*plain, fed->Give()), HasSubstr("with \"residual\", which nobody takes"));
  EXPECT_EQ(Step(*codec, 1, fed.get()), Step(*codec, 1, twin.get()));
}

}  // namespace
}  // namespace ringmaster
