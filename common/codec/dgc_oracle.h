#ifndef RINGMASTER_COMMON_CODEC_DGC_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_DGC_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "dgc" promises of its encodings: exactly the k largest, of a density that falls over
// the ramp.
extern const CodecOracle kDgcOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_DGC_ORACLE_H_
