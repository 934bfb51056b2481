#include "common/config/arms.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/known_words.h"
#include "common/scheme/registry.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/field_mask_util.h"

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

// Takes from `base` what the arm leaves open.
void KeepOpenFields(const ArmInfo& arm, const RunSpec& base, RunSpec* spec) {
  google::protobuf::FieldMask open;
  FieldMaskUtil::FromString(arm.open_fields, &open);
  FieldMaskUtil::MergeMessageTo(base, open, FieldMaskUtil::MergeOptions(), spec);
}

}  // namespace

absl::Span<const ArmInfo> Arms() {
  static const auto& arms = *new std::vector<ArmInfo>(CollectArms());
  return arms;
}

absl::StatusOr<RunSpec> MakeArm(absl::string_view name, const RunSpec& base) {
  const auto arm = std::find_if(Arms().begin(), Arms().end(),
                                [&](const ArmInfo& info) { return info.name == name; });
  if (arm == Arms().end()) {
    return absl::InvalidArgumentError(absl::StrCat("arm \"", name, "\": no such arm; ",
                                                   KnownWordsText(name, RegistryNames(Arms()))));
  }
  RunSpec spec = base;
  spec.set_name(std::string(name));
  spec.clear_strategy();
  spec.clear_codec();
  spec.mutable_strategy()->set_launch(PROCESSES);
  spec.mutable_codec()->set_name("none");
  RM_CHECK(google::protobuf::TextFormat::MergeFromString(arm->settings, &spec));
  KeepOpenFields(*arm, base, &spec);
  return spec;
}

}  // namespace ringmaster
