#include "common/codec/codec.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/codec/fp16.h"
#include "common/codec/fp16_oracle.h"
#include "common/codec/none.h"
#include "common/codec/none_oracle.h"
#include "common/codec/onebit.h"
#include "common/codec/onebit_oracle.h"
#include "common/codec/topk.h"
#include "common/codec/topk_oracle.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

struct Entry {
  CodecInfo info;
  absl::StatusOr<std::unique_ptr<Codec>> (*create)(const CodecSpec& spec);
};

// A new codec is an entry in each of these two lists. docs/DESIGN.md, "Folders", has all that it
// takes.
constexpr Entry kEntries[] = {
    {{kNoCodec, "the floats as they are: 4 bytes an element", kNoneTraits, &kNoneOracle, {}},
     CreateNone},
    {{"fp16",
      "half precision: 2 bytes an element, may be summed on the wire",
      kFp16Traits,
      &kFp16Oracle,
      {}},
     CreateFp16},
    {{"topk", "the share `density` of largest magnitude: 8 bytes for each element kept",
      kTopkTraits, &kTopkOracle, kTopkOptions},
     CreateTopk},
    {{"onebit",
      "signs and the mean magnitude: 1 bit an element",
      kOnebitTraits,
      &kOnebitOracle,
      {}},
     CreateOnebit},
};
constexpr CodecInfo kInfos[] = {kEntries[0].info, kEntries[1].info, kEntries[2].info,
                                kEntries[3].info};
static_assert(sizeof(kInfos) / sizeof(kInfos[0]) == sizeof(kEntries) / sizeof(kEntries[0]));

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> CreateCodec(const CodecSpec& spec) {
  for (const Entry& entry : kEntries) {
    if (spec.name() == entry.info.name) return entry.create(spec);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("codec.name \"", spec.name(), "\" is unknown; ",
                   KnownWordsText(spec.name(), RegistryNames(kInfos))));
}

absl::Span<const CodecInfo> Codecs() { return kInfos; }

const CodecInfo* FindCodec(absl::string_view name) {
  for (const CodecInfo& info : kInfos) {
    if (name == info.name) return &info;
  }
  return nullptr;
}

std::string QuotedCodecs(absl::FunctionRef<bool(const CodecInfo&)> wanted,
                         absl::string_view separator) {
  std::string names;
  for (const CodecInfo& info : kInfos) {
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

int64_t CodecMemoryBytes(const CodecSpec& spec, int64_t count) {
  const auto codec = CreateCodec(spec);
  const bool keeps = codec.ok() && spec.error_feedback() && !(*codec)->traits().exact;
  return keeps ? count * static_cast<int64_t>(sizeof(float)) : 0;
}

}  // namespace ringmaster
