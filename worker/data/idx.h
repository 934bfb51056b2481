#ifndef RINGMASTER_WORKER_DATA_IDX_H_
#define RINGMASTER_WORKER_DATA_IDX_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/data/dataset.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {

// A pair of IDX files (images and labels of the same samples), as MNIST, Fashion-MNIST, KMNIST,
// EMNIST and QMNIST are published. Labels are bytes, or QMNIST's rows of eight numbers of 32 bits,
// of which the first is the label. Where a file is not there, its twin with ".gz" behind the name
// is read.
struct IdxPair {
  std::string images_path;
  std::string labels_path;
};

// What a pair holds. One channel.
struct IdxExtent {
  SampleShape shape;
  int64_t count = 0;
};

// Which labels a pair may have.
struct IdxClasses {
  std::optional<int32_t> count;  // labels lie below it; none: the largest label and one
  const char* reason = "";       // of that count, behind "labels from 0 to 9" in an error
};

// The four files of MNIST in `dir`, under the names they are published with.
IdxPair MnistTrainFiles(absl::string_view dir);
IdxPair MnistTestFiles(absl::string_view dir);

// Reads and checks both headers: magic numbers, equal counts, extents, and that each file is
// exactly as long as its header says (of a gzip stream: that its end says so). Reads the labels,
// but no images. Labels are kept as they are, so a class may have no sample (EMNIST's letters are 1
// to 26, of 27 classes); where the file is followed and most classes had none, its largest label is
// taken for damage. NotFound (a missing file) and InvalidArgument name the file, what was found,
// what was expected and the remedy.
absl::StatusOr<IdxExtent> InspectIdx(const IdxPair& files, const IdxClasses& classes = {});

// Which of a pair's samples are wanted.
struct IdxWanted {
  int64_t limit = 0;  // the first; 0 < limit <= count of the header
  DatasetPart part = DatasetPart::kAll;
  IdxClasses classes;
  // What pixels are normalized by; none: by those of all images of the file, which are then written
  // here. Nothing is without images.
  std::vector<PixelStatistics>* statistics = nullptr;
};

// The first samples of the pair. Errors: those of InspectIdx (which include a label that is out of
// range, naming its position), and a gzip stream that is damaged or longer than its header says,
// also behind the limit. Without images no body of a file of images is read, nor checked.
absl::StatusOr<Samples> LoadIdx(const IdxPair& files, const IdxWanted& wanted);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_IDX_H_
