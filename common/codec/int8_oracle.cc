#include "common/codec/int8_oracle.h"

#include "common/codec/codec_fields.h"
#include "common/codec/level_oracle.h"

namespace ringmaster {
namespace {

LevelPromise PromiseOf(const CodecSpec& spec) {
  return {"int8", 127, static_cast<int32_t>(codec_fields::Get_block(spec)),
          LevelPromise::Rounding::kNearest, /*by_norm=*/false};
}

}  // namespace

constexpr CodecOracle kInt8Oracle = LevelOracle<PromiseOf>(nullptr);

}  // namespace ringmaster
