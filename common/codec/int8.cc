#include "common/codec/int8.h"

#include <memory>

#include "common/codec/int8_oracle.h"
#include "common/codec/level_codec.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.device_kind = EncodeKind::kInt8;
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

absl::StatusOr<std::unique_ptr<Codec>> CreateInt8(const CodecSpec& spec) {
  LevelFormat format{
      "int8",           Traits(),         127, static_cast<int32_t>(codec_fields::Get_block(spec)),
      /*random=*/false, /*by_norm=*/false};
  return CreateLevelCodec(format);
}

}  // namespace

constexpr CodecDefinition kInt8Codec = {
    {"int8", "whole numbers of -127 to 127 in blocks that share a scale: 1 byte an element",
     Traits(), &kInt8Oracle, kOptions},
    CreateInt8};

}  // namespace ringmaster
