#ifndef RINGMASTER_WORKER_DATA_LOADER_H_
#define RINGMASTER_WORKER_DATA_LOADER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/fingerprint.h"
#include "proto/data_spec.pb.h"
#include "worker/data/batch.h"
#include "worker/data/samples.h"

namespace ringmaster {

// The data order of a run: an endless stream of samples, cut into batches of b. Position i is in
// epoch i div D, and every epoch has one seeded permutation. Batches run across epoch borders:
// every batch is full and no sample of an epoch comes twice. Who computes which batch is
// common/control/dealing.h's to say.
struct DataOrder {
  uint64_t seed = 0;
  int64_t samples = 0;           // D
  int64_t batch_per_worker = 0;  // b
};

// Batch = f(seed, number): stateless but for a cache of permutations. One thread at a time.
// Augmentation draws from a stream of its own for each position i, so it is the same whoever
// computes the batch, and however many workers share a step.
class Loader {
 public:
  // `samples` outlives the loader; samples.count() == order.samples > 0. `augment` for images only.
  Loader(const Samples& samples, const DataOrder& order, const AugmentSpec& augment = {});

  // Fills `batch` with positions number * b to (number + 1) * b - 1 of the stream; reuses its
  // memory. Features that the samples lack are zeros. REQUIRES: number >= 0.
  void Fill(int64_t number, Batch* batch);

  // The sample at position `i` of the stream.
  int64_t SampleAt(int64_t i);

 private:
  const Samples& samples_;
  const DataOrder order_;
  const AugmentSpec augment_;
  std::vector<float> image_;  // the one being augmented; empty where none is
  // The permutations of two neighbouring epochs: a step may lie across their border.
  struct CachedEpoch {
    int64_t epoch = -1;
    std::vector<int32_t> permutation;
  };
  CachedEpoch cache_[2];
};

// 64-bit fingerprint of a batch's sample indices and labels: the log of these is equal across arms.
// `stream` is what it is computed with, empty before and after.
uint64_t BatchFingerprint(const Batch& batch, FingerprintStream* stream);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_LOADER_H_
