#include "common/codec/level_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/loops/level_loops.h"
#include "common/codec/loops/loops.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr int64_t kUnitBytes = 4;
// elements that stay in the first cache between the passes over them
constexpr int64_t kTileElements = 4096;

int BitsOf(int32_t levels) {
  int bits = 1;
  while ((1 << (bits - 1)) < levels + 1) ++bits;
  return bits;
}

// One thread's whole numbers of a tile; nothing in it outlives a call.
int8_t* Scratch(int64_t room) {
  thread_local std::vector<int8_t> codes;
  if (static_cast<int64_t>(codes.size()) < room) codes.resize(room);
  return codes.data();
}

class LevelCodec : public Codec {
 public:
  explicit LevelCodec(const LevelFormat& format)
      : format_(format),
        bits_(BitsOf(format.levels)),
        // Whole blocks, and whole bytes of whole numbers.
        tile_(8 * format.block * std::max<int64_t>(1, kTileElements / (8 * format.block))) {
    RM_CHECK(format.levels >= 1 && format.levels <= 127);
    RM_CHECK(format.block >= 1 && format.block <= kLevelBlockMost);
  }

  CodecTraits traits() const override { return format_.traits; }
  int64_t MaxEncodedBytes(int64_t count) const override {
    return UnitsBytes(count) + CeilDiv(count * bits_, 8);
  }
  int64_t IndexBytes(const SharedStream& stream, const EncodedLength& encoded) const override {
    return 0;
  }

  int64_t Encode(const CodecStream& stream, absl::Span<const float> in,
                 absl::Span<std::byte> out) const override {
    const int64_t count = CheckedCount(in.size(), out.size());
    const Draws draws(stream.Seed());
    for (int64_t begin = 0; begin < count; begin += tile_)
      EncodeTile(in.subspan(begin, tile_), begin, count, draws, out);
    return MaxEncodedBytes(count);
  }

  int64_t EncodeCorrected(const CodecStream& stream, absl::Span<const float> in,
                          absl::Span<float> residual, absl::Span<std::byte> out) const override {
    RM_CHECK(residual.size() == in.size());
    const int64_t count = CheckedCount(in.size(), out.size());
    const Draws draws(stream.Seed());
    bool is_finite = true;
    for (int64_t begin = 0; begin < count; begin += tile_) {
      const absl::Span<float> left = residual.subspan(begin, tile_);
      Add(in.subspan(begin, tile_), left);
      is_finite = EncodeTile(left, begin, count, draws, out) && is_finite;
      ForBlocks(left, begin, out.data(), [&](absl::Span<float> block, int64_t at, float unit) {
        loops_.add_codes(Scratch(tile_) + at, block.size(), -unit, block.data());
      });
    }
    if (!is_finite) std::fill(residual.begin(), residual.end(), 0.0f);
    return MaxEncodedBytes(count);
  }

