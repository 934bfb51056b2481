#include "common/config/check_codec_memory.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/codec/codec.h"
#include "common/config/check_codec_options.h"
#include "common/scheme/server_exchange.h"
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

constexpr char kDown[] = "strategy.parameter_server.down_codec";

std::string DownField(const char* name) { return absl::StrCat(kDown, ".", name); }

// Whether differences may be encoded by it at all.
void CheckDownKind(const CodecInfo& info, Problems* problems) {
  const CodecTraits& traits = info.traits;
  const char* why = nullptr;
  if (traits.in_rounds) {
    why =
        "is summed over all workers in several rounds, and a server's weights are summed with "
        "nobody's";
  } else if (traits.majority_vote) {
    why = "sends signs without a magnitude, and a worker would not know how far to go";
  } else if (traits.memory_floats > 0) {
    why = "has a memory of its own, and differences carry what is left out already";
  }
  if (why == nullptr) return;
  problems->AddName(DownField("name"), info.name,
                    absl::StrCat(why, "; use ",
                                 QuotedCodecs(
                                     [](const CodecInfo& other) {
                                       return !other.traits.in_rounds &&
                                              !other.traits.majority_vote &&
                                              other.traits.memory_floats == 0;
                                     },
                                     ", ")));
}

// What belongs to a memory that is not kept here.
void CheckDownMemory(const CodecSpec& codec, Problems* problems) {
  if (!codec.error_feedback()) {
    problems->Add(DownField("error_feedback"), "false",
                  "what an encoding of a difference leaves out is in the next difference; leave it "
                  "out");
  }
  if (codec.has_feedback_decay()) {
    problems->Add(DownField("feedback_decay"), codec.feedback_decay(),
                  "a worker that was told less than the difference would never have the weights; "
                  "leave it out");
  }
  if (codec.warmup_steps() != 0) {
    problems->Add(DownField("warmup_steps"), codec.warmup_steps(),
                  "nothing is lost in the first steps that later ones do not bring; leave it out");
  }
  if (codec.has_min_tensor_elements()) {
    problems->Add(DownField("min_tensor_elements"), codec.min_tensor_elements(),
                  "nothing is lost of small tensors that later steps do not bring; leave it out");
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

void CheckDownCodec(const RunSpec& resolved, Problems* problems) {
  const CodecSpec* const given = GivenDownCodec(resolved);
  if (given == nullptr) return;
  const CodecSpec& codec = *given;
  const CodecInfo* const info = FindCodec(codec.name());
  if (info == nullptr) {
    problems->Known(DownField("name"), "codec", codec.name(), RegistryNames(Codecs()));
    return;
  }
  CheckCodecOptions(kDown, codec, *info, problems);
  if (info->traits.exact) {
    if (codec.error_feedback()) {
      problems->Add(DownField("error_feedback"), "true",
                    absl::StrCat("codec \"", codec.name(), "\" leaves no error; leave it out"));
    }
    return;
  }
  CheckDownKind(*info, problems);
  CheckDownMemory(codec, problems);
  if (resolved.training().deterministic()) {
    problems->AddName(DownField("name"), codec.name(),
                      "training.deterministic asks for the same bits under every schedule, and "
                      "this codec is lossy; use \"none\" or training.deterministic=false");
  }
}

}  // namespace ringmaster
