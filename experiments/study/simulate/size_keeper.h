#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIZE_KEEPER_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIZE_KEEPER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/study/predict/encoding_sizes.h"
#include "proto/kept_sizes.pb.h"

namespace ringmaster {

// Collects what the encodings of a run that learns take, of the first messages of every worker.
// One thread.
class SizeKeeper {
 public:
  // Of all workers together: what a file takes (common/config/textproto.h) with sizes of 9 digits.
  static constexpr int64_t kSizesMax = 1 << 16;

  // Whether there is something to keep of a run of so many workers. InvalidArgument: all its sizes
  // follow from its codecs, or those of one message of each worker are too many.
  static absl::Status Check(const EncodedRun& run, int32_t workers);

  // `run` outlives this. REQUIRES: Check is OK.
  SizeKeeper(const EncodedRun& run, int32_t workers);

  // What an encoding took, on either way. Each is told once; what does not vary is left out.
  void Up(const EncodingName& name, int64_t bytes) { Keep(name, bytes, &up_); }
  void Down(const EncodingName& name, int64_t bytes) { Keep(name, bytes, &down_); }

  // All that was kept, of a run that is called so. A message that a worker left out has the sizes
  // of the one before it. FailedPrecondition: a worker has sent or was sent none.
  absl::StatusOr<KeptSizes> Kept(const std::string& run) const;

 private:
  struct Way {
    bool varies = false;
    std::vector<std::vector<int64_t>> workers;  // [number][server][bucket]; -1: nobody has told
  };

  void Keep(const EncodingName& name, int64_t bytes, Way* way);

  const EncodedRun run_;
  const int64_t numbers_max_;
  Way up_, down_;
};

// The sizes as a textproto, a list on a line.
std::string ToText(const KeptSizes& sizes);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SIZE_KEEPER_H_
