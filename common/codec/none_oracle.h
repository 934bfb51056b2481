#ifndef RINGMASTER_COMMON_CODEC_NONE_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_NONE_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "none" promises: every bit.
extern const CodecOracle kNoneOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_NONE_ORACLE_H_
