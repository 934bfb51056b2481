#ifndef RINGMASTER_COMMON_CODEC_POWERSGD_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_POWERSGD_ORACLE_H_

#include "common/codec/reducer.h"

namespace ringmaster {

// For "powersgd" (powersgd.h).
extern const ReducerOracle kPowersgdOracle;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_POWERSGD_ORACLE_H_
