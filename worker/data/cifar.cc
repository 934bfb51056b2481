#include "worker/data/cifar.h"

#include <algorithm>
#include <array>
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
constexpr int kChannels = 3;
constexpr int64_t kChannelBytes = kPixelBytes / kChannels;
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

// By channel; null: nobody asks.
using ChannelSums = std::array<PixelSums, kChannels>;

// Adds the first records of `path`, `limit` at most, and the pixels of all of them to `sums`.
absl::Status AddRecords(const std::string& path, int64_t limit, DatasetPart part, ChannelSums* sums,
                        Samples* samples) {
  RM_ASSIGN_OR_RETURN(const int64_t records, CountRecords(path));
  const int64_t count = std::min(records, limit);
  RM_ASSIGN_OR_RETURN(DataFile file, DataFile::Open(path, kRemedy));
  const int64_t read = sums != nullptr ? records : count;
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> bytes, file.Read(read * kRecordBytes));
  for (int64_t i = 0; i < read; ++i) {
    const unsigned char* const pixels = bytes.data() + i * kRecordBytes + 1;
    for (int c = 0; sums != nullptr && c < kChannels; ++c)
      (*sums)[c].Add({pixels + c * kChannelBytes, static_cast<size_t>(kChannelBytes)});
    if (i >= count) continue;
    const unsigned char label = pixels[-1];
    if (label >= kShape.classes) {
      return DamagedDataFile(path, absl::StrCat("label ", label, " at record ", i),
                             absl::StrCat("labels from 0 to ", kShape.classes - 1), kGetIt);
    }
    samples->labels.push_back(label);
    if (part == DatasetPart::kAll)
      samples->pixels.insert(samples->pixels.end(), pixels, pixels + kPixelBytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<Samples> LoadFiles(const std::vector<std::string>& paths, int64_t limit,
                                  DatasetPart part, ChannelSums* sums) {
  Samples samples;
  samples.shape = kShape;
  samples.labels.reserve(limit);
  if (part == DatasetPart::kAll) samples.pixels.reserve(limit * kPixelBytes);
  for (const std::string& path : paths) {
    if (samples.count() == limit && sums == nullptr) break;
    RM_RETURN_IF_ERROR(AddRecords(path, limit - samples.count(), part, sums, &samples));
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

absl::StatusOr<Dataset> LoadCifar10(const std::string& dir, const CifarWanted& wanted,
                                    std::vector<PixelStatistics>* statistics) {
  RM_CHECK(wanted.train_count > 0 && wanted.test_count > 0);
  const bool has_pixels = wanted.part == DatasetPart::kAll;
  const bool takes_own = has_pixels && statistics->empty();
  ChannelSums sums;
  Dataset dataset;
  RM_ASSIGN_OR_RETURN(dataset.train, LoadFiles(TrainFiles(dir), wanted.train_count, wanted.part,
                                               takes_own ? &sums : nullptr));
  RM_ASSIGN_OR_RETURN(dataset.test,
                      LoadFiles(TestFiles(dir), wanted.test_count, wanted.part, nullptr));
  if (takes_own) {
    for (const PixelSums& channel : sums) statistics->push_back(channel.Statistics());
  }
  if (!has_pixels) return dataset;
  RM_CHECK(statistics->size() == kChannels);
  dataset.train.pixel_values = dataset.test.pixel_values = PixelValues(*statistics);
  return dataset;
}

}  // namespace ringmaster
