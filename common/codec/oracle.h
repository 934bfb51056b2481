#ifndef RINGMASTER_COMMON_CODEC_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_ORACLE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

class CodecSpec;

// The size of an encoding.
struct EncodedSize {
  int64_t bytes = 0;
  int64_t index_bytes = 0;  // of these
};

// What a codec promises, worked out from its definition in plain loops and double precision, for
// tests, benchmarks and `ringmaster verify`. An oracle shares no code with the codec that it judges
// and never calls it. Pure, thread-safe.
struct CodecOracle {
  // Of the encoding of `count` floats under the resolved `spec`; where encodings have no fixed
  // size, the most.
  EncodedSize (*size)(const CodecSpec& spec, int64_t count);
  // Bytes of each element under the resolved `spec`, where encodings are summed on the wire element
  // by element; 0 where they are gathered. Null: they are always gathered.
  int64_t (*summed_element_bytes)(const CodecSpec& spec);
  // FailedPrecondition unless `out`, decoded of an encoding of `in` of `encoded_bytes` under the
  // resolved `spec`, keeps the codec's bound: names the element or the figures. Both have one size
  // and are finite.
  absl::Status (*check_bound)(const CodecSpec& spec, absl::Span<const float> in,
                              absl::Span<const float> out, int64_t encoded_bytes);
  // Whether x comes back to the bit when what its encoding leaves out is added, under the resolved
  // `spec`.
  bool (*restores_bits)(const CodecSpec& spec, float x);
  // DataLoss unless `decoded` is exactly what the definition makes of `in` under the resolved
  // `spec`, element by element: names the first that is not. Of a codec that draws: unless every
  // element is one of the values that it may become. Both have one size, at least 1; none of `in`
  // is 0. `kept`: the elements that an index-bearing encoding has.
  absl::Status (*check_definition)(const CodecSpec& spec, absl::Span<const float> in,
                                   absl::Span<const float> decoded, int64_t kept);
  // A bound of the variance: E |C(in) - in|^2 over all draws. Null where the codec is biased or
  // exact.
  double (*variance_bound)(const CodecSpec& spec, absl::Span<const float> in) = nullptr;
  // Where the size depends on the step (CodecTraits::fixed_size): of an encoding in `step`; `size`
  // is then that of the largest. Null: it does not.
  EncodedSize (*size_in)(const CodecSpec& spec, int64_t step, int64_t count) = nullptr;
};

// For those who write oracles.

// The DataLoss of check_definition.
absl::Status DecodedWrong(const char* codec, size_t index, float in, float decoded,
                          const std::string& expected);

// Sums of squares, in double precision, and what they may be off by, relative to the sum.
inline constexpr double kEnergyError = 1e-12;
double Energy(absl::Span<const float> values);
double ResidualEnergy(absl::Span<const float> in, absl::Span<const float> out);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ORACLE_H_
