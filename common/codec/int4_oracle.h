#ifndef RINGMASTER_COMMON_CODEC_INT4_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_INT4_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "int4" promises: a 14th of the block's largest magnitude.
extern const CodecOracle kInt4Oracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_INT4_ORACLE_H_
