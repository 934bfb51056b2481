#include "common/codec/selection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr size_t kSamplesMin = 512;
constexpr size_t kSamplesMax = 16384;
constexpr size_t kElementsPerSample = 64;

// What separates the kept from the rest: all above `magnitude`, and the first `ties` that equal it.
struct Threshold {
  int32_t magnitude = 0;
  size_t ties = 0;
};

// The k-th largest magnitude of the candidates, by its digits, the highest first, within the range
// that they cover.
Threshold KthLargest(const Candidates& candidates, size_t k) {
  constexpr int kDigitBits = 11;
  std::array<uint32_t, 1 << kDigitBits> counters;
  int32_t low = MagnitudeOf(candidates.values[0]), high = low;
  for (size_t i = 1; i < candidates.count; ++i) {
    low = std::min(low, MagnitudeOf(candidates.values[i]));
    high = std::max(high, MagnitudeOf(candidates.values[i]));
  }
  int width = 0;
  while (uint32_t(high - low) >> width != 0) ++width;
  size_t rest = k;  // of the elements from `low` on, `width` bits wide, how many are kept
  while (width > 0) {
    const int shift = std::max(0, width - kDigitBits);
    const uint32_t bins = uint32_t{1} << (width - shift);
    std::fill_n(counters.begin(), bins, 0);
    for (size_t i = 0; i < candidates.count; ++i) {
      // What lies below `low` wraps round and is beyond the range, too.
      const uint32_t bin = uint32_t(MagnitudeOf(candidates.values[i]) - low) >> shift;
      if (bin < bins) ++counters[bin];
    }
    uint32_t chosen = bins - 1;
    while (counters[chosen] < rest) rest -= counters[chosen--];
    low += static_cast<int32_t>(chosen << shift);
    if (counters[chosen] == rest) return {low - 1, 0};  // kept to the last one
    width = shift;
  }
  return {low, rest};
}

// Drops all but the `kept` largest. Returns the threshold's magnitude: what comes later must be
// above it.
int32_t Compact(size_t kept, Candidates* candidates) {
  if (candidates->count <= kept) return -1;
  Threshold threshold = KthLargest(*candidates, kept);
  size_t count = 0;
  for (size_t i = 0; i < candidates->count; ++i) {
    const float value = candidates->values[i];
    const int32_t magnitude = MagnitudeOf(value);
    const bool is_tie = magnitude == threshold.magnitude && threshold.ties > 0;
    threshold.ties -= is_tie ? 1 : 0;
    candidates->indices[count] = candidates->indices[i];
    candidates->values[count] = value;
    count += magnitude > threshold.magnitude || is_tie ? 1 : 0;
  }
  RM_CHECK(count == kept);
  candidates->count = count;
  return threshold.magnitude;
}

// The magnitudes of `samples` of the elements.
void TakeSample(absl::Span<const float> in, absl::Span<const float> residual, size_t samples,
                std::array<int32_t, kSamplesMax>* out) {
  const size_t stride = in.size() / samples;
  uint32_t random = 1;
  for (size_t sample = 0; sample < samples; ++sample) {
    // One of each stretch, at no fixed distance, which might be that of a matrix's rows.
    random = random * 1664525u + 1013904223u;
    const size_t i = sample * stride + ((uint64_t{random} * stride) >> 32);
    (*out)[sample] = MagnitudeOf(residual.empty() ? in[i] : residual[i] + in[i]);
  }
}

// A magnitude above which more than `kept` elements lie, most probably, and not many more; -1 where
// a sample cannot tell.
int32_t GuessLimit(absl::Span<const float> in, absl::Span<const float> residual, size_t kept) {
  const size_t samples = std::clamp(in.size() / kElementsPerSample, kSamplesMin, kSamplesMax);
  const double expected =
      static_cast<double>(samples) * static_cast<double>(kept) / static_cast<double>(in.size());
  // Three standard deviations more than expected: one time in a thousand a second pass, half as
  // many candidates again.
  const double wanted = expected + 3 * std::sqrt(expected) + 2;
  if (in.size() < 4 * samples || wanted > static_cast<double>(samples)) return -1;
  std::array<int32_t, kSamplesMax> sample;
  TakeSample(in, residual, samples, &sample);
  // By exponent and four bits, then by seven bits more.
  constexpr int kCoarse = 12, kFine = 7, kRest = 31 - kCoarse - kFine;
  std::array<uint16_t, 1 << kCoarse> bins = {};
  int32_t bin = 0;
  for (size_t i = 0; i < samples; ++i) {
    const int32_t of_sample = sample[i] >> (kFine + kRest);
    bin = std::max(bin, of_sample);
    ++bins[of_sample];
  }
  double above = 0;  // samples in the bins passed
  while (bin > 0 && above + bins[bin] < wanted) above += bins[bin--];
  std::array<uint16_t, 1 << kFine> parts = {};
  for (size_t i = 0; i < samples; ++i) {
    if (sample[i] >> (kFine + kRest) == bin) ++parts[(sample[i] >> kRest) & ((1 << kFine) - 1)];
  }
  int32_t part = (1 << kFine) - 1;
  while (part > 0 && above + parts[part] < wanted) above += parts[part--];
  return ((bin << kFine | part) << kRest) - 1;
}

// Collects what is above `limit`, in one pass.
void CollectAbove(absl::Span<const float> in, absl::Span<float> residual, size_t kept,
                  int32_t limit, const CodecLoops& loops, Candidates* candidates) {
  candidates->count = 0;
  size_t at = 0;
  while (true) {
    at = residual.empty() ? loops.collect(in.data(), at, in.size(), limit, candidates)
                          : loops.collect_corrected(in.data(), residual.data(), at, in.size(),
                                                    limit, candidates);
    if (at == in.size()) return;
    limit = std::max(limit, Compact(kept, candidates));
  }
}

}  // namespace

size_t CandidatesRoom(size_t count, size_t kept) {
  return std::min(count, 2 * kept + 4096) + 2 * kCollectBlock;
}

Candidates SelectLargest(absl::Span<const float> in, absl::Span<float> residual, size_t kept,
                         Candidates scratch, const CodecLoops& loops) {
  RM_CHECK(kept >= 1 && kept <= in.size() && scratch.room >= CandidatesRoom(in.size(), kept));
  RM_CHECK(residual.empty() || residual.size() == in.size());
  const int32_t limit = GuessLimit(in, residual, kept);
  CollectAbove(in, residual, kept, limit, loops, &scratch);
  if (scratch.count < kept) {
    // The residual holds the sums by now.
    CollectAbove(residual.empty() ? in : residual, {}, kept, -1, loops, &scratch);
  }
  Compact(kept, &scratch);
  return scratch;
}

}  // namespace ringmaster
