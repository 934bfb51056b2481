// What is remembered, warmed up, left alone and voted on: each check passes what the registry has
// and finds what is broken on purpose.
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/small_tensors.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/contract/codecs/codec_twins.h"
#include "tests/contract/codecs/memory_check.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

CodecSpec FedBack(const std::string& name, double decay = 1) {
  CodecSpec spec = RealSpec(name);
  spec.set_error_feedback(true);
  if (decay != 1) spec.set_feedback_decay(decay);
  return spec;
}

// A real memory, at whose gradients or state something is done before every step.
class BentMemory : public CodecMemory {
 public:
  using Bend = std::function<void(CodecMemory* memory, Floats* gradient)>;
  BentMemory(std::unique_ptr<CodecMemory> memory, Bend bend)
      : memory_(std::move(memory)), bend_(std::move(bend)) {}
  int64_t Encode(const CodecStream& stream, int64_t begin, absl::Span<const float> gradient,
                 absl::Span<std::byte> out) override {
    Floats bent(gradient.begin(), gradient.end());
    bend_(memory_.get(), &bent);
    return memory_->Encode(stream, begin, bent, out);
  }
  State Give() const override { return memory_->Give(); }
  absl::Status Take(const State& state) override { return memory_->Take(state); }

 private:
  const std::unique_ptr<CodecMemory> memory_;
  const Bend bend_;
};

MakeMemory Bent(const CodecSpec& spec, BentMemory::Bend bend) {
  return [spec, bend](const Codec& codec) {
    return std::make_unique<BentMemory>(MemoryOf(spec)(codec), bend);
  };
}

// The array of that name in a state.
Floats ArrayOf(const State& state, const std::string& name) {
  for (const State::Entry& entry : state.entries()) {
    if (entry.name == name) return std::get<Floats>(entry.value);
  }
  return {};
}

// Puts zeros in the place of one array that is kept.
BentMemory::Bend Forgets(const std::string& forgotten) {
  return [forgotten](CodecMemory* memory, Floats* gradient) {
    const State before = memory->Give();
    State after;
    for (const State::Entry& entry : before.entries()) {
      const Floats& floats = std::get<Floats>(entry.value);
      after.AddFloats(entry.name, entry.name == forgotten ? Floats(floats.size()) : floats);
    }
    EXPECT_TRUE(memory->Take(after).ok());
  };
}

// Adds what is kept to the gradient once more.
BentMemory::Bend AddsAgain(const std::string& kept) {
  return [kept](CodecMemory* memory, Floats* gradient) {
    const Floats again = ArrayOf(memory->Give(), kept);
    for (size_t i = 0; i < gradient->size(); ++i) (*gradient)[i] += again[i];
  };
}

TEST(CodecMemory, OfEveryCodecWithEverySettingSendsWhatTheDefinitionSays) {
  for (const CodecInfo& info : Codecs()) {
    for (CodecSpec spec : ProofSettings(info)) {
      for (const double decay : {0.0, 0.5, 1.0}) {
        spec.set_error_feedback(decay > 0);
        if (decay > 0) spec.set_feedback_decay(decay);
        EXPECT_EQ(CheckMemory(spec, MemoryOf(spec)), absl::OkStatus()) << spec.ShortDebugString();
      }
    }
  }
}

TEST(BrokenMemories, OfEveryCodecAreFound) {
  for (const std::string& name : LossyCodecs()) {
    const bool is_own = FindCodec(name)->traits.memory_floats > 0;
    const std::string kept = is_own ? "accumulation" : "residual";
    for (const double decay : {1.0, 0.9}) {
      SCOPED_TRACE(absl::StrCat(name, " decay ", decay));
      const CodecSpec spec = FedBack(name, decay);
      EXPECT_FALSE(CheckMemory(spec, Bent(spec, Forgets(kept))).ok());
      EXPECT_FALSE(CheckMemory(spec, Bent(spec, AddsAgain(kept))).ok());
      if (is_own) continue;
      CodecSpec off = spec;
      off.set_error_feedback(false);
      EXPECT_FALSE(CheckMemory(spec, MemoryOf(off)).ok()) << "off where it is asked for";
      EXPECT_FALSE(CheckMemory(off, MemoryOf(spec)).ok()) << "on where it is not";
      EXPECT_FALSE(CheckMemory(spec, MemoryOf(FedBack(name, decay * decay * 0.95))).ok())
          << "another decay";
    }
  }
}

