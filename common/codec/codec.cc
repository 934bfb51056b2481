#include "common/codec/codec.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/codec/bf16.h"
#include "common/base/status_macros.h"
#include "common/codec/dgc.h"
#include "common/codec/fp16.h"
#include "common/codec/int4.h"
#include "common/codec/int8.h"
#include "common/codec/natural.h"
#include "common/codec/none.h"
#include "common/codec/onebit.h"
#include "common/codec/powersgd.h"
#include "common/codec/qsgd.h"
#include "common/codec/seide.h"
#include "common/codec/signsgd.h"
#include "common/codec/terngrad.h"
#include "common/codec/randomk.h"
#include "common/codec/threshold.h"
#include "common/codec/topk.h"
#include "common/codec/twobit.h"
#include "common/codec/warmup.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

// A new codec is listed here. docs/HACKING.md, "A codec", has all that it takes.
constexpr const CodecDefinition* kDefinitions[] = {
    &kNoneCodec,  &kFp16Codec,     &kBf16Codec,    &kInt8Codec,      &kInt4Codec,
    &kQsgdCodec,  &kTerngradCodec, &kNaturalCodec, &kTopkCodec,      &kOnebitCodec,
    &kSeideCodec, &kSignsgdCodec,  &kRandomkCodec, &kThresholdCodec, &kTwobitCodec,
    &kDgcCodec,   &kPowersgdCodec,
};

absl::Status CheckOptions(const CodecInfo& info, const CodecSpec& spec) {
  for (const CodecOption& option : info.options) {
    const double value = option.value(spec);
    // Written so that a NaN is refused.
    if (value > option.above && value <= option.most) continue;
    return absl::InvalidArgumentError(absl::StrCat("codec.", option.field, " ", value, ": codec \"",
                                                   info.name, "\" expects a number above ",
                                                   option.above, " and at most ", option.most));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateCodec(const CodecSpec& given) {
  CodecSpec spec = given;
  SetCodecDefaults(&spec);
  for (const CodecDefinition* definition : kDefinitions) {
    if (spec.name() != definition->info.name) continue;
    RM_RETURN_IF_ERROR(CheckOptions(definition->info, spec));
    if (definition->create == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "codec \"", spec.name(), "\" has no encodings: it is summed over all ranks in rounds"));
    }
    RM_ASSIGN_OR_RETURN(std::unique_ptr<Codec> codec, definition->create(spec));
    if (spec.warmup_steps() == 0) return codec;
    if (spec.warmup_steps() < 0 || codec->traits().summable_as.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "codec.warmup_steps ", spec.warmup_steps(),
          ": expected 0 or more, of a codec whose encodings are gathered and not summed"));
    }
    return CreateWarmup(std::move(codec), spec.warmup_steps());
  }
  return absl::InvalidArgumentError(
      absl::StrCat("codec.name \"", spec.name(), "\" is unknown; ",
                   KnownWordsText(spec.name(), RegistryNames(CodecsAndReducers()))));
}

std::optional<CodecTraits> CodecTraitsOf(const CodecSpec& spec) {
  if (FindReducer(spec.name()) != nullptr) return FindCodec(spec.name())->traits;
  const absl::StatusOr<std::unique_ptr<Codec>> codec = CreateCodec(spec);
  if (!codec.ok()) return std::nullopt;
  return (*codec)->traits();
}

absl::Span<const CodecInfo> Codecs() {
  static const std::vector<CodecInfo>& infos = *[] {
    auto* made = new std::vector<CodecInfo>;
    for (const CodecInfo& info : CodecsAndReducers()) {
      if (!info.traits.in_rounds) made->push_back(info);
    }
    return made;
  }();
  return infos;
}

absl::Span<const CodecInfo> CodecsAndReducers() {
  static const std::vector<CodecInfo>& infos = *[] {
    auto* made = new std::vector<CodecInfo>;
    for (const CodecDefinition* definition : kDefinitions) made->push_back(definition->info);
    return made;
  }();
  return infos;
}

const CodecDefinition* FindDefinition(absl::string_view name) {
  for (const CodecDefinition* definition : kDefinitions) {
    if (name == definition->info.name) return definition;
  }
  return nullptr;
}

const CodecInfo* FindCodec(absl::string_view name) {
  const CodecDefinition* const definition = FindDefinition(name);
  return definition == nullptr ? nullptr : &definition->info;
}

const ReducerDefinition* FindReducer(absl::string_view name) {
  const CodecDefinition* const definition = FindDefinition(name);
  return definition == nullptr ? nullptr : definition->reducer;
}

std::string QuotedCodecs(absl::FunctionRef<bool(const CodecInfo&)> wanted,
                         absl::string_view separator) {
  std::string names;
  for (const CodecInfo& info : CodecsAndReducers()) {
    if (wanted(info))
      absl::StrAppend(&names, names.empty() ? "" : separator, "\"", info.name, "\"");
  }
  return names;
}

bool IsLossyAndSummed(const CodecInfo& codec) {
  return codec.traits.summable_as.has_value() && !codec.traits.exact;
}

const CodecOption* FindOption(const CodecInfo& codec, absl::string_view field) {
  for (const CodecOption& option : codec.options) {
    if (field == option.field) return &option;
  }
  return nullptr;
}

void SetCodecDefaults(CodecSpec* spec) {
  const CodecInfo* const info = FindCodec(spec->name());
  if (!spec->has_error_feedback())
    spec->set_error_feedback(info != nullptr && info->traits.feedback_by_default);
  if (info == nullptr) return;
  for (const CodecOption& option : info->options) {
    if (!option.is_set(*spec)) option.set(option.default_value, spec);
  }
}

std::vector<CodecSpec> ProofSettings(const CodecInfo& codec) {
  CodecSpec defaults;
  defaults.set_name(codec.name);
  SetCodecDefaults(&defaults);
  std::vector<CodecSpec> settings = {defaults};
  for (const CodecOption& option : codec.options) {
    const double* const first = std::begin(option.proof_values);
    for (const double* value = first; value != std::end(option.proof_values); ++value) {
      if (*value == option.default_value || std::find(first, value, *value) != value) continue;
      CodecSpec setting = defaults;
      option.set(*value, &setting);
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

int64_t MaxBytesOfSteps(const Codec& codec, int64_t count, int64_t steps) {
  int64_t bytes = 0;
  for (int64_t step = 0; step < steps; ++step) bytes += codec.MaxBytesIn(step, count);
  return bytes;
}

bool HasErrorFeedback(const CodecSpec& spec) { return spec.error_feedback(); }

int64_t CodecMemoryBytes(const CodecSpec& spec, int64_t count) {
  const std::optional<CodecTraits> traits = CodecTraitsOf(spec);
  if (!traits.has_value()) return 0;
  const int64_t feedback_floats = spec.error_feedback() && !traits->exact ? 1 : 0;
  const int64_t floats = traits->memory_floats > 0 ? traits->memory_floats : feedback_floats;
  return floats * count * static_cast<int64_t>(sizeof(float));
}

}  // namespace ringmaster
