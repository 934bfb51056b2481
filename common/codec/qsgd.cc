#include "common/codec/qsgd.h"

#include <memory>

#include "common/codec/qsgd_oracle.h"
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
    {RM_CODEC_FIELD(levels),
     /*default_value=*/7,
     /*above=*/0,
     /*most=*/127,
     "magnitudes besides 0",
     {1, 127}},
    {RM_CODEC_FIELD(max_norm),
     /*default_value=*/0,
     /*above=*/-1,
     /*most=*/1,
     "whether a block's largest magnitude is its scale, not its L2 norm",
     {1, 1}},
};

absl::StatusOr<std::unique_ptr<Codec>> CreateQsgd(const CodecSpec& spec) {
  LevelFormat format{"qsgd",
                     Traits(),
                     static_cast<int32_t>(codec_fields::Get_levels(spec)),
                     static_cast<int32_t>(codec_fields::Get_block(spec)),
                     /*random=*/true,
                     /*by_norm=*/codec_fields::Get_max_norm(spec) == 0};
  return CreateLevelCodec(format);
}

}  // namespace

constexpr CodecDefinition kQsgdCodec = {
    {"qsgd", "`levels` magnitudes besides 0, rounded at random: 4 bits an element with 7 of them",
     Traits(), &kQsgdOracle, kOptions},
    CreateQsgd};

}  // namespace ringmaster
