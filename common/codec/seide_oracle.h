#ifndef RINGMASTER_COMMON_CODEC_SEIDE_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_SEIDE_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "seide" promises: the two means.
extern const CodecOracle kSeideOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SEIDE_ORACLE_H_
