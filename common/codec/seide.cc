#include "common/codec/seide.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/seide_oracle.h"
#include "common/codec/wire_checks.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// elements that stay in the first cache between the passes over them; whole bytes of signs
constexpr size_t kTile = 4096;

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.feedback_by_default = true;
  return traits;
}

// Of the elements whose sign bit is clear, and the magnitude of the others'; 0 where there are
// none.
struct Means {
  float positive = 0;
  float negative = 0;

  bool AreFinite() const { return std::isfinite(positive) && std::isfinite(negative); }
};
constexpr int64_t kMeansBytes = 8;
static_assert(sizeof(Means) == kMeansBytes);

int64_t EncodedBytes(int64_t count) { return kMeansBytes + CeilDiv(count, 8); }

int64_t SetBits(const uint8_t* bytes, int64_t count) {
  int64_t set = 0;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, sizeof(word));
    set += __builtin_popcountll(word);
  }
  for (; i < count; ++i) set += __builtin_popcount(bytes[i]);
  return set;
}

float MeanOf(double sum, int64_t count) {
  return count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
}

// A payload taken apart and found good.
struct Payload {
  Means means;
  const uint8_t* signs = nullptr;
};

absl::StatusOr<Payload> Parse(absl::Span<const std::byte> in, int64_t count) {
  RM_RETURN_IF_ERROR(CheckEncodedBytes("seide", in.size(), EncodedBytes(count), count));
  Payload payload;
  std::memcpy(&payload.means, in.data(), kMeansBytes);
  for (const float mean : {payload.means.positive, payload.means.negative}) {
    if (std::isfinite(mean) && !std::signbit(mean)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("codec \"seide\": mean ", mean, ", expected a finite number of at least 0"));
  }
  RM_RETURN_IF_ERROR(CheckNoSignsBeyond("seide", in, count));
  payload.signs = reinterpret_cast<const uint8_t*>(in.data()) + kMeansBytes;
  return payload;
}

class Seide : public Codec {
 public:
  CodecTraits traits() const override { return Traits(); }
  int64_t MaxEncodedBytes(int64_t count) const override { return EncodedBytes(count); }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    uint8_t* const signs = SignsIn(out, in.size());
    SignSums sums;
    for (size_t begin = 0; begin < in.size(); begin += kTile)
      AddSigns(in.subspan(begin, kTile), signs + begin / 8, &sums);
    WriteMeans(sums, in.size(), out);
    return EncodedBytes(static_cast<int64_t>(in.size()));
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    uint8_t* const signs = SignsIn(out, in.size());
    SignSums sums;
    for (size_t begin = 0; begin < in.size(); begin += kTile) {
      const absl::Span<float> tile = residual.subspan(begin, kTile);
      Add(in.subspan(begin, kTile), tile);
      AddSigns(tile, signs + begin / 8, &sums);
    }
    const Means means = WriteMeans(sums, in.size(), out);
    if (means.AreFinite()) {
      const float left_out[2] = {-means.positive, means.negative};
      loops_.add_chosen(signs, in.size(), left_out, residual.data());
    } else {
      std::fill(residual.begin(), residual.end(), 0.0f);
    }
    return EncodedBytes(static_cast<int64_t>(in.size()));
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.choose);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.add_chosen);
  }

 private:
  static uint8_t* SignsIn(absl::Span<std::byte> out, size_t count) {
    RM_CHECK(static_cast<int64_t>(out.size()) >= EncodedBytes(static_cast<int64_t>(count)));
    return reinterpret_cast<uint8_t*>(out.data()) + kMeansBytes;
  }

  // Packs a tile's signs and adds its sums.
  void AddSigns(absl::Span<const float> tile, uint8_t* signs, SignSums* sums) const {
    const SignSums of_tile = loops_.pack_signs_apart(tile.data(), tile.size(), signs);
    sums->positive += of_tile.positive;
    sums->negative += of_tile.negative;
  }

  // The signs are in `out`. A mean that is not finite where an element is not.
  static Means WriteMeans(const SignSums& sums, size_t elements, absl::Span<std::byte> out) {
    const int64_t count = static_cast<int64_t>(elements);
    const int64_t negatives = SetBits(SignsIn(out, elements), CeilDiv(count, 8));
    Means means = {MeanOf(sums.positive, count - negatives), MeanOf(sums.negative, negatives)};
    if (!std::isfinite(sums.positive + sums.negative))
      means.positive = static_cast<float>(sums.positive + sums.negative);
    std::memcpy(out.data(), &means, kMeansBytes);
    return means;
  }

  template <class Loop>
  static absl::Status DecodeWith(absl::Span<const std::byte> in, absl::Span<float> out, Loop loop) {
    RM_ASSIGN_OR_RETURN(const Payload payload, Parse(in, static_cast<int64_t>(out.size())));
    const float values[2] = {payload.means.positive, -payload.means.negative};
    loop(payload.signs, out.size(), values, out.data());
    return absl::OkStatus();
  }

  const LevelLoops& loops_ = BestLevelLoops();
};

absl::StatusOr<std::unique_ptr<Codec>> CreateSeide(const CodecSpec& spec) {
  return std::unique_ptr<Codec>(std::make_unique<Seide>());
}

}  // namespace

constexpr CodecDefinition kSeideCodec = {
    {"seide",
     "1-bit SGD: signs, the mean of the positive and that of the negative: 1 bit an element",
     Traits(),
     &kSeideOracle,
     {}},
    CreateSeide};

}  // namespace ringmaster
