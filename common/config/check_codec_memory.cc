#include "common/config/check_codec_memory.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// A decay is one of error feedback alone: a memory of the codec's own has its rule.
void CheckDecay(const CodecSpec& codec, const CodecTraits& traits, Problems* problems) {
  if (!codec.has_feedback_decay()) return;
  if (!codec.error_feedback() || traits.memory_floats > 0) {
    problems->Add("codec.feedback_decay", codec.feedback_decay(),
                  "only with codec.error_feedback, of a codec without a memory of its own; leave "
                  "it out");
  }
  // Written so that a NaN is refused.
  if (!(codec.feedback_decay() > 0 && codec.feedback_decay() <= 1)) {
    problems->Add("codec.feedback_decay", codec.feedback_decay(),
                  "expected above 0 and at most 1, how much of what was left out is added to the "
                  "next gradient");
  }
}

void CheckWarmup(const CodecSpec& codec, const CodecTraits& traits, Problems* problems) {
  if (!codec.has_warmup_steps() || codec.warmup_steps() == 0) return;
  const char* const field = "codec.warmup_steps";
  if (codec.warmup_steps() < 0) problems->Add(field, codec.warmup_steps(), "expected 0 or more");
  if (traits.exact || traits.summable_as.has_value()) {
    problems->Add(field, codec.warmup_steps(),
                  absl::StrCat("codec \"", codec.name(),
                               "\" is summed on the wire in every step; leave it out, or take a "
                               "codec whose encodings are gathered"));
  }
  if (traits.memory_floats > 0) {
    problems->Add(field, codec.warmup_steps(),
                  absl::StrCat("codec \"", codec.name(),
                               "\" has a memory of its own, which would forget everything while "
                               "floats are sent; use its ramp in place of it"));
  }
}

void CheckMomentum(const RunSpec& spec, const CodecTraits& traits, Problems* problems) {
  if (!traits.has_momentum || spec.optimizer().name() == "sgd") return;
  problems->AddName("optimizer.name", spec.optimizer().name(),
                    absl::StrCat("codec \"", spec.codec().name(),
                                 "\" sums gradients up with a momentum before it sends them, and a "
                                 "second one would be summed up on top; use \"sgd\""));
}

void CheckSmallTensors(const RunSpec& spec, const CodecTraits& traits, Problems* problems) {
  const CodecSpec& codec = spec.codec();
  if (!codec.has_min_tensor_elements()) return;
  const char* const field = "codec.min_tensor_elements";
  if (codec.min_tensor_elements() < 0)
    problems->Add(field, codec.min_tensor_elements(), "expected 0 or more");
  if (codec.min_tensor_elements() <= 1 || traits.in_rounds) return;
  if (traits.exact || traits.summable_as.has_value() || traits.memory_floats > 0) {
    problems->Add(
        field, codec.min_tensor_elements(),
        absl::StrCat("codec \"", codec.name(),
                     "\" is summed on the wire, or has a memory of its own; leave it out, "
                     "or take a codec whose encodings are gathered"));
  }
  if (spec.training().bucket_layout() != TrainingSpec::WHOLE_TENSORS) {
    problems->Add(field, codec.min_tensor_elements(),
                  "buckets cut tensors; set training.bucket_layout=WHOLE_TENSORS");
  }
}

}  // namespace

void CheckCodecMemory(const RunSpec& resolved, Problems* problems) {
  const CodecSpec& codec = resolved.codec();
  const CodecInfo* const info = FindCodec(codec.name());
  if (info == nullptr) return;
  const CodecTraits& traits = info->traits;
  CheckSmallTensors(resolved, traits, problems);
  CheckDecay(codec, traits, problems);
  CheckWarmup(codec, traits, problems);
  CheckMomentum(resolved, traits, problems);
  if (traits.memory_floats > 0 && !codec.error_feedback()) {
    problems->Add("codec.error_feedback", "false",
                  absl::StrCat("codec \"", codec.name(),
                               "\" keeps what it does not send, whatever this says; leave it out"));
  }
}

}  // namespace ringmaster
