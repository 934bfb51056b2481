#ifndef RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_

#include "common/codec/oracle.h"

namespace ringmaster {

// What "topk" promises: exactly the k largest, the lower index on ties, and so |x - C(x)|^2 <= (1 -
// k/d) |x|^2.
extern const CodecOracle kTopkOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TOPK_ORACLE_H_
