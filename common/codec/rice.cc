#include "common/codec/rice.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"

namespace ringmaster {
namespace {

class BitWriter {
 public:
  explicit BitWriter(absl::Span<std::byte> out) : out_(out) {}

  // The `count` low bits of `bits`, at most 32.
  void Write(uint64_t bits, int count) {
    word_ |= bits << used_;
    used_ += count;
    for (; used_ >= 8; used_ -= 8, word_ >>= 8) Put();
  }
  void WriteOnes(int64_t count) {
    for (; count >= 32; count -= 32) Write(0xFFFFFFFFu, 32);
    Write((uint64_t{1} << count) - 1, static_cast<int>(count));
  }
  int64_t Finish() {
    if (used_ > 0) Put();
    return static_cast<int64_t>(size_);
  }

 private:
  void Put() {
    RM_CHECK(size_ < out_.size());
    out_[size_++] = static_cast<std::byte>(word_ & 0xFF);
  }

  const absl::Span<std::byte> out_;
  size_t size_ = 0;
  uint64_t word_ = 0;
  int used_ = 0;  // bits of word_, below 8 between calls
};

// Past its end it reads zeros, which end every run; `position` tells.
class BitReader {
 public:
  explicit BitReader(absl::Span<const std::byte> in) : in_(in) {}

  // At most 31 bits.
  uint32_t Read(int count) {
    Fill(count);
    const auto bits = static_cast<uint32_t>(word_ & ((uint64_t{1} << count) - 1));
    Skip(count);
    return bits;
  }
  // The ones before the next zero, which is read too; more than `most` are `most` and one.
  int64_t ReadOnes(int64_t most) {
    int64_t ones = 0;
    while (true) {
      Fill(1);
      const int run = ~word_ == 0 ? 64 : __builtin_ctzll(~word_);
      const int here = run < filled_ ? run : filled_;
      ones += here;
      Skip(here);
      if (ones > most) return most + 1;
      if (filled_ == 0) continue;
      Skip(1);
      return ones;
    }
  }
  int64_t position() const { return position_; }  // bits read
  // Whether all that is left is less than a byte of zeros.
  bool IsAtEnd() const {
    const int64_t size = 8 * static_cast<int64_t>(in_.size());
    return position_ <= size && size - position_ < 8 && word_ == 0;
  }

 private:
  void Fill(int count) {
    while (filled_ < count) {
      const uint64_t byte = next_ < in_.size() ? static_cast<uint8_t>(in_[next_]) : 0;
      ++next_;
      word_ |= byte << filled_;
      filled_ += 8;
    }
  }
  void Skip(int count) {
    word_ >>= count;
    filled_ -= count;
    position_ += count;
  }

  const absl::Span<const std::byte> in_;
  size_t next_ = 0;
  uint64_t word_ = 0;
  int filled_ = 0;  // bits of word_
  int64_t position_ = 0;
};

}  // namespace

int RiceParameter(int64_t count, int64_t kept) {
  RM_CHECK(kept > 0 && kept <= count && count <= std::numeric_limits<int32_t>::max());
  // b = 1 + floor(log2(ln(golden ratio) * (mean + 1/2))) with mean = (count - kept) / kept, in
  // integers: the same on every machine.
  constexpr int64_t kLog = 4812, kUnit = 10000;
  int b = 0;
  while ((kept << (b + 1)) * kUnit <= kLog * (2 * count - kept)) ++b;
  return b;
}

int64_t MaxRiceBytes(int64_t count, int64_t kept) {
  if (kept == 0) return 0;
  const int b = RiceParameter(count, kept);
  // Gaps add up to count - kept at most, and so do their quotients.
  return CeilDiv(kept * (b + 1) + ((count - kept) >> b), 8);
}

int64_t EncodeRice(int64_t count, absl::Span<const int32_t> indices, absl::Span<std::byte> out) {
  if (indices.empty()) return 0;
  const int b = RiceParameter(count, static_cast<int64_t>(indices.size()));
  BitWriter writer(out);
  int64_t previous = -1;
  for (const int32_t index : indices) {
    const int64_t gap = index - previous - 1;
    RM_CHECK(gap >= 0 && index < count);
    writer.WriteOnes(gap >> b);
    writer.Write(static_cast<uint64_t>(gap & ((int64_t{1} << b) - 1)) << 1, b + 1);
    previous = index;
  }
  return writer.Finish();
}

absl::Status DecodeRice(int64_t count, absl::Span<const std::byte> in,
                        absl::Span<int32_t> indices) {
  if (indices.empty() && in.empty()) return absl::OkStatus();
  if (indices.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(in.size(), " bytes of indices, expected none"));
  }
  const int b = RiceParameter(count, static_cast<int64_t>(indices.size()));
  BitReader reader(in);
  int64_t previous = -1;
  for (size_t i = 0; i < indices.size(); ++i) {
    const int64_t quotient = reader.ReadOnes((count - 1) >> b);
    const int64_t index = previous + 1 + (quotient << b) + reader.Read(b);
    if (index >= count || reader.position() > 8 * static_cast<int64_t>(in.size())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "index ", i, " of ", indices.size(), " in ", in.size(),
          " bytes of Rice codes comes out as ", index, ", expected one below ", count));
    }
    indices[i] = static_cast<int32_t>(index);
    previous = index;
  }
  if (reader.IsAtEnd()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(indices.size(), " indices take ", reader.position(), " bits, and there are ",
                   in.size(), " bytes, or bits behind them that are not 0"));
}

}  // namespace ringmaster
