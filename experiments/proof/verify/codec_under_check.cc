#include "experiments/proof/verify/codec_under_check.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/random.h"

namespace ringmaster {

std::vector<CodecInput> CodecInputs(uint64_t seed) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  std::vector<CodecInput> inputs;
  for (const int64_t count : {0, 1, 2, 7, 8, 9, 63, 1000, 1025, 2500}) {
    Random random(MixSeed(seed, count));
    std::vector<float> normal(count), denormal(count), huge(count), spread(count), ties(count),
        alone(count, 0.0f);
    for (int64_t i = 0; i < count; ++i) {
      normal[i] = random.Normal();
      denormal[i] = random.Normal() * 1e-40f;
      huge[i] = (random.Uniform() - 0.5f) * 2.0f * kLargest;
      spread[i] = random.Normal() * std::ldexp(1.0f, static_cast<int>(random.Below(60)) - 40);
      ties[i] = static_cast<float>(random.Below(5)) - 2.0f;
    }
    // Halves have 11 bits of significand, bfloats 8; of a largest of 127 or 7 the units are 1.
    std::vector<float> halfway(count), of_127(count), of_7(count);
    for (int64_t i = 0; i < count; ++i) {
      const float sign = random.Below(2) == 0 ? 1.0f : -1.0f;
      halfway[i] = sign * static_cast<float>(2 * random.Below(i % 2 == 0 ? 2048 : 256) + 1);
      of_127[i] = i % 64 == 0 ? 127.0f : sign * (static_cast<float>(random.Below(126)) + 0.5f);
      of_7[i] = i % 64 == 0 ? 7.0f : sign * (static_cast<float>(random.Below(6)) + 0.5f);
    }
    if (count > 0) alone[random.Below(count)] = -3.0f;
    const auto add = [&](const char* name, std::vector<float> values) {
      inputs.push_back({absl::StrCat(name, ", ", count, " floats"), std::move(values)});
    };
    add("normal", normal);
    add("denormal", denormal);
    add("huge", huge);
    add("spread", spread);
    add("ties", ties);
    add("halfway", halfway);
    add("halfway of 127", of_127);
    add("halfway of 7", of_7);
    add("one alone", alone);
    add("zero", std::vector<float>(count, 0.0f));
    add("negative zero", std::vector<float>(count, -0.0f));
    add("constant", std::vector<float>(count, -0.75f));
    add("largest", std::vector<float>(count, kLargest));
  }
  return inputs;
}

CodecStream CheckStream(uint64_t seed) {
  CodecStream stream;
  stream.run_seed = seed;
  stream.step = 3;
  stream.slice = 2;
  stream.lot = 17;
  return stream;
}

std::vector<std::byte> EncodeWith(const Codec& codec, const std::vector<float>& in, uint64_t seed) {
  std::vector<std::byte> room(codec.MaxEncodedBytes(static_cast<int64_t>(in.size())));
  const int64_t bytes = codec.Encode(CheckStream(seed), in, absl::MakeSpan(room));
  return std::vector<std::byte>(room.begin(), room.begin() + bytes);
}

}  // namespace ringmaster
