#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_VERIFY_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/proof/verify/codec_check.h"
#include "experiments/proof/verify/consistency_check.h"
#include "experiments/proof/verify/replay.h"
#include "proto/record.pb.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// One line of the table.
struct CheckResult {
  std::string topic;  // "trajectory", "data", "start", "bytes", "consistency", "codecs"
  std::string what;   // the claim
  bool passed = false;
  std::string figure;  // what was found: of a failed check, what is wrong
  double seconds = 0;  // of the runs made for it and the check itself
};

struct VerifyOptions {
  std::string data_dir;  // the folder with MNIST; without it synthetic samples of its size stand in
  std::string fetch_advice;     // behind what is said where a file of it is missing
  std::string kernels = "cpu";  // of the two-worker runs
  uint64_t seed = 1;
  // Runs one resolved spec; usually RunArm.
  std::function<RunRecord(const RunSpec&)> run;
  // True: stop before the next run or check.
  std::function<bool()> interrupted;
  // The checks that make no runs of their own.
  std::function<absl::StatusOr<std::string>(uint64_t seed, int64_t schedules)> check_consistency =
      CheckConsistency;
  std::function<absl::StatusOr<std::string>(uint64_t seed, int64_t effort)> check_codecs =
      CheckCodecs;
  // Plays a run that updates on arrival again from its log.
  std::function<absl::StatusOr<std::vector<std::string>>(const RunRecord&)> replay = Replay;
};

struct VerifyOutcome {
  std::string data;  // what the two-worker runs trained on: "mnist", or "synthetic" and why
  bool real_data = false;
  std::vector<CheckResult> checks;  // those made before an interruption
  int runs = 0;
  bool passed() const;  // every check, and there is one
};

// Proves on this machine that only the strategy varies between arms: runs the specs of
// experiments/proof/verify/plan.h and judges their records. Every check is made whatever the others
// say.
VerifyOutcome Verify(const VerifyOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_VERIFY_H_
