#include "common/config/arms.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/override.h"
#include "common/scheme/group_order.h"
#include "common/scheme/registry.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/field_mask.pb.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/field_mask_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using google::protobuf::util::FieldMaskUtil;

std::vector<ArmInfo> CollectArms() {
  std::vector<ArmInfo> arms;
  for (const Scheme* scheme : Schemes())
    arms.insert(arms.end(), scheme->arms.begin(), scheme->arms.end());
  std::sort(arms.begin(), arms.end(),
            [](const ArmInfo& a, const ArmInfo& b) { return a.place < b.place; });
  return arms;
}

// Whether `message` sets the field at `path`, "strategy.work".
bool IsSet(const google::protobuf::Message& message, absl::string_view path) {
  const size_t dot = path.find('.');
  const auto* field = message.GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  RM_CHECK(field != nullptr);
  if (!message.GetReflection()->HasField(message, field)) return false;
  if (dot == absl::string_view::npos) return true;
  return IsSet(message.GetReflection()->GetMessage(message, field), path.substr(dot + 1));
}

// Whether the arm's workers sum by a collective of ours.
bool TakesOrder(const RunSpec& arm) {
  RunSpec resolved = arm;
  ResolveStrategy(arm.training().workers(), resolved.mutable_strategy());
  return TakesGroupOrder(TraitsOf(resolved));
}

// Takes from `base` what it sets of the fields that the arm leaves open.
void KeepOpenFields(const ArmInfo& arm, const RunSpec& base, RunSpec* spec) {
  google::protobuf::FieldMask open;
  for (const absl::string_view path : absl::StrSplit(arm.open_fields, ',', absl::SkipEmpty())) {
    if (IsSet(base, path)) open.add_paths(std::string(path));
  }
  FieldMaskUtil::MergeMessageTo(base, open, FieldMaskUtil::MergeOptions(), spec);
  if (base.strategy().on_failure() != StrategySpec::ON_FAILURE_UNSET)
    spec->mutable_strategy()->set_on_failure(base.strategy().on_failure());
  if (!base.strategy().group_order().empty() && TakesOrder(*spec))
    spec->mutable_strategy()->set_group_order(base.strategy().group_order());
  if (spec->strategy().launch() != LAUNCH_MODE_UNSET) return;
  const bool is_asked = base.strategy().launch() != LAUNCH_MODE_UNSET;
  spec->mutable_strategy()->set_launch(is_asked ? base.strategy().launch() : PROCESSES);
}

// Whether `field` is an option of codecs, but not of this one.
bool IsOthersOption(absl::string_view field, const CodecSpec& codec) {
  const CodecInfo* const info = FindCodec(codec.name());
  if (info == nullptr || !absl::ConsumePrefix(&field, "codec.")) return false;
  return FindOption(*info, field) == nullptr &&
         std::any_of(Codecs().begin(), Codecs().end(), [field](const CodecInfo& other) {
           return FindOption(other, field) != nullptr;
         });
}

// Gives the arm of `name`, "ARM+CODEC", whose codec is `spec`, the codec and of the base's fields
// all but the options of others.
absl::Status ChooseCodec(absl::string_view name, absl::string_view codec, const CodecSpec& base,
                         CodecSpec* spec) {
  if (FindCodec(codec) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("arm \"", name, "\": no such codec; ",
                     KnownWordsText(std::string(codec), RegistryNames(Codecs()))));
  }
  if (spec->name() != kNoCodec) {
    return absl::InvalidArgumentError(absl::StrCat("arm \"", name, "\": it has the codec \"",
                                                   spec->name(), "\" already; leave +", codec,
                                                   " out"));
  }
  *spec = base;
  spec->set_name(std::string(codec));
  for (const CodecInfo& other : Codecs()) {
    for (const CodecOption& option : other.options) {
      if (!IsOthersOption(absl::StrCat("codec.", option.field), *spec)) continue;
      // "dgc.momentum" is one of the message dgc.
      const std::string owner(
          absl::string_view(option.field).substr(0, absl::string_view(option.field).find('.')));
      const auto* const field = CodecSpec::descriptor()->FindFieldByName(owner);
      spec->GetReflection()->ClearField(spec, field);
    }
  }
  return absl::OkStatus();
}

