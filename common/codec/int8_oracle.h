#ifndef RINGMASTER_COMMON_CODEC_INT8_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_INT8_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "int8" promises: a 254th of the block's largest magnitude.
extern const CodecOracle kInt8Oracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_INT8_ORACLE_H_
