#include "common/codec/natural.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/natural_oracle.h"
#include "common/codec/wire_checks.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// elements that stay in the first cache between the passes over them; whole bytes of signs
constexpr size_t kTile = 4096;

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.unbiased = true;
  traits.is_random = true;
  return traits;
}

int64_t EncodedBytes(int64_t count) { return count + CeilDiv(count, 8); }

absl::Status CheckEncoding(absl::Span<const std::byte> in, size_t count) {
  RM_RETURN_IF_ERROR(
      CheckEncodedBytes("natural", in.size(), EncodedBytes(static_cast<int64_t>(count)), count));
  return CheckNoSignsBeyond("natural", in, count);
}

absl::Status NotFinite(absl::Span<const std::byte> exponents) {
  const auto at = std::find(exponents.begin(), exponents.end(), std::byte{255});
  return absl::InvalidArgumentError(absl::StrCat("codec \"natural\": value ",
                                                 at - exponents.begin(), " of ", exponents.size(),
                                                 " is not finite"));
}

class Natural : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return EncodedBytes(count); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const int64_t bytes = CheckedBytes(in.size(), out.size());
    uint8_t* const to = reinterpret_cast<uint8_t*>(out.data());
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      const absl::Span<const float> tile = in.subspan(begin, kTile);
      loops_.encode_powers(tile.data(), tile.size(),
                           {Draws(stream.Seed()), static_cast<uint32_t>(begin)}, to + begin,
                           to + in.size() + begin / 8);
    }
    return bytes;
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const int64_t bytes = CheckedBytes(in.size(), out.size());
    uint8_t* const to = reinterpret_cast<uint8_t*>(out.data());
    bool is_finite = true;
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      const absl::Span<float> left = residual.subspan(begin, kTile);
      uint8_t* const exponents = to + begin;
      uint8_t* const signs = to + in.size() + begin / 8;
      Add(in.subspan(begin, kTile), left);
      loops_.encode_powers(left.data(), left.size(),
                           {Draws(stream.Seed()), static_cast<uint32_t>(begin)}, exponents, signs);
      is_finite = loops_.subtract_powers(exponents, signs, left.size(), left.data()) && is_finite;
    }
    if (!is_finite) std::fill(residual.begin(), residual.end(), 0.0f);
    return bytes;
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.decode_powers);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.add_powers);
  }

 private:
  static int64_t CheckedBytes(size_t count, size_t room_bytes) {
    RM_CHECK(count <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
    const int64_t bytes = EncodedBytes(static_cast<int64_t>(count));
    RM_CHECK(static_cast<int64_t>(room_bytes) >= bytes);
    return bytes;
  }

  template <class Loop>
  static absl::Status DecodeWith(absl::Span<const std::byte> in, absl::Span<float> out, Loop loop) {
    RM_RETURN_IF_ERROR(CheckEncoding(in, out.size()));
    const uint8_t* const from = reinterpret_cast<const uint8_t*>(in.data());
    bool is_finite = true;
    for (size_t begin = 0; begin < out.size(); begin += kTile) {
      const absl::Span<float> tile = out.subspan(begin, kTile);
      is_finite =
          loop(from + begin, from + out.size() + begin / 8, tile.size(), tile.data()) && is_finite;
    }
    return is_finite ? absl::OkStatus() : NotFinite(in.first(out.size()));
  }

  const LevelLoops& loops_ = BestLevelLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateNatural(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Natural>());
}

}  // namespace

constexpr CodecDefinition kNaturalCodec = {
    {"natural",
     "the power of two below or above, at random: 9 bits an element",
     Traits(),
     &kNaturalOracle,
     {}},
    CreateNatural};

}  // namespace ringmaster
