#include "worker/data/cifar.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/data/data_file.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {
namespace {

constexpr SampleShape kShape{3, 32, 32, 10};
constexpr int64_t kPixelBytes = 3 * 32 * 32;
constexpr int64_t kRecordBytes = 1 + kPixelBytes;
constexpr int kTrainFiles = 5;
// Statistics of the training pixels, red, green and blue; the field's customary figures.
constexpr PixelStatistics kStatistics[] = {
    {0.4914f, 0.2470f}, {0.4822f, 0.2435f}, {0.4465f, 0.2616f}};
constexpr char kGetIt[] =
    "get the \"binary version\" from www.cs.toronto.edu/~kriz/cifar.html and put its six .bin "
    "files into that folder, or name the folder that has them with --data-dir";
constexpr DataRemedy kRemedy = {kGetIt, kGetIt};

std::vector<std::string> TrainFiles(const std::string& dir) {
  std::vector<std::string> paths;
  for (int i = 1; i <= kTrainFiles; ++i)
    paths.push_back(absl::StrCat(dir, "/data_batch_", i, ".bin"));
  return paths;
}

std::vector<std::string> TestFiles(const std::string& dir) {
  return {absl::StrCat(dir, "/test_batch.bin")};
}

absl::StatusOr<int64_t> CountRecords(const std::string& path) {
  RM_ASSIGN_OR_RETURN(const int64_t size, DataFileSize(path, kRemedy));
  if (size > 0 && size % kRecordBytes == 0) return size / kRecordBytes;
  return DamagedDataFile(
      path, absl::StrCat(size, " bytes"),
      absl::StrCat("a multiple of ", kRecordBytes, ", a label and 3x32x32 pixels each"), kGetIt);
}

absl::StatusOr<int64_t> CountAll(const std::vector<std::string>& paths) {
  int64_t count = 0;
  for (const std::string& path : paths) {
    RM_ASSIGN_OR_RETURN(const int64_t records, CountRecords(path));
    count += records;
  }
  return count;
}

// Adds the first records of `path`, `limit` at most.
absl::Status AddRecords(const std::string& path, int64_t limit, DatasetPart part,
                        Samples* samples) {
  RM_ASSIGN_OR_RETURN(const int64_t records, CountRecords(path));
  const int64_t count = std::min(records, limit);
  RM_ASSIGN_OR_RETURN(DataFile file, DataFile::Open(path, kRemedy));
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> bytes, file.Read(count * kRecordBytes));
  for (int64_t i = 0; i < count; ++i) {
    const unsigned char* record = bytes.data() + i * kRecordBytes;
    if (record[0] >= kShape.classes) {
      return DamagedDataFile(path, absl::StrCat("label ", record[0], " at record ", i),
                             absl::StrCat("labels from 0 to ", kShape.classes - 1), kGetIt);
    }
    samples->labels.push_back(record[0]);
    if (part == DatasetPart::kAll)
      samples->pixels.insert(samples->pixels.end(), record + 1, record + kRecordBytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<Samples> LoadFiles(const std::vector<std::string>& paths, int64_t limit,
                                  DatasetPart part) {
  Samples samples;
  samples.shape = kShape;
  samples.pixel_values = PixelValues(kStatistics);
  samples.labels.reserve(limit);
  if (part == DatasetPart::kAll) samples.pixels.reserve(limit * kPixelBytes);
  for (const std::string& path : paths) {
    if (samples.count() == limit) break;
    RM_RETURN_IF_ERROR(AddRecords(path, limit - samples.count(), part, &samples));
  }
  RM_CHECK(samples.count() == limit);
  return samples;
}

}  // namespace

absl::StatusOr<CifarExtent> InspectCifar10(const std::string& dir) {
  CifarExtent extent;
  extent.shape = kShape;
  RM_ASSIGN_OR_RETURN(extent.train_count, CountAll(TrainFiles(dir)));
  RM_ASSIGN_OR_RETURN(extent.test_count, CountAll(TestFiles(dir)));
  return extent;
}

absl::StatusOr<Dataset> LoadCifar10(const std::string& dir, int64_t train_count, int64_t test_count,
                                    DatasetPart part) {
  RM_CHECK(train_count > 0 && test_count > 0);
  Dataset dataset;
  RM_ASSIGN_OR_RETURN(dataset.train, LoadFiles(TrainFiles(dir), train_count, part));
  RM_ASSIGN_OR_RETURN(dataset.test, LoadFiles(TestFiles(dir), test_count, part));
  return dataset;
}

}  // namespace ringmaster
