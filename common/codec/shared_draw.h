#ifndef RINGMASTER_COMMON_CODEC_SHARED_DRAW_H_
#define RINGMASTER_COMMON_CODEC_SHARED_DRAW_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

// `kept` of `count` elements, drawn without replacement: every subset of that size is equally
// likely. The same seed draws the same elements on every machine.
//   kept: 0 to count.   indices: becomes the elements, ascending.
// Draws min(kept, count - kept) numbers and reads count / 8 bytes. Thread-safe: scratch memory is
// the thread's own. Source: Floyd, in Bentley 1987, "A sample of brilliance".
void DrawElements(uint64_t seed, int64_t count, int64_t kept, std::vector<int32_t>* indices);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SHARED_DRAW_H_