TEST(BrokenMemories, OfDgcAreFound) {
  CodecSpec spec = FedBack("dgc");
  EXPECT_FALSE(CheckMemory(spec, Bent(spec, Forgets("velocity"))).ok());
  EXPECT_FALSE(CheckMemory(spec, Bent(spec, AddsAgain("velocity"))).ok());
  CodecSpec clipped = spec;
  clipped.mutable_dgc()->set_clip_norm(1);
  EXPECT_EQ(CheckMemory(clipped, MemoryOf(clipped)), absl::OkStatus());
  EXPECT_FALSE(CheckMemory(clipped, MemoryOf(spec)).ok()) << "without clipping";
  // Without masking: what is sent keeps its velocity.
  Floats unmasked(kCheckedScope.count);
  const auto keeps_velocity = [&unmasked](CodecMemory* memory, Floats* gradient) {
    for (size_t i = 0; i < unmasked.size(); ++i) unmasked[i] = 0.9f * unmasked[i] + (*gradient)[i];
    State state;
    Floats before = unmasked;
    for (size_t i = 0; i < before.size(); ++i) before[i] = (before[i] - (*gradient)[i]) / 0.9f;
    state.AddFloats("velocity", before);
    state.AddFloats("accumulation", ArrayOf(memory->Give(), "accumulation"));
    EXPECT_TRUE(memory->Take(state).ok());
  };
  EXPECT_FALSE(CheckMemory(spec, Bent(spec, keeps_velocity)).ok());
}

constexpr int64_t kWarmup = 3;

// FailedPrecondition unless `codec` sends floats for kWarmup steps and then as `plain` does.
absl::Status CheckWarmup(const Codec& codec, const Codec& plain) {
  Random random(5);
  for (int64_t step = 0; step < 2 * kWarmup; ++step) {
    Floats in(100), out(100);
    for (float& value : in) value = random.Normal();
    const CodecStream stream = BucketStream(1, {step, step}, 0);
    Bytes bytes(codec.MaxEncodedBytes(100)), expected(plain.MaxEncodedBytes(100));
    bytes.resize(codec.Encode(stream, in, absl::MakeSpan(bytes)));
    expected.resize(plain.Encode(stream, in, absl::MakeSpan(expected)));
    const bool is_warm = step < kWarmup;
    if (is_warm) {
      expected.resize(400);
      std::memcpy(expected.data(), in.data(), 400);
    }
    const int64_t most = is_warm ? 400 : plain.MaxBytesIn(step, 100);
    if (bytes != expected || codec.MaxBytesIn(step, 100) != most ||
        !codec.Decode(stream, bytes, absl::MakeSpan(out)).ok() || (is_warm && out != in)) {
      return absl::FailedPreconditionError(absl::StrCat("step ", step, " is not as it should be"));
    }
  }
  return absl::OkStatus();
}

TEST(BrokenWarmups, OfEveryCodecThatIsGatheredAreFound) {
  const auto is_gathered = [](const CodecInfo& info) {
    return !info.traits.summable_as.has_value();
  };
  for (const std::string& name : CodecsThat(is_gathered)) {
    CodecSpec spec = RealSpec(name);
    const auto plain = *CreateCodec(spec);
    for (const int64_t steps : {int64_t{0}, kWarmup - 1, kWarmup, kWarmup + 1}) {
      spec.set_warmup_steps(static_cast<int32_t>(steps));
      EXPECT_EQ(CheckWarmup(**CreateCodec(spec), *plain).ok(), steps == kWarmup)
          << name << " " << steps;
    }
  }
}

