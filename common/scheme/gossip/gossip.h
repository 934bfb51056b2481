#ifndef RINGMASTER_COMMON_SCHEME_GOSSIP_GOSSIP_H_
#define RINGMASTER_COMMON_SCHEME_GOSSIP_GOSSIP_H_

#include "common/scheme/scheme.h"

namespace ringmaster {

// Every worker updates its own weights and averages them with those of some others. Sources: Lian
// et al. 2017 (D-PSGD), algorithm 1; Assran et al. 2019; Ying et al. 2021 (one-peer exponential
// graph).
extern const Scheme kGossipScheme;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_GOSSIP_GOSSIP_H_
