#ifndef RINGMASTER_COMMON_CODEC_TOPK_COLUMNS_H_
#define RINGMASTER_COMMON_CODEC_TOPK_COLUMNS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// How the codec "topk" writes k indices and k values apart from each other: first all values, then
// all indices.
struct TopkColumns {
  // Indices as Rice codes (rice.h), so that the length depends on them; else int32 each.
  bool rice_indices = false;
  // Of each value its sign and one of two magnitudes. With m the mean of all magnitudes, `low` is
  // the mean of those up to m and `high` of those above it; where all are on one side, both are
  // that side's. float32 low, float32 high, then for value j bits 2 (j % 4) of byte j / 4: 1 is
  // negative, 2 is high. Else float32 each.
  bool two_bit_values = false;
};

// Bytes that `kept` values take; the most that `kept` of `count` indices take.
int64_t ValueBytes(const TopkColumns& columns, int64_t kept);
int64_t MaxIndexBytes(const TopkColumns& columns, int64_t count, int64_t kept);

// What was chosen of `count` elements: indices, ascending, and beside each its value. For Read they
// are what to write.
struct TopkChosen {
  int64_t count = 0;
  absl::Span<int32_t> indices;
  absl::Span<float> values;
};

// Writes them; returns bytes used. Changes the values to those that Read gives back. Values that
// are not finite are passed on.
//   out: at least ValueBytes + MaxIndexBytes.
int64_t WriteColumns(const TopkColumns& columns, const TopkChosen& chosen,
                     absl::Span<std::byte> out);

// Reads what WriteColumns wrote of a choice of this size. InvalidArgument: a length or bits that
// it does not write; `chosen` is then unspecified. Indices come back ascending and below count,
// values finite. Pure, thread-safe.
absl::Status ReadColumns(const TopkColumns& columns, absl::Span<const std::byte> in,
                         const TopkChosen& chosen);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TOPK_COLUMNS_H_
