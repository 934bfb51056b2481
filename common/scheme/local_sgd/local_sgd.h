#ifndef RINGMASTER_COMMON_SCHEME_LOCAL_SGD_LOCAL_SGD_H_
#define RINGMASTER_COMMON_SCHEME_LOCAL_SGD_LOCAL_SGD_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Every worker updates its own weights, and every H steps all take their average, or what an outer
// optimizer makes of it. Sources: Stich 2019, "Local SGD converges fast and communicates little",
// algorithm 1; Douillard et al. 2023, "DiLoCo", algorithm 1.
extern const Scheme kLocalSgdScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_LOCAL_SGD_LOCAL_SGD_H_
