#ifndef RINGMASTER_COMMON_CODEC_DGC_MEMORY_H_
#define RINGMASTER_COMMON_CODEC_DGC_MEMORY_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "common/codec/memory.h"

namespace ringmaster {

// What a sender of "dgc" keeps: u, a velocity, and v, what it has summed up and not sent. For every
// gradient g of a slice:
//   g is clipped; u = momentum * u + g; v = v + u; v's largest are sent; where they are, v and u
//   become 0 (momentum factor masking).
// Clipping: with c = clip_norm, a slice of n of the arena's d elements is scaled down to a norm of
// c * sqrt(n / d) / sqrt(N). So a worker's gradients, which have the factor 1/N, keep within c /
// sqrt(N), and nobody waits for the whole gradient: buckets go while backward computes. Of a slice
// that was not finite nothing is kept.
// One thread at a time. Source: Lin et al. 2018, algorithms 1 and 4, sections 3.2 and 3.3.
class DgcMemory : public CodecMemory {
 public:
  struct Options {
    double momentum = 0;
    double clip_norm = 0;  // 0: no clipping
    int32_t workers = 1;
  };
  // For an arena of `count` elements; `codec`, which writes pairs of index and value, must outlive
  // this object.
  DgcMemory(const Codec& codec, int64_t count, const Options& options);

  int64_t Encode(const CodecStream& stream, int64_t begin, absl::Span<const float> gradient,
                 absl::Span<std::byte> out) override;
  // The arrays "velocity" and "accumulation".
  State Give() const override;
  int64_t state_bytes() const override {
    return static_cast<int64_t>((velocity_.size() + accumulation_.size()) * sizeof(float));
  }
  absl::Status Take(const State& state) override;

  absl::Span<const float> velocity() const { return velocity_; }
  absl::Span<const float> accumulation() const { return accumulation_; }

 private:
  // What the slice's gradient is multiplied by.
  float ClipScale(absl::Span<const float> gradient) const;

  const Codec& codec_;
  const float momentum_;
  const double limit_;               // of the norm of the whole arena's gradient; 0: none
  std::vector<float> velocity_;      // [count]
  std::vector<float> accumulation_;  // [count]
};

// CodecDefinition's.
std::unique_ptr<CodecMemory> CreateDgcMemory(const Codec& codec, const MemoryScope& scope,
                                             const CodecSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_DGC_MEMORY_H_
