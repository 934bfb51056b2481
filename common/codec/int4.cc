#include "common/codec/int4.h"

#include <memory>

#include "common/codec/int4_oracle.h"
#include "common/codec/level_codec.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.device_kind = EncodeKind::kInt4;
  traits.feedback_by_default = true;
  return traits;
}

constexpr CodecOption kOptions[] = {
    {RM_CODEC_FIELD(block),
     /*default_value=*/256,
     /*above=*/0,
     /*most=*/kLevelBlockMost,
     "elements that share a scale",
     {7, 1000}},
};

absl::StatusOr<std::unique_ptr<Codec>> CreateInt4(const CodecSpec& spec) {
  LevelFormat format{
      "int4",           Traits(),         7, static_cast<int32_t>(codec_fields::Get_block(spec)),
      /*random=*/false, /*by_norm=*/false};
  return CreateLevelCodec(format);
}

}  // namespace

constexpr CodecDefinition kInt4Codec = {
    {"int4", "whole numbers of -7 to 7 in blocks that share a scale: 4 bits an element", Traits(),
     &kInt4Oracle, kOptions},
    CreateInt4};

}  // namespace ringmaster
