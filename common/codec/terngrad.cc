#include "common/codec/terngrad.h"

#include <memory>

#include "common/codec/terngrad_oracle.h"
#include "common/codec/level_codec.h"

namespace ringmaster {
namespace {

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.unbiased = true;
  traits.is_random = true;
  return traits;
}

constexpr CodecOption kOptions[] = {
    {RM_CODEC_FIELD(block),
     /*default_value=*/512,
     /*above=*/0,
     /*most=*/kLevelBlockMost,
     "elements that share a scale",
     {7, 1000}},
};

absl::StatusOr<std::unique_ptr<Codec>> CreateTerngrad(const CodecSpec& spec) {
  LevelFormat format{
      "terngrad",      Traits(),         1, static_cast<int32_t>(codec_fields::Get_block(spec)),
      /*random=*/true, /*by_norm=*/false};
  return CreateLevelCodec(format);
}

}  // namespace

constexpr CodecDefinition kTerngradCodec = {
    {"terngrad",
     "-1, 0 or 1 times the largest magnitude of a block, rounded at random: 2 bits an element",
     Traits(), &kTerngradOracle, kOptions},
    CreateTerngrad};

}  // namespace ringmaster
