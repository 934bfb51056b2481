#ifndef RINGMASTER_TESTS_CONTRACT_CODECS_MEMORY_CHECK_H_
#define RINGMASTER_TESTS_CONTRACT_CODECS_MEMORY_CHECK_H_

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

inline constexpr MemoryScope kCheckedScope = {/*count=*/200, /*workers=*/4};

using MakeMemory = std::function<std::unique_ptr<CodecMemory>(const Codec& codec)>;

// What the registry makes of a spec.
inline MakeMemory MemoryOf(const CodecSpec& spec) {
  return [spec](const Codec& codec) { return CreateCodecMemory(codec, kCheckedScope, spec); };
}

// What a sender keeps under a resolved spec, from the definitions and in plain loops: error
// feedback (decayed), or deep gradient compression's two sums.
class WrittenMemory {
 public:
  WrittenMemory(const Codec& codec, const CodecSpec& spec)
      : codec_(codec), spec_(spec), velocity_(kCheckedScope.count), kept_(kCheckedScope.count) {}

  // What is sent of `gradient`, which is the whole arena's.
  std::vector<std::byte> Encode(const CodecStream& stream, std::vector<float> gradient) {
    const bool is_dgc = codec_.traits().memory_floats == 2;
    if (!is_dgc && !spec_.error_feedback()) return Encoded(stream, gradient);
    const auto decay = static_cast<float>(spec_.has_feedback_decay() ? spec_.feedback_decay() : 1);
    if (is_dgc) {
      Clip(&gradient);
      const auto momentum = static_cast<float>(spec_.dgc().momentum());
      for (size_t i = 0; i < gradient.size(); ++i)
        velocity_[i] = momentum * velocity_[i] + gradient[i];
    }
    const std::vector<float>& added = is_dgc ? velocity_ : gradient;
    for (size_t i = 0; i < kept_.size(); ++i) {
      if (!is_dgc) kept_[i] *= decay;
      kept_[i] += added[i];
    }
    const std::vector<std::byte> bytes = Encoded(stream, kept_);
    std::vector<float> sent(kept_.size());
    if (!codec_.Decode(stream, bytes, absl::MakeSpan(sent)).ok()) return {};
    for (size_t i = 0; i < kept_.size(); ++i) {
      kept_[i] -= sent[i];
      if (is_dgc && sent[i] != 0) velocity_[i] = 0;
    }
    return bytes;
  }

 private:
  std::vector<std::byte> Encoded(const CodecStream& stream, const std::vector<float>& in) const {
    std::vector<std::byte> bytes(codec_.MaxEncodedBytes(static_cast<int64_t>(in.size())));
    bytes.resize(codec_.Encode(stream, in, absl::MakeSpan(bytes)));
    return bytes;
  }

  void Clip(std::vector<float>* gradient) const {
    const double limit = spec_.dgc().clip_norm() / std::sqrt(double{kCheckedScope.workers});
    double energy = 0;
    for (const float value : *gradient) energy += static_cast<double>(value) * value;
    if (limit == 0 || std::sqrt(energy) <= limit) return;
    const auto scale = static_cast<float>(limit / std::sqrt(energy));
    for (float& value : *gradient) value *= scale;
  }

  const Codec& codec_;
  const CodecSpec spec_;
  std::vector<float> velocity_, kept_;
};

// FailedPrecondition unless the memory that `make` makes sends, in each of 30 steps, the bytes of
// the definition under the resolved `spec`; names the first step that differs.
inline absl::Status CheckMemory(const CodecSpec& spec, const MakeMemory& make) {
  const std::unique_ptr<Codec> codec = *CreateCodec(spec);
  const std::unique_ptr<CodecMemory> memory = make(*codec);
  WrittenMemory written(*codec, spec);
  Random random(3);
  for (int64_t step = 0; step < 30; ++step) {
    std::vector<float> gradient(kCheckedScope.count);
    for (float& value : gradient) value = random.Normal();
    const CodecStream stream = BucketStream(7, {step, 40 + step}, 1);
    std::vector<std::byte> bytes(codec->MaxEncodedBytes(kCheckedScope.count));
    bytes.resize(memory->Encode(stream, 0, gradient, absl::MakeSpan(bytes)));
    if (bytes == written.Encode(stream, gradient)) continue;
    return absl::FailedPreconditionError(absl::StrCat("codec \"", spec.name(), "\": in step ", step,
                                                      " other bytes than the definition's"));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CONTRACT_CODECS_MEMORY_CHECK_H_
