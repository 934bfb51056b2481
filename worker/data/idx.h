#ifndef RINGMASTER_WORKER_DATA_IDX_H_
#define RINGMASTER_WORKER_DATA_IDX_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/data/dataset.h"

namespace ringmaster {

// A pair of IDX files (images and labels of the same samples), as MNIST is published. Where a file
// is not there, its twin with ".gz" behind the name is read.
struct IdxPair {
  std::string images_path;
  std::string labels_path;
};

// What the headers of a pair say. One channel; ten classes.
struct IdxExtent {
  SampleShape shape;
  int64_t count = 0;
};

// The four files of MNIST in `dir`, under the names they are published with.
IdxPair MnistTrainFiles(absl::string_view dir);
IdxPair MnistTestFiles(absl::string_view dir);

// Reads and checks both headers: magic numbers, equal counts, extents, and that each file is
// exactly as long as its header says (of a gzip stream: that its end says so). Reads the labels,
// but no images. NotFound (a missing file) and InvalidArgument name the file, what was found, what
// was expected and the remedy.
absl::StatusOr<IdxExtent> InspectIdx(const IdxPair& files);

// The first `limit` samples of the pair (0 < limit <= count of the header), pixels normalized as (x
// / 255 - 0.1307) / 0.3081. Errors: those of InspectIdx (which include a label that is not in [0,
// 10), naming its position), and a gzip stream that is damaged or longer than its header says, also
// behind the limit. Without images no body of a file of images is read, nor checked.
absl::StatusOr<Samples> LoadIdx(const IdxPair& files, int64_t limit,
                                DatasetPart part = DatasetPart::kAll);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_IDX_H_
