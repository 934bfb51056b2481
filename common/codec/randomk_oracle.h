#ifndef RINGMASTER_COMMON_CODEC_RANDOMK_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_RANDOMK_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "randomk" promises: k elements times count / k, or as they are with error feedback, and 0
// for all others; a variance of (count / k - 1) |x|^2.
extern const CodecOracle kRandomkOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_RANDOMK_ORACLE_H_