// Whether some arm leaves the field open: an option of arms, and no part of what tells them apart.
bool IsOpenSomewhere(absl::string_view field) {
  if (field == "strategy.launch" || field == "strategy.on_failure" ||
      field == "strategy.group_order") {
    return true;
  }
  return std::any_of(Arms().begin(), Arms().end(), [field](const ArmInfo& arm) {
    const std::vector<absl::string_view> open = absl::StrSplit(arm.open_fields, ',');
    // Of an open message every field is.
    return std::any_of(open.begin(), open.end(), [field](absl::string_view path) {
      return field == path || absl::StartsWith(field, absl::StrCat(path, "."));
    });
  });
}

// How an arm's spec stands to a field that was set by name.
enum class Standing {
  kTaken,    // it has the value
  kForeign,  // its scheme or codec has no such field
  kDecided,  // it has another value
};

Standing StandingOf(const std::string& assignment, const RunSpec& arm) {
  const absl::string_view field =
      absl::StripAsciiWhitespace(absl::string_view(assignment).substr(0, assignment.find('=')));
  // All that an arm decides but for its transport, of which the table tells.
  const bool is_arms = field == "name" || field == "codec" || field == "strategy" ||
                       absl::StartsWith(field, "codec.") || absl::StartsWith(field, "strategy.");
  RunSpec asked = arm;
  if (!is_arms) return Standing::kTaken;
  if (!SetField(assignment, &asked).ok()) return Standing::kForeign;  // said where it was set
  if (google::protobuf::util::MessageDifferencer::Equals(asked, arm)) return Standing::kTaken;
  if (IsOpenSomewhere(field)) return Standing::kForeign;
  const bool other_scheme = asked.strategy().kind_case() != arm.strategy().kind_case();
  if (IsOthersOption(field, arm.codec())) return Standing::kForeign;
  const bool no_codec =
      absl::StartsWith(field, "codec.") && field != "codec.name" && arm.codec().name() == "none";
  return other_scheme || no_codec ? Standing::kForeign : Standing::kDecided;
}

// "; arms with it: a, b" or empty.
std::string ArmsWith(const std::string& assignment) {
  RunSpec asking;
  SetField(assignment, &asking).IgnoreError();  // said where it was set
  std::vector<std::string> names;
  for (const ArmInfo& info : Arms()) {
    const absl::StatusOr<RunSpec> arm = MakeArm(info.name, asking);
    if (arm.ok() && StandingOf(assignment, *arm) == Standing::kTaken) names.push_back(info.name);
  }
  return names.empty() ? "" : absl::StrCat("; arms with it: ", absl::StrJoin(names, ", "));
}

constexpr char kOwnSpec[] = "; or write a run spec of your own (`ringmaster run SPEC`)";

}  // namespace

absl::Span<const ArmInfo> Arms() {
  static const auto& arms = *new std::vector<ArmInfo>(CollectArms());
  return arms;
}

absl::StatusOr<RunSpec> MakeArm(absl::string_view name, const RunSpec& base) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(name, absl::MaxSplits('+', 1));
  const auto arm = std::find_if(Arms().begin(), Arms().end(),
                                [&](const ArmInfo& info) { return info.name == parts.first; });
  if (arm == Arms().end()) {
    return absl::InvalidArgumentError(absl::StrCat("arm \"", name, "\": no such arm; ",
                                                   KnownWordsText(name, RegistryNames(Arms()))));
  }
  RunSpec spec = base;
  spec.set_name(std::string(name));
  spec.clear_strategy();
  spec.clear_codec();
  spec.mutable_codec()->set_name("none");
  RM_CHECK(google::protobuf::TextFormat::MergeFromString(arm->settings, &spec));
  KeepOpenFields(*arm, base, &spec);
  if (parts.first == name) return spec;
  RM_RETURN_IF_ERROR(ChooseCodec(name, parts.second, base.codec(), spec.mutable_codec()));
  return spec;
}

absl::Status CheckUndecided(const std::string& assignment, const RunSpec& arm) {
  if (StandingOf(assignment, arm) != Standing::kDecided) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(assignment, ": arm \"", arm.name(),
                                                 "\" decides this field itself",
                                                 ArmsWith(assignment), kOwnSpec));
}

absl::Status CheckTaken(absl::Span<const std::string> assignments, absl::Span<const RunSpec> arms) {
  for (const std::string& assignment : assignments) {
    bool taken = arms.empty();
    for (const RunSpec& arm : arms) {
      RM_RETURN_IF_ERROR(CheckUndecided(assignment, arm));
      taken |= StandingOf(assignment, arm) == Standing::kTaken;
    }
    if (!taken) {
      return absl::InvalidArgumentError(absl::StrCat(
          assignment, ": none of the arms has this field", ArmsWith(assignment), kOwnSpec));
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
