#include "common/base/content_fingerprint.h"

#include <cstddef>
#include <cstring>

namespace ringmaster {
namespace {

constexpr size_t kLanes = 4;
constexpr size_t kBlockBytes = kLanes * sizeof(uint64_t);

// One to one for a given `word`, and for a given `state`: an odd factor has an inverse modulo 2^64,
// and a shift to the right that is added without carry can be undone.
uint64_t Mix(uint64_t state, uint64_t word) {
  state = (state ^ word) * 0x9e3779b97f4a7c15u;
  return state ^ state >> 32;
}

}  // namespace

uint64_t ContentFingerprint(absl::string_view bytes) {
  // Lanes that do not wait for each other; each begins elsewhere.
  uint64_t lanes[kLanes] = {1, 2, 3, 4};
  const auto add = [&lanes](const char* block) {
    uint64_t words[kLanes];
    std::memcpy(words, block, kBlockBytes);
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = Mix(lanes[i], words[i]);
  };
  const char* from = bytes.data();
  size_t left = bytes.size();
  for (; left >= kBlockBytes; left -= kBlockBytes, from += kBlockBytes) add(from);
  if (left > 0) {
    char last[kBlockBytes] = {};
    std::memcpy(last, from, left);
    add(last);
  }
  uint64_t fingerprint = bytes.size();
  for (const uint64_t lane : lanes) fingerprint = Mix(Mix(fingerprint, lane), 0);
  return fingerprint;
}

}  // namespace ringmaster
