#ifndef RINGMASTER_COMMON_CODEC_FP16_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_FP16_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "fp16" promises: a relative error of 2^-11, an absolute one of 2^-25 below 2^-14, the
// largest half beyond the range.
extern const CodecOracle kFp16Oracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_FP16_ORACLE_H_
