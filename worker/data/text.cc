#include "worker/data/text.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "proto/data_spec.pb.h"
#include "worker/data/data_file.h"

namespace ringmaster {
namespace {

constexpr int32_t kByteValues = 256;
constexpr char kNameOne[] = "name a text of yours with --set data.text.file=PATH";
constexpr DataRemedy kRemedy = {kNameOne, kNameOne};

// Where the splits of a text lie, in bytes.
struct TextSplits {
  TextExtent extent;
  int64_t test_begin = 0;
};

absl::StatusOr<TextSplits> Split(const TextSpec& spec) {
  RM_CHECK(spec.context() > 0 && spec.test_share() > 0 && spec.test_share() < 1);
  RM_ASSIGN_OR_RETURN(const int64_t size, DataFileSize(spec.file(), kRemedy));
  if (size == 0) return DamagedDataFile(spec.file(), "an empty file", "a text", kNameOne);
  if (size > kTextBytesMax) {
    return DamagedDataFile(
        spec.file(), absl::StrCat(size, " bytes"),
        absl::StrCat("at most ", kTextBytesMax, ", for all of it is held in memory"), kNameOne);
  }
  const int64_t test_bytes =
      static_cast<int64_t>(std::floor(static_cast<double>(size) * spec.test_share()));
  const int64_t train_bytes = size - test_bytes;
  TextSplits splits;
  splits.test_begin = train_bytes;
  splits.extent.shape = {0, 0, 0, kByteValues, spec.context()};
  splits.extent.train_count = (train_bytes - 1) / spec.context();
  splits.extent.test_count = test_bytes > 0 ? (test_bytes - 1) / spec.context() : 0;
  if (splits.extent.train_count > 0 && splits.extent.test_count > 0) return splits;
  return DamagedDataFile(
      spec.file(),
      absl::StrCat(size, " bytes, ", train_bytes, " to train on and ", test_bytes, " to test on"),
      absl::StrCat(
          "at least ", spec.context() + 1, " of each (data.text.context = ", spec.context(),
          " and the next one); lower it or set data.text.test_share (now ", spec.test_share(), ")"),
      kNameOne);
}

// `text` begins with the split.
Samples CutSplit(const unsigned char* text, const SampleShape& shape, int64_t count) {
  const int64_t tokens = count * shape.context;
  Samples samples;
  samples.shape = shape;
  samples.tokens.assign(text, text + tokens);
  samples.labels.assign(text + 1, text + 1 + tokens);
  return samples;
}

}  // namespace

absl::StatusOr<TextExtent> InspectText(const TextSpec& spec) {
  RM_ASSIGN_OR_RETURN(const TextSplits splits, Split(spec));
  return splits.extent;
}

absl::StatusOr<Dataset> LoadText(const TextSpec& spec, int64_t train_count, int64_t test_count) {
  RM_ASSIGN_OR_RETURN(const TextSplits splits, Split(spec));
  RM_CHECK(train_count > 0 && train_count <= splits.extent.train_count);
  RM_CHECK(test_count > 0 && test_count <= splits.extent.test_count);
  Dataset dataset;
  RM_ASSIGN_OR_RETURN(DataFile file, DataFile::Open(spec.file(), kRemedy));
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> text,
                      file.Read(splits.test_begin + test_count * spec.context() + 1));
  dataset.train = CutSplit(text.data(), splits.extent.shape, train_count);
  dataset.test = CutSplit(text.data() + splits.test_begin, splits.extent.shape, test_count);
  return dataset;
}

}  // namespace ringmaster
