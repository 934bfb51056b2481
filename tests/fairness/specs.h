#ifndef RINGMASTER_TESTS_FAIRNESS_SPECS_H_
#define RINGMASTER_TESTS_FAIRNESS_SPECS_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "experiments/proof/verify/plan.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The small model and data of `ringmaster verify` for any number of workers: the resolved spec of
// its single run.
inline RunSpec SmallSpec(int32_t workers, bool exact_sums) {
  const auto specs = exact_sums ? ExactSumRuns(workers, 1) : RoundedSumRuns(workers, 1);
  EXPECT_TRUE(specs.ok()) << specs.status();
  return specs->front();
}

// `base` with the arm's strategy and codec, resolved.
inline RunSpec ArmOf(const std::string& arm, const RunSpec& base) {
  auto spec = MakeArm(arm, base);
  EXPECT_TRUE(spec.ok()) << spec.status();
  spec->set_name(absl::StrCat(arm, " N=", base.training().workers()));
  const auto resolved = Resolve(*spec, {});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

// "N3", for the names of parameterized tests.
inline std::string WorkersName(const testing::TestParamInfo<int32_t>& info) {
  return absl::StrCat("N", info.param);
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_FAIRNESS_SPECS_H_
