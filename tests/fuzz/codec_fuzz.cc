// Encodings of every codec, with each of the settings that its promises are proved with. The first
// bytes of an input say which one, how many elements, and in which step.

#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/codec/codec.h"
#include "proto/codec_spec.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

struct Head {
  uint8_t setting = 0;
  uint8_t step = 0;
  uint16_t count = 0;
};
constexpr uint16_t kCountMax = 2048;

using AllCodecs = std::vector<std::unique_ptr<Codec>>;

const AllCodecs& EveryCodec() {
  static const AllCodecs& codecs = *[] {
    auto* const all = new AllCodecs;
    for (const CodecInfo& info : Codecs()) {
      for (const CodecSpec& setting : ProofSettings(info)) {
        absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(setting);
        RM_CHECK(codec.ok());
        all->push_back(*std::move(codec));
      }
    }
    RM_CHECK(all->size() <= 256);
    return all;
  }();
  return codecs;
}

CodecStream StreamOf(const Head& head) {
  CodecStream stream;
  stream.run_seed = 7;
  stream.step = head.step;
  stream.slice = 3;
  stream.lot = head.step;
  return stream;
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  Random random(1);
  for (size_t setting = 0; setting < EveryCodec().size(); ++setting) {
    const Codec& codec = *EveryCodec()[setting];
    for (const uint16_t count : {0, 1, 67, 300}) {
      const Head head = {static_cast<uint8_t>(setting), static_cast<uint8_t>(count % 5), count};
      std::vector<float> gradient(count);
      for (float& value : gradient) value = random.Normal();
      std::vector<std::byte> encoded(codec.MaxEncodedBytes(count));
      encoded.resize(codec.Encode(StreamOf(head), gradient, absl::MakeSpan(encoded)));
      std::string seed(reinterpret_cast<const char*>(&head), sizeof(head));
      seed.append(reinterpret_cast<const char*>(encoded.data()), encoded.size());
      seeds.push_back(std::move(seed));
    }
  }
  return seeds;
}

bool TryInput(absl::string_view input) {
  Head head;
  if (input.size() < sizeof(head)) return false;
  std::memcpy(&head, input.data(), sizeof(head));
  if (head.setting >= EveryCodec().size() || head.count > kCountMax) return false;
  const Codec& codec = *EveryCodec()[head.setting];
  // In memory of its own, so that a read behind its end is seen.
  const std::vector<char> bytes(input.begin() + sizeof(head), input.end());
  const auto encoded =
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  std::vector<float> decoded(head.count), sum(head.count);
  const bool is_taken = codec.Decode(StreamOf(head), encoded, absl::MakeSpan(decoded)).ok();
  RM_CHECK(codec.DecodeAdd(StreamOf(head), encoded, absl::MakeSpan(sum)).ok() == is_taken);
  if (!is_taken) return false;
  for (size_t i = 0; i < decoded.size(); ++i) {
    RM_CHECK(std::isfinite(decoded[i]));
    RM_CHECK(sum[i] == decoded[i]);
  }
  const int64_t index_bytes =
      codec.IndexBytes(StreamOf(head), {head.count, static_cast<int64_t>(bytes.size())});
  RM_CHECK(index_bytes >= 0 && index_bytes <= static_cast<int64_t>(bytes.size()));
  return true;
}

}  // namespace ringmaster
