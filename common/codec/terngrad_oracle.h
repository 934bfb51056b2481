#ifndef RINGMASTER_COMMON_CODEC_TERNGRAD_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_TERNGRAD_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "terngrad" promises: 0 or the largest magnitude, and the variance.
extern const CodecOracle kTerngradOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TERNGRAD_ORACLE_H_
