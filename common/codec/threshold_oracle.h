#ifndef RINGMASTER_COMMON_CODEC_THRESHOLD_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_THRESHOLD_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "threshold" promises: every element at or above the threshold as it is, 0 for all others.
// The size that it says is the limit.
extern const CodecOracle kThresholdOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_THRESHOLD_ORACLE_H_
