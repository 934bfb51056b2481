#ifndef RINGMASTER_WORKER_DATA_PROGRAM_DATA_H_
#define RINGMASTER_WORKER_DATA_PROGRAM_DATA_H_

#include <cstdint>

#include "worker/data/dataset.h"

namespace ringmaster {

class ProgramDataSpec;

// Samples that the user's program reads itself. All that is known of one is its number, which
// stands where others have a label: that of a training sample is its index, that of a test sample
// its index behind all `spec.train_samples()`. So batches, their fingerprints and evaluations name
// samples as they do of any set.
//   train_count, test_count: how many of each; of the test set it may be none.
Dataset MakeProgramData(const ProgramDataSpec& spec, int64_t train_count, int64_t test_count);

// The shape of such samples.
SampleShape ProgramShape(const ProgramDataSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_PROGRAM_DATA_H_
