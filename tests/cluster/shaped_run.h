#ifndef RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ringmaster {

// Bytes of lenet's weights, which the runs below exchange.
inline constexpr double kLenetBytes = 4.0 * 431080;

// The entries in `--json` of the runs of `ringmaster compare` or `simulate` on lenet, by arm;
// `more` comes last, and says with --emulate that a `compare` computes nothing. A run that fails is
// a failure of the test, and has no entry.
std::map<std::string, nlohmann::json> ShapedRuns(const std::string& command,
                                                 const std::string& arms,
                                                 const std::vector<std::string>& more);

// Median step of each arm, in milliseconds, of such a `compare`.
std::map<std::string, double> MedianSteps(const std::string& arms,
                                          const std::vector<std::string>& more);

// The share of all cores' time that a run's timed steps used, from its record or its entry in
// `--json`, over what other programs and other virtual machines left of them. 1: all.
double CoresUsed(const nlohmann::json& run);

// How much slower than it is meant a setting is played: all that is emulated (a batch's time, a
// byte's time, the network's latency) lasts `pace` times as long. Ratios of steps stay what they
// are by the formulae, and the cores, which messages use, have time to spare.
//
// A pace is found by the machine's speed: `play(pace)` runs the setting and returns the CoresUsed;
// while that is above kCoresUsedMost the pace is doubled, up to kPaceMost, where a machine is busy
// with so much else that no pace helps. `*pace` is where the search begins, 1 or what an earlier
// one found, and where it has ended: at the last pace played.
inline constexpr double kCoresUsedMost =
    0.35;  // half of the 0.7 above which threads wait for cores
inline constexpr double kPaceMost = 8;
void PlayAtAPace(double* pace, const std::function<double(double pace)>& play);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_SHAPED_RUN_H_
