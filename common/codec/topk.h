#ifndef RINGMASTER_COMMON_CODEC_TOPK_H_
#define RINGMASTER_COMMON_CODEC_TOPK_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/codec/codec.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Keeps the k largest |in[i]|, k = max(1, ceil(density * count)) but at most count, exactly as they
// are; writes (index: int32, value: float32) pairs, index ascending: 8 * k bytes. Equal magnitudes:
// the lower index wins, so replicas agree. |x - C(x)|^2 <= (1 - k/count) |x|^2. Biased: pair with
// ErrorFeedback, to which nothing is lost: Decode(Encode(x)) + residual == x to the bit. count up
// to 2^31 - 1. Source: Stich et al. 2018, section 2.
inline constexpr CodecTraits kTopkTraits = {
    /*exact=*/false, /*unbiased=*/false,           /*index_bearing=*/true,
    std::nullopt,    /*feedback_by_default=*/true, EncodeKind::kTopk};
inline constexpr CodecOption kTopkOptions[] = {{"density", &CodecSpec::has_density,
                                                &CodecSpec::density, &CodecSpec::set_density,
                                                /*default_value=*/0.01, /*above=*/0,
                                                /*most=*/1, "the share of elements that is sent"}};

// The codec "topk" with spec.density. InvalidArgument: density missing or outside (0, 1].
absl::StatusOr<std::unique_ptr<Codec>> CreateTopk(const CodecSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TOPK_H_