// Tensors of 40, 9, 10 and 11 elements in one bucket.
ParamLayout Layout() {
  std::vector<Param> params;
  for (const int64_t count : {40, 9, 10, 11}) {
    Param param;
    param.name = absl::StrCat(params.size());
    param.shape = {count};
    params.push_back(param);
  }
  return ParamLayout(std::move(params), 100, BucketLayout::kWholeTensors);
}

// FailedPrecondition unless tensors of fewer than 10 elements go as floats in front of the encoding
// of the others.
absl::Status CheckSmallTensors(const Codec& codec, const Codec& plain) {
  Floats in(70);
  Random random(4);
  for (float& value : in) value = random.Normal();
  Floats others(in.begin(), in.begin() + 40);
  others.insert(others.end(), in.begin() + 49, in.end());
  const CodecStream stream = BucketStream(1, {0, 0}, 0);
  Bytes expected(9 * sizeof(float)), encoded(plain.MaxEncodedBytes(61));
  std::memcpy(expected.data(), &in[40], expected.size());
  encoded.resize(plain.Encode(stream, others, absl::MakeSpan(encoded)));
  expected.insert(expected.end(), encoded.begin(), encoded.end());
  Bytes bytes(codec.MaxEncodedBytes(70));
  bytes.resize(codec.Encode(stream, in, absl::MakeSpan(bytes)));
  if (bytes != expected) return absl::FailedPreconditionError("other bytes");
  Floats out(70), decoded(61);
  if (!codec.Decode(stream, bytes, absl::MakeSpan(out)).ok() ||
      !plain.Decode(stream, encoded, absl::MakeSpan(decoded)).ok()) {
    return absl::FailedPreconditionError("does not decode what it encodes");
  }
  decoded.insert(decoded.begin() + 40, in.begin() + 40, in.begin() + 49);
  return out == decoded ? absl::OkStatus() : absl::FailedPreconditionError("other floats");
}

TEST(BrokenSmallTensors, OfEveryCodecThatLeavesThemAloneAreFound) {
  const auto takes_them = [](const CodecInfo& info) {
    return !info.traits.summable_as.has_value() && info.traits.memory_floats == 0;
  };
  for (const std::string& name : CodecsThat(takes_them)) {
    CodecSpec spec = RealSpec(name);
    const auto plain = *CreateCodec(spec);
    for (const int64_t least : {1, 9, 10, 11, 12}) {
      spec.set_min_tensor_elements(least);
      EXPECT_EQ(CheckSmallTensors(**CreateCodecOf(spec, Layout(), 1), *plain).ok(), least == 10)
          << name << " " << least;
    }
  }
}

// FailedPrecondition unless `replace` turns the sum of all votes into what most voted for; a tie
// into 0.
absl::Status CheckVotes(void (*replace)(absl::Span<float>)) {
  Random random(6);
  for (const int voters : {1, 2, 3, 4, 8}) {
    Floats sums(300), expected(300);
    for (size_t i = 0; i < sums.size(); ++i) {
      int up = 0;
      for (int voter = 0; voter < voters; ++voter) up += random.Below(2) == 0 ? 1 : 0;
      sums[i] = static_cast<float>(up - (voters - up));
      expected[i] = 2 * up == voters ? 0.0f : 2 * up > voters ? 1.0f : -1.0f;
    }
    replace(absl::MakeSpan(sums));
    if (sums != expected)
      return absl::FailedPreconditionError(absl::StrCat("of ", voters, " voters"));
  }
  return absl::OkStatus();
}

TEST(BrokenVotes, AreFound) {
  EXPECT_EQ(CheckVotes(ReplaceBySigns), absl::OkStatus());
  EXPECT_FALSE(CheckVotes([](absl::Span<float> sums) {
                 for (float& sum : sums) sum = std::copysign(1.0f, sum);  // a tie is a vote for
               }).ok());
  EXPECT_FALSE(CheckVotes([](absl::Span<float>) {}).ok());
  EXPECT_FALSE(CheckVotes([](absl::Span<float> sums) {
                 for (float& sum : sums) sum = sum > 1 ? 1.0f : sum < -1 ? -1.0f : 0.0f;
               }).ok());
}

}  // namespace
}  // namespace ringmaster
