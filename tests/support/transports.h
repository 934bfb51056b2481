#ifndef RINGMASTER_TESTS_SUPPORT_TRANSPORTS_H_
#define RINGMASTER_TESTS_SUPPORT_TRANSPORTS_H_

#include <string>
#include <vector>

namespace ringmaster {

// Names of transports, from the registry. All but "auto", which chooses one of the others.
std::vector<std::string> AllTransports();
// Those of them by which processes are joined.
std::vector<std::string> ProcessTransports();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_TRANSPORTS_H_
