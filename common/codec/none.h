#ifndef RINGMASTER_COMMON_CODEC_NONE_H_
#define RINGMASTER_COMMON_CODEC_NONE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/codec/codec.h"

namespace ringmaster {

class CodecSpec;

// The floats themselves: 4 * count bytes. Exact.
inline constexpr CodecTraits kNoneTraits = {/*exact=*/true, /*unbiased=*/true,
                                            /*index_bearing=*/false, ElementType::kFloat32};

// The codec "none"; takes no setting.
absl::StatusOr<std::unique_ptr<Codec>> CreateNone(const CodecSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_NONE_H_
