// A file of weights.

#include <cmath>

#include "common/base/check.h"
#include "common/formats/safetensors.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace ringmaster {

std::vector<std::string> Seeds() {
  const std::vector<float> values = {1, -2.5f, 0, 3e7f, 1e-20f, 6};
  const std::string path = Scratch().path() + "/seed";
  RM_CHECK(WriteSafetensors(path, {{"format", "pt"}, {"model", "mlp"}},
                            {{"a.weight", {2, 3}, values}, {"b", {}, {values.data(), 1}}})
               .ok());
  RM_CHECK(WriteSafetensors(Scratch().path() + "/empty", {}, {}).ok());
  return {Scratch().Read("seed"), Scratch().Read("empty")};
}

bool TryInput(absl::string_view input) {
  const std::string path = Scratch().Write("input", input);
  const absl::StatusOr<Safetensors> header = ReadSafetensorsHeader(path);
  const absl::StatusOr<Safetensors> file = ReadSafetensors(path);
  if (!file.ok()) return false;
  RM_CHECK(header.ok() && header->tensors.size() == file->tensors.size());
  for (const LoadedTensor& tensor : file->tensors) {
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    RM_CHECK(static_cast<int64_t>(tensor.values.size()) == count);
    for (const float value : tensor.values) RM_CHECK(std::isfinite(value));
  }
  return true;
}

}  // namespace ringmaster
