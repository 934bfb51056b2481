#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_COMPUTE_TEXT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_COMPUTE_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/compute_times.pb.h"

namespace ringmaster {

// How long a simulated worker computes in a step, as a user says it.
struct StepCompute {
  absl::Duration mean;  // where no source says it
  // "measured": of a worker alone on this machine. Else the path of a file of ComputeTimes. Empty:
  // `mean` is said.
  std::string source;
  double sigma = 0;  // of the logarithm, where steps are lognormal; 0: all are equal

  // How many times the mean worker `rank` computes in `step`. Its mean is 1. Pure: drawn by `seed`.
  double Stretch(uint64_t seed, int32_t rank, int64_t step) const;
};

// "20ms", "measured", "times.textproto", or one of them in "lognormal(20ms,0.3)": the mean, and the
// deviation of its logarithm. InvalidArgument says what was expected.
absl::StatusOr<StepCompute> ParseStepCompute(absl::string_view text);

inline constexpr char kMeasuredSource[] = "measured";
inline constexpr char kComputeWhenNobodySays[] = "20ms";

// The times of the file that is the compute's source, as far as it can be read; absent: it has no
// file. Errors as LoadTextproto's (common/config/textproto.h).
absl::StatusOr<std::optional<ComputeTimes>> LoadTimes(const StepCompute& compute);

// What ParseStepCompute reads.
std::string ToText(const StepCompute& compute);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_COMPUTE_TEXT_H_
