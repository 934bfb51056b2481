#ifndef RINGMASTER_COMMON_CODEC_LOW_RANK_ORTHOGONALIZE_H_
#define RINGMASTER_COMMON_CODEC_LOW_RANK_ORTHOGONALIZE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

// A vector of which less than this share is left, once what lies along the vectors before it has
// been taken off, is rounding noise: float sums of thousands of terms are off by about 1e-7.
inline constexpr double kDependentShare = 1e-6;

// Makes the vectors, `length` elements each, one after the other in `vectors`, orthonormal, in
// their order, by Gram and Schmidt. A vector that depends on those before it, and one of zeros,
// becomes zeros; the others have norm 1 up to a float's rounding. Each is projected twice, in
// double precision: once is not enough where little is left of it. The same input gives the same
// bits on every machine. `scratch` is the caller's, to be used again: it grows to `length`.
// REQUIRES: length > 0 divides vectors.size(); all are finite. Source: Golub and Van Loan, Matrix
// Computations, section 5.2; Giraud et al. 2005 for the second time.
void Orthogonalize(int64_t length, absl::Span<float> vectors, std::vector<double>* scratch);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOW_RANK_ORTHOGONALIZE_H_
