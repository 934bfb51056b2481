#ifndef RINGMASTER_COMMON_CODEC_QSGD_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_QSGD_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "qsgd" promises: one of the two neighbouring multiples of the unit, and the variance.
extern const CodecOracle kQsgdOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_QSGD_ORACLE_H_
