#ifndef RINGMASTER_COMMON_CODEC_ONEBIT_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_ONEBIT_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "onebit" promises: the signs, and a residual of energy |x|^2 - l1^2/d.
extern const CodecOracle kOnebitOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ONEBIT_ORACLE_H_
