#ifndef RINGMASTER_COMMON_SCHEME_PARAMETER_SERVER_PARAMETER_SERVER_H_
#define RINGMASTER_COMMON_SCHEME_PARAMETER_SERVER_PARAMETER_SERVER_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Servers hold the weights: BSP, SSP and asynchronous, dedicated or beside the workers.
extern const Scheme kParameterServerScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_PARAMETER_SERVER_PARAMETER_SERVER_H_
