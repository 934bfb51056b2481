#ifndef RINGMASTER_COMMON_SCHEME_ELASTIC_ELASTIC_H_
#define RINGMASTER_COMMON_SCHEME_ELASTIC_ELASTIC_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Every worker updates its own weights, and every few steps they and a center attract each other.
// Source: Zhang, Choromanska, LeCun 2015, "Deep learning with elastic averaging SGD", section 3.
extern const Scheme kElasticScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_ELASTIC_ELASTIC_H_
