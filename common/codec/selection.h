#ifndef RINGMASTER_COMMON_CODEC_SELECTION_H_
#define RINGMASTER_COMMON_CODEC_SELECTION_H_

#include <cstddef>

#include "absl/types/span.h"
#include "common/codec/loops/loops.h"

namespace ringmaster {

// The room that SelectLargest wants for its candidates.
size_t CandidatesRoom(size_t count, size_t kept);

// The `kept` elements of largest magnitude, index ascending; of equal magnitudes the lower index.
// The result lies in the memory of `scratch`, which has room for CandidatesRoom elements.
//   in: [count].   kept: 1 to count.
//   residual: empty, or [count]: then it becomes in + residual first, and that is selected from.
// One pass over the elements for all but strange ones: a sample of them says above which magnitude
// the largest surely lie, the pass collects what is above, and the exact selection is among those
// alone. Where the sample misleads, it costs time and no more: whenever the room is used up, all
// but the `kept` largest so far are dropped; and with too few the pass is repeated for all.
// Pure, thread-safe.
Candidates SelectLargest(absl::Span<const float> in, absl::Span<float> residual, size_t kept,
                         Candidates scratch, const CodecLoops& loops = BestLoops());

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SELECTION_H_
