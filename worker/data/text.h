#ifndef RINGMASTER_WORKER_DATA_TEXT_H_
#define RINGMASTER_WORKER_DATA_TEXT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "worker/data/dataset.h"

namespace ringmaster {

class TextSpec;

// What a file of bytes gives: 256 classes (every byte is a token, whatever the encoding), samples
// of the resolved spec's context.
struct TextExtent {
  SampleShape shape;
  int64_t train_count = 0;
  int64_t test_count = 0;
};

// The largest text that is taken, in bytes: it is held in memory whole, at eight bytes a token with
// its label.
inline constexpr int64_t kTextBytesMax = int64_t{1} << 30;

// Looks at the file's size alone. The test split is the last floor(size * test_share) bytes, the
// training split what lies before; a split of S bytes gives (S - 1) div context samples. NotFound
// (a missing file) and InvalidArgument (no regular file, an empty one, one with less than a sample
// in a split, one larger than kTextBytesMax) name the file, what was found, what was expected and
// the remedy.
absl::StatusOr<TextExtent> InspectText(const TextSpec& spec);

// The first samples of each split: tokens of sample i are the split's bytes [i * context, (i + 1) *
// context), its labels the bytes one further. The two splits have no byte in common, as token or as
// label.
//   train_count, test_count: 0 < each <= that of InspectText.
// Errors: those of InspectText, and a file that is read short.
absl::StatusOr<Dataset> LoadText(const TextSpec& spec, int64_t train_count, int64_t test_count);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_TEXT_H_
