// Ascending indices in Rice codes. The first bytes say how many of how many.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/codec/rice.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

struct Head {
  uint16_t count = 0;
  uint16_t kept = 0;
};

std::string SeedOf(uint16_t count, const std::vector<int32_t>& indices) {
  const Head head = {count, static_cast<uint16_t>(indices.size())};
  std::vector<std::byte> codes(MaxRiceBytes(count, head.kept));
  codes.resize(EncodeRice(count, indices, absl::MakeSpan(codes)));
  std::string seed(reinterpret_cast<const char*>(&head), sizeof(head));
  seed.append(reinterpret_cast<const char*>(codes.data()), codes.size());
  return seed;
}

}  // namespace

std::vector<std::string> Seeds() {
  return {SeedOf(1, {0}), SeedOf(1000, {0, 1, 2, 500, 999}), SeedOf(60000, {12, 59999}),
          SeedOf(3, {0, 1, 2})};
}

bool TryInput(absl::string_view input) {
  Head head;
  if (input.size() < sizeof(head)) return false;
  std::memcpy(&head, input.data(), sizeof(head));
  if (head.kept == 0 || head.kept > head.count) return false;
  const std::vector<char> bytes(input.begin() + sizeof(head), input.end());
  const auto codes =
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  std::vector<int32_t> indices(head.kept);
  if (!DecodeRice(head.count, codes, absl::MakeSpan(indices)).ok()) return false;
  RM_CHECK(indices.front() >= 0 && indices.back() < head.count);
  for (size_t i = 1; i < indices.size(); ++i) RM_CHECK(indices[i - 1] < indices[i]);
  std::vector<std::byte> again(MaxRiceBytes(head.count, head.kept));
  again.resize(EncodeRice(head.count, indices, absl::MakeSpan(again)));
  RM_CHECK(absl::MakeConstSpan(again) == codes);
  return true;
}

}  // namespace ringmaster
