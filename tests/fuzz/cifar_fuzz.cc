// CIFAR-10's first file; the others are as they should be.

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "worker/data/cifar.h"

namespace ringmaster {
namespace {

constexpr size_t kRecordBytes = 3073;

std::string Record(char label) { return label + std::string(kRecordBytes - 1, '\x7f'); }

}  // namespace

std::vector<std::string> Seeds() { return {Record(0), Record(9) + Record(3)}; }

bool TryInput(absl::string_view input) {
  static const bool others_written = [] {
    for (int file = 2; file <= 5; ++file)
      Scratch().Write(absl::StrCat("data_batch_", file, ".bin"), Record(1));
    Scratch().Write("test_batch.bin", Record(2));
    return true;
  }();
  RM_CHECK(others_written);
  Scratch().Write("data_batch_1.bin", input);
  const absl::StatusOr<CifarExtent> extent = InspectCifar10(Scratch().path());
  if (!extent.ok()) return false;
  std::vector<PixelStatistics> statistics;
  const absl::StatusOr<Dataset> dataset = LoadCifar10(
      Scratch().path(), {extent->train_count, extent->test_count, DatasetPart::kAll}, &statistics);
  if (!dataset.ok()) return false;
  RM_CHECK(dataset->train.count() == static_cast<int64_t>(input.size() / kRecordBytes) + 4);
  for (const int32_t label : dataset->train.labels) RM_CHECK(label >= 0 && label < 10);
  return true;
}

}  // namespace ringmaster
