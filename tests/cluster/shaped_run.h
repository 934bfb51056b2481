#ifndef RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_

#include <map>
#include <string>
#include <vector>

namespace ringmaster {

// Bytes of lenet's weights, which the runs below exchange.
inline constexpr double kLenetBytes = 4.0 * 431080;

// Median step of each arm, in milliseconds, of `ringmaster compare` on lenet; `more` comes last,
// and says with --emulate that nothing is computed. A run that fails is a failure of the test, and
// has no entry.
std::map<std::string, double> MedianSteps(const std::string& arms,
                                          const std::vector<std::string>& more);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_
