#ifndef RINGMASTER_COMMON_CODEC_STREAM_H_
#define RINGMASTER_COMMON_CODEC_STREAM_H_

#include <cstdint>

#include "common/base/random.h"

namespace ringmaster {

// A step of a worker, and the lot of the run's samples that it computes in it (DESIGN, "data
// order"). Two workers' steps of one number have unlike lots.
struct StepLot {
  int64_t step = 0;
  int64_t lot = 0;
};

// Which of a run's encodings one is, as far as whoever receives it knows too.
struct SharedStream {
  uint64_t run_seed = 0;  // training.seed
  int64_t step = 0;       // of the worker whose gradient it is
  int64_t slice = 0;      // of what: BucketStream, PartStream

  // The seed of what all senders draw alike in one step: the elements that all of them send.
  uint64_t SharedSeed() const { return Mix(kShared, step); }

 protected:
  static constexpr uint64_t kOwn = 0x6f776e;
  static constexpr uint64_t kShared = 0x736861726564;
  uint64_t Mix(uint64_t kind, int64_t key) const {
    return MixSeed(MixSeed(MixSeed(run_seed, kind), static_cast<uint64_t>(key)),
                   static_cast<uint64_t>(slice));
  }
};

// Which of a run's encodings one is, for who makes it. All that a codec draws or lets depend on
// time comes from here, so whoever encodes the same slice of the gradient of the same lot, on
// whichever machine, writes the same bytes.
struct CodecStream : SharedStream {
  int64_t lot = 0;

  // The seed of what the sender draws for itself: another one for each gradient.
  uint64_t Seed() const { return Mix(kOwn, lot); }
};

// Of a whole bucket: for who receives it, and for who makes it.
inline SharedStream SharedBucketStream(uint64_t run_seed, int64_t step, int32_t bucket) {
  return {run_seed, step, bucket};
}
inline CodecStream BucketStream(uint64_t run_seed, const StepLot& of, int32_t bucket) {
  return {SharedBucketStream(run_seed, of.step, bucket), of.lot};
}

// A server's part of a bucket.
struct PartPlace {
  int32_t bucket = 0;
  int32_t server = 0, servers = 1;
};
inline SharedStream SharedPartStream(uint64_t run_seed, int64_t step, const PartPlace& part) {
  return {run_seed, step, int64_t{part.bucket} * part.servers + part.server};
}
inline CodecStream PartStream(uint64_t run_seed, const StepLot& of, const PartPlace& part) {
  return {SharedPartStream(run_seed, of.step, part), of.lot};
}

// Of the weights that a server sends in its answer number `step`: draws nothing that is drawn of
// gradients. `lot`: of the way back another number, unlike for each worker that is sent something
// of its own.
inline uint64_t DownSeed(uint64_t run_seed) {
  constexpr uint64_t kDown = 0x646f776e;
  return MixSeed(run_seed, kDown);
}
inline SharedStream SharedDownStream(uint64_t run_seed, int64_t step, const PartPlace& part) {
  return SharedPartStream(DownSeed(run_seed), step, part);
}
inline CodecStream DownStream(uint64_t run_seed, const StepLot& of, const PartPlace& part) {
  return PartStream(DownSeed(run_seed), of, part);
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_STREAM_H_
