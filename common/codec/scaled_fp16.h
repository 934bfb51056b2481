#ifndef RINGMASTER_COMMON_CODEC_SCALED_FP16_H_
#define RINGMASTER_COMMON_CODEC_SCALED_FP16_H_

#include <memory>

#include "common/codec/codec.h"

namespace ringmaster {

// Halves with a scale of their own: the power of two that brings the largest magnitude of an
// encoding to 2^14 or more and below 2^15, but at most 2^126, as a float32; then every element
// times the scale as a half, rounded to nearest even, of at most 32752 (the largest below 2^15): 4
// + 2 * count bytes. Relative error at most 2^-11 for magnitudes above 2^-28 of the largest,
// absolute error at most 2^-25 over the scale below: nothing leaves the range, however small or
// large a gradient is. Encodings of unlike scales cannot be added, so they are gathered. For the
// codec "fp16" with spec.auto_scale. Source: Micikevicius et al. 2018, section 3.2, with a scale
// for each encoding where the paper has one for the loss.
std::unique_ptr<Codec> CreateScaledFp16(const CodecTraits& traits);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SCALED_FP16_H_
