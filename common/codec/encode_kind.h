#ifndef RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_
#define RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_

namespace ringmaster {

// The encodings for which devices have kernels (common/codec/blocks). Each has as many bytes as the
// codec's MaxEncodedBytes says, so that their places are known before any is made.
enum class EncodeKind { kFp16, kOnebit, kTopk };

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ENCODE_KIND_H_
