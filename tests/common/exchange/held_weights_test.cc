// What a receiver of encoded differences holds: nothing of the weights is lost, both ends hold the
// same bits, and whoever forgets or repeats a difference is found.
#include "common/exchange/held_weights.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kCount = 300;
constexpr PartPlace kPlace = {2, 1, 3};

constexpr double kThreshold = 0.02;

// As strategy.parameter_server.down_codec is resolved.
CodecSpec SpecOf(const std::string& name) {
  CodecSpec spec;
  spec.set_name(name);
  spec.set_error_feedback(true);
  SetCodecDefaults(&spec);
  if (FindOption(*FindCodec(name), "density") != nullptr) spec.set_density(0.1);
  // Fine enough for its variance to be below the energy.
  if (FindOption(*FindCodec(name), "levels") != nullptr) spec.set_levels(127);
  if (FindOption(*FindCodec(name), "threshold") != nullptr) spec.set_threshold(kThreshold);
  return spec;
}

std::unique_ptr<Codec> CodecOf(const std::string& name) { return *CreateCodec(SpecOf(name)); }

// That differences may be encoded by.
std::vector<std::string> DownCodecs() {
  return CodecsThat([](const CodecInfo& info) {
    return !info.traits.majority_vote && info.traits.memory_floats == 0;
  });
}

Floats Normal(uint64_t seed, float scale) {
  Random random(seed);
  Floats values(kCount);
  for (float& value : values) value = scale * random.Normal();
  return values;
}

double Distance(absl::Span<const float> a, absl::Span<const float> b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(squares);
}

CodecStream StreamOf(int64_t step) { return DownStream(7, {step, step}, kPlace); }

// A sender and a receiver, and what lies between them.
struct Way {
  Way(const Codec& codec, const Floats& initial)
      : sender(codec, initial), receiver(codec, initial), wire(codec.MaxEncodedBytes(kCount)) {}

  void Tell(const Floats& weights, int64_t step) {
    const auto bytes = sender.Encode(StreamOf(step), 0, weights, absl::MakeSpan(wire));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    sent = absl::MakeConstSpan(wire).first(*bytes);
    ASSERT_TRUE(receiver.Add(StreamOf(step), sent, 0, kCount).ok());
  }

  HeldWeights sender, receiver;
  std::vector<std::byte> wire;
  absl::Span<const std::byte> sent;
};

// The sender's weights move for a while: what was decoded, all together, is what is held, to the
// bit; what is not held yet is what the next difference is made from.
TEST(HeldWeights, AreTheSumOfAllThatWasDecodedOnBothEndsAndWhatIsMissingIsTheNextDifference) {
  for (const std::string& name : DownCodecs()) {
    SCOPED_TRACE(name);
    const auto codec = CodecOf(name);
    const Floats initial = Normal(1, 1);
    Way way(*codec, initial);
    Floats weights = initial, sum = initial, decoded(kCount);
    for (int64_t step = 0; step < 12; ++step) {
      const Floats move = Normal(2 + step, 0.1f);
      for (int64_t i = 0; i < kCount; ++i) weights[i] += move[i];
      Floats pending(kCount);
      for (int64_t i = 0; i < kCount; ++i) pending[i] = weights[i] - sum[i];
      way.Tell(weights, step);
      // Made anew: the encoding is of all that was pending.
      std::vector<std::byte> again(codec->MaxEncodedBytes(kCount));
      again.resize(codec->Encode(StreamOf(step), pending, absl::MakeSpan(again)));
      EXPECT_TRUE(way.sent == absl::MakeConstSpan(again)) << step;
      ASSERT_TRUE(codec->Decode(StreamOf(step), again, absl::MakeSpan(decoded)).ok());
      for (int64_t i = 0; i < kCount; ++i) sum[i] += decoded[i];
      ASSERT_EQ(Floats(way.sender.values().begin(), way.sender.values().end()), sum) << step;
      ASSERT_EQ(way.receiver.values(), way.sender.values()) << step;
    }
  }
}

// Whether what it leaves out of a difference is less than the difference.
bool Contracts(const std::string& name) {
  const CodecOracle& oracle = *FindCodec(name)->oracle;
  const Floats values = Normal(5, 1);
  return oracle.variance_bound == nullptr ||
         oracle.variance_bound(SpecOf(name), values) < Energy(values);
}

