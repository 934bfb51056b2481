// Deep gradient compression, step by step against the source's algorithm in double precision.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/codec/codec.h"
#include "common/codec/dgc_memory.h"
#include "common/codec/memory.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

CodecSpec DgcSpecOf(double density) {
  CodecSpec spec;
  spec.set_name("dgc");
  spec.set_density(density);
  spec.set_error_feedback(true);
  SetCodecDefaults(&spec);
  return spec;
}

std::unique_ptr<Codec> Create(const CodecSpec& spec) {
  absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

Floats GradientOf(int64_t step, size_t count) {
  Random random(static_cast<uint64_t>(step));
  Floats gradient(count);
  for (float& value : gradient) value = random.Normal();
  return gradient;
}

CodecStream StepStream(int64_t step) { return BucketStream(1, {step, step}, 0); }

// What one step sends, decoded.
Floats Step(const Codec& codec, int64_t step, int64_t begin, const Floats& gradient,
            CodecMemory* memory) {
  const auto count = static_cast<int64_t>(gradient.size());
  Bytes bytes(codec.MaxEncodedBytes(count));
  bytes.resize(memory->Encode(StepStream(step), begin, gradient, absl::MakeSpan(bytes)));
  Floats out(gradient.size());
  const absl::Status status = codec.Decode(StepStream(step), bytes, absl::MakeSpan(out));
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

// Lin et al. 2018, algorithms 1 and 4: velocity u, accumulation v, both masked where v is sent.
class Written {
 public:
  Written(size_t count, size_t kept, double momentum)
      : kept_(kept), momentum_(momentum), u_(count), v_(count) {}

  std::vector<double> Step(const Floats& gradient) {
    for (size_t i = 0; i < u_.size(); ++i) {
      u_[i] = momentum_ * u_[i] + gradient[i];
      v_[i] += u_[i];
    }
    std::vector<size_t> order(v_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return std::fabs(v_[a]) > std::fabs(v_[b]); });
    std::vector<double> sent(v_.size());
    for (size_t place = 0; place < kept_; ++place) {
      const size_t i = order[place];
      sent[i] = v_[i];
      u_[i] = v_[i] = 0;
    }
    return sent;
  }

 private:
  const size_t kept_;
  const double momentum_;
  std::vector<double> u_, v_;
};

TEST(Dgc, SendsWhatTheSourcesAlgorithmDoes) {
  constexpr size_t kCount = 200;
  const CodecSpec spec = DgcSpecOf(0.05);
  const auto codec = Create(spec);
  DgcMemory memory(*codec, kCount, {0.9, 0, 4});
  Written written(kCount, 10, static_cast<double>(0.9f));
  for (int64_t step = 0; step < 100; ++step) {
    const Floats gradient = GradientOf(step, kCount);
    const Floats sent = Step(*codec, step, 0, gradient, &memory);
    const std::vector<double> expected = written.Step(gradient);
    for (size_t i = 0; i < kCount; ++i) {
      ASSERT_NEAR(sent[i], expected[i], 1e-4) << "step " << step;
      if (sent[i] == 0) continue;
      ASSERT_EQ(memory.velocity()[i], 0.0f);
      ASSERT_EQ(memory.accumulation()[i], 0.0f);
    }
  }
}

// Where everything is sent, masking leaves no velocity.
TEST(Dgc, OfDensityOneIsPlainSgd) {
  const CodecSpec spec = DgcSpecOf(1);
  const auto codec = Create(spec);
  DgcMemory memory(*codec, 8, {0.9, 0, 1});
  for (int64_t step = 0; step < 5; ++step) {
    const Floats gradient = GradientOf(step, 8);
    EXPECT_EQ(Step(*codec, step, 0, gradient, &memory), gradient);
  }
}

TEST(Dgc, ClipsEverySliceToItsShareOfTheNorm) {
  constexpr size_t kCount = 100;
  const auto codec = Create(DgcSpecOf(1));
  // 4 workers: half the norm each; a quarter of the elements: half of that.
  DgcMemory memory(*codec, kCount, {0.5, 2, 4});
  const Floats large(25, 3.0f), small(25, 0.01f);
  for (const float value : Step(*codec, 0, 25, large, &memory))
    EXPECT_NEAR(value, 0.5 / std::sqrt(25.0), 1e-6);
  EXPECT_EQ(Step(*codec, 0, 50, small, &memory), small);
}

TEST(Dgc, TheDensityFallsInFourStagesAndBothEndsKnowFromTheStepAlone) {
  CodecSpec spec = DgcSpecOf(0.001);
  spec.mutable_dgc()->set_ramp_steps(8);
  const auto codec = Create(spec);
  const auto memory = CreateCodecMemory(*codec, {10'000, 2}, spec);
  const int64_t kept[] = {2500, 2500, 625, 625, 157, 157, 40, 40, 10, 10};
  for (int64_t step = 0; step < 10; ++step) {
    Bytes bytes(codec->MaxEncodedBytes(10'000));
    const Floats gradient = GradientOf(step, 10'000);
    bytes.resize(memory->Encode(StepStream(step), 0, gradient, absl::MakeSpan(bytes)));
    EXPECT_EQ(bytes.size(), 8u * kept[step]) << step;
    EXPECT_EQ(codec->MaxBytesIn(step, 10'000), 8 * kept[step]) << step;
    Floats out(10'000);
    EXPECT_TRUE(codec->Decode(StepStream(step), bytes, absl::MakeSpan(out)).ok()) << step;
    EXPECT_TRUE(absl::IsInvalidArgument(
        codec->Decode(StepStream(step + (step < 8 ? 2 : -8)), bytes, absl::MakeSpan(out))))
        << step;
  }
  EXPECT_EQ(codec->MaxEncodedBytes(10'000), 8 * 2500);
}

TEST(Dgc, GivenAndTakenItGoesOnWithTheSameBits) {
  const CodecSpec spec = DgcSpecOf(0.1);
  const auto codec = Create(spec);
  const auto whole = CreateCodecMemory(*codec, {60, 2}, spec),
             after = CreateCodecMemory(*codec, {60, 2}, spec);
  for (int64_t step = 0; step < 5; ++step) Step(*codec, step, 0, GradientOf(step, 60), whole.get());
  ASSERT_TRUE(after->Take(whole->Give()).ok());
  for (int64_t step = 5; step < 10; ++step) {
    EXPECT_EQ(Step(*codec, step, 0, GradientOf(step, 60), whole.get()),
              Step(*codec, step, 0, GradientOf(step, 60), after.get()));
  }
  const auto small = CreateCodecMemory(*codec, {7, 2}, spec);
  EXPECT_TRUE(absl::IsInvalidArgument(whole->Take(small->Give())));
}

TEST(Dgc, OfAGradientThatIsNotFiniteNothingIsKept) {
  const CodecSpec spec = DgcSpecOf(0.1);
  const auto codec = Create(spec);
  DgcMemory memory(*codec, 20, {0.9, 0, 1});
  Floats gradient = GradientOf(1, 20);
  gradient[3] = NAN;
  Bytes bytes(codec->MaxEncodedBytes(20));
  bytes.resize(memory.Encode({}, 0, gradient, absl::MakeSpan(bytes)));
  Floats out(20);
  EXPECT_TRUE(absl::IsInvalidArgument(codec->Decode({}, bytes, absl::MakeSpan(out))));
  for (const float value : memory.velocity()) EXPECT_EQ(value, 0.0f);
  for (const float value : memory.accumulation()) EXPECT_EQ(value, 0.0f);
}

TEST(Dgc, KeepsTwoFloatsAnElement) { EXPECT_EQ(CodecMemoryBytes(DgcSpecOf(0.1), 100), 800); }

TEST(Warmup, SendsTheFloatsUntilItIsOverAndThenTheEncodings) {
  CodecSpec spec;
  spec.set_name("topk");
  spec.set_density(0.1);
  spec.set_error_feedback(true);
  SetCodecDefaults(&spec);
  const auto plain = Create(spec);
  spec.set_warmup_steps(3);
  const auto codec = Create(spec);
  EXPECT_FALSE(codec->traits().device_kind.has_value());
  const auto memory = CreateCodecMemory(*codec, {50, 2}, spec),
             fresh = CreateCodecMemory(*plain, {50, 2}, spec);
  for (int64_t step = 0; step < 6; ++step) {
    const Floats gradient = GradientOf(step, 50);
    const Floats sent = Step(*codec, step, 0, gradient, memory.get());
    // After the warm-up as if there had been nothing before it.
    EXPECT_EQ(sent, step < 3 ? gradient : Step(*plain, step, 0, gradient, fresh.get())) << step;
    EXPECT_EQ(codec->MaxBytesIn(step, 50), step < 3 ? 200 : 40);
    EXPECT_EQ(codec->IndexBytes(StepStream(step), {50, codec->MaxBytesIn(step, 50)}),
              step < 3 ? 0 : 20);
  }
  EXPECT_EQ(MaxBytesOfSteps(*codec, 50, 5), 3 * 200 + 2 * 40);
  spec.set_name("fp16");
  spec.clear_density();
  EXPECT_TRUE(absl::IsInvalidArgument(CreateCodec(spec).status()));
}

}  // namespace
}  // namespace ringmaster
