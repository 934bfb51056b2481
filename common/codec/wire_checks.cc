#include "common/codec/wire_checks.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace ringmaster {

absl::Status CheckEncodedBytes(const char* codec, int64_t bytes, int64_t expected, int64_t count) {
  if (bytes == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "codec \"", codec, "\": ", bytes, " bytes, expected ", expected, " for ", count, " floats"));
}

absl::Status CheckNoSignsBeyond(const char* codec, absl::Span<const std::byte> signs,
                                int64_t count) {
  if (count % 8 == 0 || std::to_integer<int>(signs.back()) >> (count % 8) == 0)
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("codec \"", codec,
                                                 "\": the last byte has signs beyond the ", count,
                                                 " floats, expected zeros"));
}

absl::Status NotFiniteWord(const char* codec, absl::Span<const std::byte> words, uint16_t exponent,
                           const char* range) {
  const size_t count = words.size() / 2;
  size_t index = 0;
  for (; index < count; ++index) {
    uint16_t word;
    std::memcpy(&word, words.data() + 2 * index, sizeof(word));
    if ((word & exponent) == exponent) break;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "codec \"", codec, "\": value ", index, " of ", count,
      " is not finite: the gradient, or its sum over the workers, left the range of ", range));
}

}  // namespace ringmaster
