#include "common/codec/memory.h"

#include "common/codec/error_feedback.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

class NoMemory : public CodecMemory {
 public:
  explicit NoMemory(const Codec& codec) : codec_(codec) {}

  int64_t Encode(const CodecStream& stream, int64_t begin, absl::Span<const float> gradient,
                 absl::Span<std::byte> out) override {
    return codec_.Encode(stream, gradient, out);
  }
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

 private:
  const Codec& codec_;
};

}  // namespace

std::unique_ptr<CodecMemory> CreateCodecMemory(const Codec& codec, int64_t count,
                                               bool error_feedback) {
  if (error_feedback && !codec.traits().exact) return std::make_unique<ErrorFeedback>(codec, count);
  return std::make_unique<NoMemory>(codec);
}

std::unique_ptr<CodecMemory> CreateCodecMemory(const Codec& codec, const MemoryScope& scope,
                                               const CodecSpec& spec) {
  const CodecDefinition* const definition = FindDefinition(spec.name());
  if (definition != nullptr && definition->create_memory != nullptr)
    return definition->create_memory(codec, scope, spec);
  if (!spec.error_feedback() || codec.traits().exact)
    return CreateCodecMemory(codec, scope.count, false);
  const double decay = spec.has_feedback_decay() ? spec.feedback_decay() : 1;
  return std::make_unique<ErrorFeedback>(codec, scope.count, decay);
}

}  // namespace ringmaster
