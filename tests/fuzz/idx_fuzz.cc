// A pair of IDX files: the first two bytes say how long the file of images is.

#include <cstring>

#include "common/base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "worker/data/idx.h"

namespace ringmaster {
namespace {

std::string Joined(const std::string& images, const std::string& labels) {
  const auto size = static_cast<uint16_t>(images.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + images + labels;
}

// Numbers of 32 bits, the most significant byte first.
std::string Numbers(const std::vector<uint32_t>& numbers) {
  std::string bytes;
  for (const uint32_t number : numbers) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  }
  return bytes;
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string images = Numbers({0x803, 3, 2, 2}) + "abcdefghijkl";
  return {Joined(images, Numbers({0x801, 3}) + std::string("\0\1\2", 3)),
          // QMNIST's: rows of eight numbers
          Joined(images, Numbers({0xc02, 3, 8}) + std::string(3 * 8 * 4, '\0'))};
}

bool TryInput(absl::string_view input) {
  uint16_t size = 0;
  if (input.size() < sizeof(size)) return false;
  std::memcpy(&size, input.data(), sizeof(size));
  input.remove_prefix(sizeof(size));
  if (size > input.size()) return false;
  const IdxPair files = {Scratch().Write("images", input.substr(0, size)),
                         Scratch().Write("labels", input.substr(size))};
  const absl::StatusOr<IdxExtent> extent = InspectIdx(files);
  if (!extent.ok()) return false;
  IdxWanted wanted;
  wanted.limit = extent->count;
  std::vector<PixelStatistics> statistics;
  wanted.statistics = &statistics;
  const absl::StatusOr<Samples> samples = LoadIdx(files, wanted);
  if (!samples.ok()) return false;
  RM_CHECK(samples->count() == extent->count);
  for (const int32_t label : samples->labels)
    RM_CHECK(label >= 0 && label < samples->shape.classes);
  return true;
}

}  // namespace ringmaster
