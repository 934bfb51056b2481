#ifndef RINGMASTER_WORKER_DATA_SYNTHETIC_H_
#define RINGMASTER_WORKER_DATA_SYNTHETIC_H_

#include <cstdint>

#include "worker/data/dataset.h"

namespace ringmaster {

// Samples that can be learned, as large as one asks: sample i has label i mod classes and the features of that
// class's prototype (standard normal) plus normal noise of the resolved spec's deviation. Prototypes, training and
// test noise are streams of their own of `seed`; each sample too, so that a smaller set is a prefix of a larger one.
// The same numbers on every machine.
//   train_count, test_count: samples made, > 0.
Dataset MakeSynthetic(const SyntheticSpec& spec, uint64_t seed, int64_t train_count, int64_t test_count);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_SYNTHETIC_H_
