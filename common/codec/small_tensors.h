#ifndef RINGMASTER_COMMON_CODEC_SMALL_TENSORS_H_
#define RINGMASTER_COMMON_CODEC_SMALL_TENSORS_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"

namespace ringmaster {

// The codec of a run: that of CreateCodec(spec); with spec.min_tensor_elements, elements of tensors
// of fewer elements go as floats. An encoding of a slice is then the floats of these, in their
// order, and behind them the codec's encoding of the others, as if they lay side by side; either
// may be missing. Both ends know which are which from the slice.
//   parts: into how many a bucket is cut, each a slice: K servers, or 1.
// InvalidArgument: as CreateCodec; or small tensors of a codec that is summed on the wire or has a
// memory of its own. Thread-safe, as all codecs.
absl::StatusOr<std::unique_ptr<Codec>> CreateCodecOf(const CodecSpec& spec,
                                                     const ParamLayout& layout, int32_t parts);

// Of `slice`, a range of the arena: how many elements go as floats because their tensors are small.
// Pure, thread-safe.
int64_t SmallTensorElements(const CodecSpec& spec, const ParamLayout& layout, const Range& slice);

// The most bytes of one encoding of `slice`, a range of the arena, in each of the first `steps`
// steps, all together: by a codec of CreateCodecOf(spec, layout, ...), of which `codec`, that of
// CreateCodec(spec), is a part. Its lengths are these wherever those of `codec` are fixed.
int64_t MaxBytesOfSlice(const CodecSpec& spec, const Codec& codec, const ParamLayout& layout,
                        const Range& slice, int64_t steps);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SMALL_TENSORS_H_
