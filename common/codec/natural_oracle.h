#ifndef RINGMASTER_COMMON_CODEC_NATURAL_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_NATURAL_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "natural" promises: one of the two powers of two beside, and a variance of an eighth.
extern const CodecOracle kNaturalOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_NATURAL_ORACLE_H_
