#ifndef RINGMASTER_TESTS_CLUSTER_BLOCKS_H_
#define RINGMASTER_TESTS_CLUSTER_BLOCKS_H_

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace ringmaster {

// What one block of runs has measured, by a name of the test's own, such as "ring 16".
using Measured = std::map<std::string, double>;

// A ratio of measured times, above 0, that a test expects between two bounds. `expected` is what a
// formula says; a bound stands between it and what the opposite of the claim would give.
struct Claim {
  std::string what;
  double expected = 1;
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  std::function<double(const Measured&)> ratio;  // of one block
};

enum class Verdict { kHolds, kIsBroken, kOpen };

// Whether `ratios`, one a block, settle the claim, so that one disturbed block settles nothing:
//   one block whose ratio is nearer to `expected` than to either bound: it holds;
//   three or more that agree: they decide;
//   else the median of kBlocksMost does, as soon as it is known on which side that is.
inline constexpr int kBlocksMost = 7;
Verdict Judge(const Claim& claim, const std::vector<double>& ratios);

// Measures blocks until every claim is settled, and fails for each that is broken, with the ratios
// of all blocks. A block in which a run failed lacks a time: the test fails at once.
void ExpectInBlocks(const std::vector<Claim>& claims, const std::function<Measured()>& block);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_BLOCKS_H_