// Where the weights stand still, all of them arrive: what was left out is in the next differences.
TEST(HeldWeights, ComeToTheWeightsWhereTheseStandStill) {
  int tried = 0;
  for (const std::string& name : DownCodecs()) {
    if (!Contracts(name)) continue;
    SCOPED_TRACE(name);
    ++tried;
    const auto codec = CodecOf(name);
    const Floats initial = Normal(1, 1), weights = Normal(2, 1);
    Way way(*codec, initial);
    const double begin = Distance(initial, weights);
    for (int64_t step = 0; step < 400; ++step) way.Tell(weights, step);
    const double end = Distance(way.receiver.values(), weights);
    // A threshold's differences stay below it.
    EXPECT_LE(end, std::max(1e-3 * begin, kThreshold * std::sqrt(double{kCount}))) << begin;
    if (codec->traits().index_bearing && codec->traits().fixed_size) {
      EXPECT_EQ(end, 0);
    }
  }
  EXPECT_GT(tried, 8);
}

// A receiver that forgets what it held, or takes a difference up twice, and a sender that forgets:
// their weights are others from then on.
TEST(HeldWeights, AreFoundOutWhereADifferenceIsForgottenOrTakenTwice) {
  for (const std::string& name : DownCodecs()) {
    if (FindCodec(name)->traits.exact) continue;
    SCOPED_TRACE(name);
    const auto codec = CodecOf(name);
    const Floats initial = Normal(1, 1), weights = Normal(2, 1);
    Way way(*codec, initial);
    way.Tell(weights, 0);
    HeldWeights twice = way.receiver, forgetful = way.receiver, sender(*codec, initial);
    ASSERT_TRUE(twice.Add(StreamOf(0), way.sent, 0, kCount).ok());
    forgetful.Set(0, initial);
    EXPECT_NE(twice.values(), way.sender.values());
    EXPECT_NE(forgetful.values(), way.sender.values());
    way.Tell(weights, 1);
    ASSERT_TRUE(forgetful.Add(StreamOf(1), way.sent, 0, kCount).ok());
    EXPECT_NE(forgetful.values(), way.sender.values());
    // A sender that keeps nothing tells the same difference again.
    std::vector<std::byte> wire(codec->MaxEncodedBytes(kCount));
    const auto bytes = sender.Encode(StreamOf(1), 0, weights, absl::MakeSpan(wire));
    ASSERT_TRUE(bytes.ok());
    EXPECT_FALSE(absl::MakeConstSpan(wire).first(*bytes) == way.sent);
  }
}

TEST(HeldWeights, TakeUpAPartAndLeaveTheRest) {
  const auto codec = CodecOf("none");
  const Floats initial = Normal(1, 1), weights = Normal(2, 1);
  HeldWeights held(*codec, initial);
  std::vector<std::byte> wire(codec->MaxEncodedBytes(100));
  ASSERT_TRUE(held.Encode(StreamOf(0), 50, absl::MakeConstSpan(weights).subspan(50, 100),
                          absl::MakeSpan(wire))
                  .ok());
  for (int64_t i = 0; i < kCount; ++i) {
    const bool inside = i >= 50 && i < 150;
    EXPECT_NEAR(held.values()[i], inside ? weights[i] : initial[i], inside ? 1e-6 : 0) << i;
  }
  held.Set(200, absl::MakeConstSpan(weights).subspan(200, 10));
  EXPECT_EQ(held.values()[205], weights[205]);
  EXPECT_EQ(held.values()[210], initial[210]);
}

TEST(HeldWeights, RefuseWeightsThatAreNotFinite) {
  const auto codec = CodecOf("int8");
  Floats weights = Normal(1, 1);
  HeldWeights held(*codec, weights);
  weights[3] = NAN;
  std::vector<std::byte> wire(codec->MaxEncodedBytes(kCount));
  EXPECT_EQ(held.Encode(StreamOf(0), 0, weights, absl::MakeSpan(wire)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(DownStream, DrawsNothingThatIsDrawnOnTheWayUp) {
  for (int64_t step = 0; step < 5; ++step) {
    const CodecStream up = PartStream(7, {step, step}, kPlace), down = StreamOf(step);
    EXPECT_NE(up.Seed(), down.Seed());
    EXPECT_NE(up.SharedSeed(), down.SharedSeed());
    EXPECT_EQ(down.SharedSeed(), SharedDownStream(7, step, kPlace).SharedSeed());
    EXPECT_NE(down.Seed(), StreamOf(step + 1).Seed());
    EXPECT_NE(down.Seed(), DownStream(7, {step, step}, {2, 0, 3}).Seed());
  }
}

}  // namespace
}  // namespace ringmaster
