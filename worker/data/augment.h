#ifndef RINGMASTER_WORKER_DATA_AUGMENT_H_
#define RINGMASTER_WORKER_DATA_AUGMENT_H_

#include <cstdint>

#include "worker/data/samples.h"

namespace ringmaster {

class AugmentSpec;

// Whether the resolved spec changes anything.
bool Augments(const AugmentSpec& spec);

// Writes a random change of the image `from` to `to`, both shape.features() floats, apart in
// memory: a window of the old size at a random place of the image with a border of crop_padding
// zeros (the mean, once pixels are normalized), turned left to right half of the time, with normal
// noise of deviation `noise` added. What the spec leaves out is not done. A pure function of its
// arguments, the same on every machine.
void AugmentImage(const AugmentSpec& spec, const SampleShape& shape, uint64_t seed,
                  const float* from, float* to);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_AUGMENT_H_
