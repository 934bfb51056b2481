// A file of an array.

#include "common/base/check.h"
#include "common/formats/npy.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace ringmaster {

std::vector<std::string> Seeds() {
  const std::string path = Scratch().path() + "/seed";
  auto writer = NpyWriter::Create(path, NpyType::kFloat32, {2, 3});
  RM_CHECK(writer.ok());
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  RM_CHECK((*writer)->Append(values).ok() && (*writer)->Finish().ok());
  std::vector<std::string> seeds = {Scratch().Read("seed")};
  writer = NpyWriter::Create(path, NpyType::kInt64, {0});
  RM_CHECK(writer.ok() && (*writer)->Finish().ok());
  seeds.push_back(Scratch().Read("seed"));
  return seeds;
}

bool TryInput(absl::string_view input) {
  const absl::StatusOr<NpyArray> array = ReadNpy(Scratch().Write("input", input));
  if (!array.ok()) return false;
  int64_t count = 1;
  for (const int64_t extent : array->shape) count *= extent;
  const int64_t element = array->type == NpyType::kInt64 ? 8 : 4;
  RM_CHECK(static_cast<int64_t>(array->bytes.size()) == count * element);
  return true;
}

}  // namespace ringmaster
