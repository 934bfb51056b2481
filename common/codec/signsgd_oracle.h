#ifndef RINGMASTER_COMMON_CODEC_SIGNSGD_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_SIGNSGD_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "signsgd" promises: the signs.
extern const CodecOracle kSignsgdOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SIGNSGD_ORACLE_H_