  absl::Status Decode(const SharedStream& stream, absl::Span<const std::byte> in,
                      absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.scale_codes);
  }
  absl::Status DecodeAdd(const SharedStream& stream, absl::Span<const std::byte> in,
                         absl::Span<float> out) const override {
    return DecodeWith(in, out, loops_.add_codes);
  }

 private:
  int64_t UnitsBytes(int64_t count) const { return kUnitBytes * CeilDiv(count, format_.block); }

  int64_t CheckedCount(size_t count, size_t room_bytes) const {
    RM_CHECK(count <= static_cast<size_t>(std::numeric_limits<int32_t>::max()));
    RM_CHECK(static_cast<int64_t>(room_bytes) >= MaxEncodedBytes(static_cast<int64_t>(count)));
    return static_cast<int64_t>(count);
  }

  // Calls use(block's elements, place of the first in the tile, unit) for each block of a tile that
  // begins at element `begin`, with units read from the encoding.
  template <class T, class Use>
  void ForBlocks(absl::Span<T> tile, int64_t begin, const std::byte* encoding, Use use) const {
    const int64_t size = static_cast<int64_t>(tile.size());
    for (int64_t at = 0; at < size; at += format_.block) {
      float unit;
      std::memcpy(&unit, encoding + kUnitBytes * ((begin + at) / format_.block), kUnitBytes);
      use(tile.subspan(at, format_.block), at, unit);
    }
  }

  // Of one block.
  struct Scaling {
    float unit = 0;  // what is not finite is the unit too
    // None of the block's elements times it is above the levels.
    float inverse = 0;
  };

  Scaling ScalingOf(absl::Span<const float> block) const {
    const float scale = ScaleOf(block);
    if (!std::isfinite(scale)) return {scale, 0};
    const float levels = static_cast<float>(format_.levels);
    float unit = scale / levels;
    if (unit < std::numeric_limits<float>::min()) return {};
    while (!std::isfinite(unit * levels)) unit = std::nextafter(unit, 0.0f);
    float inverse = 1.0f / unit;
    while (inverse * scale > levels) inverse = FloatBelow(inverse);
    return {unit, inverse};
  }

  // Of a positive float; std::nextafter is a call that takes as long as twenty elements.
  static float FloatBelow(float value) {
    int32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    --bits;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  float ScaleOf(absl::Span<const float> block) const {
    if (format_.by_norm) {
      const double norm = std::sqrt(loops_.sum_of_squares(block.data(), block.size()));
      if (!std::isfinite(norm)) return static_cast<float>(norm);
      return static_cast<float>(std::min<double>(norm, std::numeric_limits<float>::max()));
    }
    const int32_t bits = loops_.largest(block.data(), block.size());
    float largest;
    std::memcpy(&largest, &bits, sizeof(largest));
    return largest;
  }

  // Leaves the tile's whole numbers in Scratch. Whether all of its units are finite.
  bool EncodeTile(absl::Span<const float> tile, int64_t begin, int64_t count, const Draws& draws,
                  absl::Span<std::byte> out) const {
    int8_t* const codes = Scratch(tile_);
    bool is_finite = true;
    for (int64_t at = 0; at < static_cast<int64_t>(tile.size()); at += format_.block) {
      const absl::Span<const float> block = tile.subspan(at, format_.block);
      const Scaling by = ScalingOf(block);
      std::memcpy(out.data() + kUnitBytes * ((begin + at) / format_.block), &by.unit, kUnitBytes);
      if (!std::isfinite(by.unit) || by.unit == 0) {
        std::memset(codes + at, 0, block.size());
        is_finite = is_finite && by.unit == 0;
      } else if (format_.random) {
        loops_.round_random(block.data(), block.size(), by.inverse,
                            {draws, static_cast<uint32_t>(begin + at)}, codes + at);
      } else {
        loops_.round_nearest(block.data(), block.size(), by.inverse, codes + at);
      }
    }
    loops_.pack(codes, tile.size(), bits_, BytesAt(out.data(), begin, count));
    return is_finite;
  }

  // Where the whole numbers of the elements from `begin` on lie.
  uint8_t* BytesAt(std::byte* encoding, int64_t begin, int64_t count) const {
    return reinterpret_cast<uint8_t*>(encoding) + UnitsBytes(count) + begin / 8 * bits_;
  }

  absl::Status CheckUnit(int64_t block, float unit) const {
    // Written so that a NaN is refused.
    if ((unit >= std::numeric_limits<float>::min() &&
         std::isfinite(unit * static_cast<float>(format_.levels))) ||
        (unit == 0 && !std::signbit(unit))) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("codec \"", format_.name, "\": the unit of block ", block, " is ", unit,
                     ", expected 0 or a normal number whose ", format_.levels, "-fold is finite"));
  }

  absl::Status CheckEncoding(absl::Span<const std::byte> in, int64_t count) const {
    if (static_cast<int64_t>(in.size()) != MaxEncodedBytes(count)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "codec \"", format_.name, "\": ", in.size(), " bytes, expected ", MaxEncodedBytes(count),
          " for ", count, " floats in blocks of ", format_.block));
    }
    for (int64_t block = 0; block < CeilDiv(count, format_.block); ++block) {
      float unit;
      std::memcpy(&unit, in.data() + kUnitBytes * block, kUnitBytes);
      RM_RETURN_IF_ERROR(CheckUnit(block, unit));
    }
    const int used = static_cast<int>(count * bits_ % 8);
    if (used != 0 && std::to_integer<int>(in.back()) >> used != 0) {
      return absl::InvalidArgumentError(absl::StrCat("codec \"", format_.name,
                                                     "\": the last byte has bits beyond the ",
                                                     count, " floats, expected zeros"));
    }
    return absl::OkStatus();
  }

  template <class Loop>
  absl::Status DecodeWith(absl::Span<const std::byte> in, absl::Span<float> out, Loop loop) const {
    const int64_t count = static_cast<int64_t>(out.size());
    RM_RETURN_IF_ERROR(CheckEncoding(in, count));
    int8_t* const codes = Scratch(tile_);
    for (int64_t begin = 0; begin < count; begin += tile_) {
      const absl::Span<float> tile = out.subspan(begin, tile_);
      const uint8_t* const bytes =
          reinterpret_cast<const uint8_t*>(in.data()) + UnitsBytes(count) + begin / 8 * bits_;
      const CodeRange range = loops_.unpack(bytes, tile.size(), bits_, codes);
      if (range.least < -format_.levels || range.largest > format_.levels) {
        return absl::InvalidArgumentError(
            absl::StrCat("codec \"", format_.name, "\": whole numbers of ", range.least, " to ",
                         range.largest, " among elements ", begin, " to ", begin + tile.size() - 1,
                         ", expected at most ", format_.levels));
      }
      bool is_written = true;
      ForBlocks(tile, begin, in.data(), [&](absl::Span<float> block, int64_t at, float unit) {
        if (unit == 0) is_written = is_written && AllZero(codes + at, block.size());
        loop(codes + at, block.size(), unit, block.data());
      });
      if (!is_written) {
        return absl::InvalidArgumentError(
            absl::StrCat("codec \"", format_.name,
                         "\": a block whose unit is 0 has other whole numbers than 0 among "
                         "elements ",
                         begin, " to ", begin + tile.size() - 1));
      }
    }
    return absl::OkStatus();
  }

  static bool AllZero(const int8_t* codes, size_t n) {
    return std::all_of(codes, codes + n, [](int8_t code) { return code == 0; });
  }

  const LevelFormat format_;
  const int bits_;
  const int64_t tile_;
  const LevelLoops& loops_ = BestLevelLoops();
};

}  // namespace

std::unique_ptr<Codec> CreateLevelCodec(const LevelFormat& format) {
  return std::make_unique<LevelCodec>(format);
}

}  // namespace ringmaster
