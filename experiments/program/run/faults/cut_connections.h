#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_CUT_CONNECTIONS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_CUT_CONNECTIONS_H_

#include "absl/status/status.h"

namespace ringmaster {

// Ends all IP connections of this process, in both directions (shutdown(2)), but those to a port
// `kept_port`. Their owners still have the descriptors, and find out like their peers: a read meets
// the end, a write fails. What listens goes on. NotFound: there was none to end. Any thread.
absl::Status CutConnections(int kept_port);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_CUT_CONNECTIONS_H_
