#ifndef RINGMASTER_COMMON_CONFIG_CHECK_CODEC_OPTIONS_H_
#define RINGMASTER_COMMON_CONFIG_CHECK_CODEC_OPTIONS_H_

#include "absl/strings/string_view.h"
#include "common/base/problems.h"
#include "common/codec/codec.h"

namespace ringmaster {

class CodecSpec;

// Adds what is wrong with the options of `codec`, the resolved spec's field `field`, as far as the
// registry says it: of another codec, or out of range. `info`: of the codec's name. Pure.
void CheckCodecOptions(absl::string_view field, const CodecSpec& codec, const CodecInfo& info,
                       Problems* problems);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_CHECK_CODEC_OPTIONS_H_
