#ifndef RINGMASTER_WORKER_DATA_CIFAR_H_
#define RINGMASTER_WORKER_DATA_CIFAR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/data/dataset.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {

// What the six files of CIFAR-10's "binary version" hold: images of 3x32x32 in ten classes.
struct CifarExtent {
  SampleShape shape;
  int64_t train_count = 0;
  int64_t test_count = 0;
};

// Looks at the sizes of data_batch_1.bin to data_batch_5.bin and test_batch.bin in `dir`: records
// of 3073 bytes, any number of them but 0. NotFound (a missing file) and InvalidArgument name the
// file, what was found, what was expected, and where the files are published.
absl::StatusOr<CifarExtent> InspectCifar10(const std::string& dir);

// The first samples of each set, in the files' order. A record is a label and 1024 bytes each of
// red, green and blue, row by row; pixels mean (x / 255 - mean) / deviation of their channel.
//   train_count, test_count: 0 < each <= that of InspectCifar10.
//   statistics: what pixels are normalized by, three channels; empty: by those of all training
//   images of the files, which are then written there (nothing is without images).
// Errors: those of InspectCifar10, and InvalidArgument for a label of these samples that is not in
// [0, 10), naming its file and record.
struct CifarWanted {
  int64_t train_count = 0;
  int64_t test_count = 0;
  DatasetPart part = DatasetPart::kAll;
};
absl::StatusOr<Dataset> LoadCifar10(const std::string& dir, const CifarWanted& wanted,
                                    std::vector<PixelStatistics>* statistics);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_CIFAR_H_
