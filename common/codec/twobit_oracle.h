#ifndef RINGMASTER_COMMON_CODEC_TWOBIT_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_TWOBIT_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "twobit" promises: the threshold with the element's sign, or 0 below it.
extern const CodecOracle kTwobitOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TWOBIT_ORACLE_H_
