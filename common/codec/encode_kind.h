#ifndef RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_
#define RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_

namespace ringmaster {

// The encodings for which devices have kernels (common/codec/blocks). Each has as many bytes as the
// codec's MaxEncodedBytes says, so that their places are known before any is made.
enum class EncodeKind { kFp16, kBf16, kInt8, kInt4, kOnebit, kTopk };

// Whether its elements share units in blocks (common/codec/level_codec.h).
inline bool HasLevels(EncodeKind kind) {
  return kind == EncodeKind::kInt8 || kind == EncodeKind::kInt4;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_
