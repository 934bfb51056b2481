#ifndef RINGMASTER_COMMON_CODEC_STREAM_H_
#define RINGMASTER_COMMON_CODEC_STREAM_H_

#include <cstdint>

#include "common/base/random.h"

namespace ringmaster {

// Which of a run's encodings one is. All that a codec draws or lets depend on time comes from here,
// so whoever encodes the same slice of the same step, on whichever machine, writes the same bytes.
struct CodecStream {
  uint64_t run_seed = 0;  // training.seed
  int64_t step = 0;       // of training, from 0
  int64_t slice = 0;      // of what, and by whom: BucketStream, PartStream

  // The seed of this encoding's random numbers.
  uint64_t Seed() const { return MixSeed(MixSeed(run_seed, step), slice); }
};

// Of a whole bucket, encoded by worker `rank`, of whom there are 4096 at most.
inline CodecStream BucketStream(uint64_t run_seed, int64_t step, int32_t bucket, int32_t rank) {
  return {run_seed, step, int64_t{bucket} * 4096 + rank};
}

// A server's part of a bucket.
struct PartPlace {
  int32_t bucket = 0;
  int32_t server = 0, servers = 1;
  int32_t rank = 0, workers = 1;  // of who encodes it
};
inline CodecStream PartStream(uint64_t run_seed, int64_t step, const PartPlace& part) {
  return {run_seed, step,
          (int64_t{part.bucket} * part.servers + part.server) * part.workers + part.rank};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_STREAM_H_
