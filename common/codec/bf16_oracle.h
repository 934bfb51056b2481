#ifndef RINGMASTER_COMMON_CODEC_BF16_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_BF16_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "bf16" promises: a relative error of 2^-8, an absolute one of 2^-134 below 2^-126.
extern const CodecOracle kBf16Oracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BF16_ORACLE_H_
