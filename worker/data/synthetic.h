#ifndef RINGMASTER_WORKER_DATA_SYNTHETIC_H_
#define RINGMASTER_WORKER_DATA_SYNTHETIC_H_

#include <cstdint>

#include "worker/data/dataset.h"

namespace ringmaster {

class SyntheticSpec;

// Samples that can be learned, as large as one asks. Images: sample i has label i mod classes and
// the features of that class's prototype (standard normal) plus normal noise of the resolved spec's
// deviation. Texts (spec.context() > 0): a sample starts with any symbol, and each symbol has four
// successors (not all different, perhaps), which follow it with probabilities 1/2, 1/4, 1/8 and
// 1/8: the best loss is at most 1.75 ln 2 = 1.21 nats a symbol. Prototypes or successors, training
// and test samples are streams of their own of `seed`; each sample too, so that a smaller set is a
// prefix of a larger one. The same numbers on every machine.
//   train_count, test_count: samples made, > 0.
Dataset MakeSynthetic(const SyntheticSpec& spec, uint64_t seed, int64_t train_count,
                      int64_t test_count, DatasetPart part = DatasetPart::kAll);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_SYNTHETIC_H_
