#include "common/codec/error_feedback.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

std::unique_ptr<Codec> Create(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_density(0.1);
  spec.set_error_feedback(true);
  SetCodecDefaults(&spec);
  absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

// One step on the slice that starts at `begin`: what the receiver decodes.
Floats Send(const Codec& codec, ErrorFeedback* feedback, int64_t begin, const Floats& gradient) {
  std::vector<std::byte> bytes(codec.MaxEncodedBytes(gradient.size()));
  const Floats before = gradient;
  bytes.resize(feedback->Encode({}, begin, gradient, absl::MakeSpan(bytes)));
  EXPECT_EQ(gradient, before);
  Floats decoded(gradient.size());
  const absl::Status status = codec.Decode({}, bytes, absl::MakeSpan(decoded));
  EXPECT_TRUE(status.ok()) << status;
  return decoded;
}

Floats RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  Floats values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

TEST(ErrorFeedback, WhatIsSentAndWhatIsLeftIsTheGradientToTheBit) {
  // Not onebit: there x - scale and + scale both round.
  for (const std::string name : {"topk", "fp16"}) {
    const auto codec = Create(name);
    const Floats gradient = RandomFloats(1000, 1);
    ErrorFeedback feedback(*codec, 1000);
    const Floats decoded = Send(*codec, &feedback, 0, gradient);
    bool something_is_left = false;
    for (size_t i = 0; i < 1000; ++i) {
      ASSERT_EQ(decoded[i] + feedback.residual()[i], gradient[i]) << name;
      something_is_left |= feedback.residual()[i] != 0;
    }
    EXPECT_TRUE(something_is_left) << name;
  }
}

TEST(ErrorFeedback, ACorrectedEncodingIsThatOfTheSumAndLeavesWhatDecodingLacks) {
  for (const CodecInfo& info : Codecs()) {
    const auto codec = Create(info.name);
    for (const size_t count : {1, 8, 100, 5003}) {
      for (const float strange : {1.0f, 70000.0f, -0.0f, NAN, -INFINITY}) {
        Floats gradient = RandomFloats(count, count);
        Floats residual = RandomFloats(count, count + 1);
        gradient[count / 2] = residual[count / 2] = strange;
        Floats corrected = residual;
        for (size_t i = 0; i < count; ++i) corrected[i] += gradient[i];
        std::vector<std::byte> expected(codec->MaxEncodedBytes(count)), bytes(expected.size());
        expected.resize(codec->Encode({3}, corrected, absl::MakeSpan(expected)));
        Floats left(count), decoded(count);
        if (codec->Decode({3}, expected, absl::MakeSpan(decoded)).ok()) {
          for (size_t i = 0; i < count; ++i) left[i] = corrected[i] - decoded[i];
        }
        bytes.resize(
            codec->EncodeCorrected({3}, gradient, absl::MakeSpan(residual), absl::MakeSpan(bytes)));
        EXPECT_EQ(bytes, expected) << info.name << " " << count << " " << strange;
        EXPECT_EQ(std::memcmp(residual.data(), left.data(), count * sizeof(float)), 0)
            << info.name << " " << count << " " << strange;
      }
    }
  }
}

TEST(ErrorFeedback, NothingIsLostOverManySteps) {
  for (const std::string& name : LossyCodecs()) {
    const auto codec = Create(name);
    ErrorFeedback feedback(*codec, 200);
    std::vector<double> given(200, 0), sent(200, 0);
    for (int step = 0; step < 100; ++step) {
      const Floats gradient = RandomFloats(200, step);
      const Floats decoded = Send(*codec, &feedback, 0, gradient);
      for (size_t i = 0; i < 200; ++i) {
        given[i] += gradient[i];
        sent[i] += decoded[i];
      }
    }
    // Two roundings a step, each at most 2^-19 for numbers below 64.
    for (size_t i = 0; i < 200; ++i)
      EXPECT_NEAR(sent[i] + feedback.residual()[i], given[i], 200 * 0x1p-19) << name;
  }
}

TEST(ErrorFeedback, WithTopkIntegersAreNotLostAtAll) {
  const auto codec = Create("topk");
  ErrorFeedback feedback(*codec, 50);
  Random random(4);
  Floats given(50, 0.0f), sent(50, 0.0f);
  for (int step = 0; step < 200; ++step) {
    Floats gradient(50);
    for (float& value : gradient) value = static_cast<float>(random.Below(21)) - 10.0f;
    const Floats decoded = Send(*codec, &feedback, 0, gradient);
    for (size_t i = 0; i < 50; ++i) {
      given[i] += gradient[i];
      sent[i] += decoded[i];
    }
  }
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(sent[i] + feedback.residual()[i], given[i]);
}

TEST(ErrorFeedback, EverySliceOfTheArenaHasItsOwnMemory) {
  const auto codec = Create("topk");
  ErrorFeedback whole(*codec, 100);
  ErrorFeedback first(*codec, 30), second(*codec, 70);
  for (int step = 0; step < 5; ++step) {
    const Floats a = RandomFloats(30, 2 * step), b = RandomFloats(70, 2 * step + 1);
    EXPECT_EQ(Send(*codec, &whole, 30, b), Send(*codec, &second, 0, b));
    EXPECT_EQ(Send(*codec, &whole, 0, a), Send(*codec, &first, 0, a));
  }
}

TEST(ErrorFeedback, AGradientThatIsNotFiniteReachesTheReceiverAndIsForgotten) {
  for (const std::string& name : LossyCodecs()) {
    const auto codec = Create(name);
    ErrorFeedback feedback(*codec, 20);
    Floats gradient = RandomFloats(20, 5);
    gradient[3] = NAN;
    std::vector<std::byte> bytes(codec->MaxEncodedBytes(20));
    bytes.resize(feedback.Encode({}, 0, gradient, absl::MakeSpan(bytes)));
    Floats decoded(20);
    EXPECT_EQ(codec->Decode({}, bytes, absl::MakeSpan(decoded)).code(),
              absl::StatusCode::kInvalidArgument)
        << name;
    for (const float left : feedback.residual()) EXPECT_EQ(left, 0.0f) << name;
  }
}

}  // namespace
}  // namespace ringmaster
