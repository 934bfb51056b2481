#ifndef RINGMASTER_WORKER_DATA_DATA_FACTS_H_
#define RINGMASTER_WORKER_DATA_DATA_FACTS_H_

#include "absl/types/span.h"
#include "proto/record.pb.h"
#include "worker/data/dataset.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {

// What `dataset` is, contents included: equal for equal samples, however their files are packed and
// named. Its facts are not looked at. `statistics`: what its pixels are normalized by; none: it has
// no pixels. Reads all samples, about 3 GB a second. Pure, thread-safe.
DataFacts FactsOf(const Dataset& dataset, absl::Span<const PixelStatistics> statistics);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_DATA_FACTS_H_
