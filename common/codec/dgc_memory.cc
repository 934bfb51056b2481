#include "common/codec/dgc_memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/base/check.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kPairBytes = 8;

}  // namespace

DgcMemory::DgcMemory(const Codec& codec, int64_t count, const Options& options)
    : codec_(codec),
      momentum_(static_cast<float>(options.momentum)),
      limit_(options.clip_norm / std::sqrt(static_cast<double>(options.workers))),
      velocity_(count, 0.0f),
      accumulation_(count, 0.0f) {}

float DgcMemory::ClipScale(absl::Span<const float> gradient) const {
  if (limit_ == 0 || gradient.empty()) return 1;
  double energy = 0;
  for (const float value : gradient) energy += static_cast<double>(value) * value;
  const double share = static_cast<double>(gradient.size()) / static_cast<double>(velocity_.size());
  const double limit = limit_ * std::sqrt(share);
  const double norm = std::sqrt(energy);
  return norm > limit ? static_cast<float>(limit / norm) : 1;
}

int64_t DgcMemory::Encode(const CodecStream& stream, int64_t begin,
                          absl::Span<const float> gradient, absl::Span<std::byte> out) {
  RM_CHECK(begin >= 0 && begin + gradient.size() <= velocity_.size());
  const absl::Span<float> velocity = absl::MakeSpan(velocity_).subspan(begin, gradient.size());
  const absl::Span<float> accumulation =
      absl::MakeSpan(accumulation_).subspan(begin, gradient.size());
  const float scale = ClipScale(gradient);
  for (size_t i = 0; i < gradient.size(); ++i)
    velocity[i] = momentum_ * velocity[i] + scale * gradient[i];
  const int64_t bytes = codec_.EncodeCorrected(stream, velocity, accumulation, out);
  bool is_finite = true;
  for (int64_t at = 0; at < bytes; at += kPairBytes) {
    int32_t index;
    float value;
    std::memcpy(&index, out.data() + at, 4);
    std::memcpy(&value, out.data() + at + 4, 4);
    velocity[index] = 0;
    is_finite &= std::isfinite(value);
  }
  // What is not finite is the largest of all, so it is among what is sent.
  if (!is_finite) std::fill(velocity.begin(), velocity.end(), 0.0f);
  return bytes;
}

State DgcMemory::Give() const {
  State state;
  state.AddFloats("velocity", velocity_);
  state.AddFloats("accumulation", accumulation_);
  return state;
}

absl::Status DgcMemory::Take(const State& state) {
  return state.CopyTo(
      {{"velocity", absl::MakeSpan(velocity_)}, {"accumulation", absl::MakeSpan(accumulation_)}});
}

std::unique_ptr<CodecMemory> CreateDgcMemory(const Codec& codec, const MemoryScope& scope,
                                             const CodecSpec& spec) {
  DgcMemory::Options options;
  options.momentum = spec.dgc().momentum();
  options.clip_norm = spec.dgc().clip_norm();
  options.workers = scope.workers;
  return std::make_unique<DgcMemory>(codec, scope.count, options);
}

}  // namespace ringmaster
