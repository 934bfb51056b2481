#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_TRIAL_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_TRIAL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

class CodecSpec;

// How an array is tried.
struct CodecTrialOptions {
  int64_t steps = 1;  // the array is encoded so often, with the memory that the spec asks for
  int64_t draws = 1;  // seeds over which the bias is averaged
  uint64_t seed = 1;  // of the first of them, and of the steps
};

// What a codec makes of one array. Errors are L2 norms over the array's; 0 where that is 0.
struct CodecTrial {
  std::vector<float> decoded;      // of the last step
  std::vector<std::byte> encoded;  // of the last step
  std::vector<float> residual;     // what error feedback keeps in the end; empty without
  int64_t bytes = 0;               // of all steps
  int64_t index_bytes = 0;         // of these
  double error = 0;                // of the last step
  double mean_error = 0;           // of the mean over all steps
  // <C(x) - x, x> / <x, x> without memory: the mean over the draws, and its standard error (0 of
  // one draw).
  double bias = 0;
  double bias_error = 0;
  double encode_seconds = 0;  // medians of the steps, and of five calls at least
  double decode_seconds = 0;
};

// Encodes and decodes `values`, finite, with the codec of the resolved `spec`. Step t has the
// stream of step and lot t. InvalidArgument: an element is not finite, CreateCodec's reasons, an
// encoding that its own codec refuses. One thread; memory of about six times the array.
absl::StatusOr<CodecTrial> TryCodec(const CodecSpec& spec, absl::Span<const float> values,
                                    const CodecTrialOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_TRIAL_H_
