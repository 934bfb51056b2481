#include "common/codec/int4_oracle.h"

#include "common/codec/codec_fields.h"
#include "common/codec/level_oracle.h"

namespace ringmaster {
namespace {

LevelPromise PromiseOf(const CodecSpec& spec) {
  return {"int4", 7, static_cast<int32_t>(codec_fields::Get_block(spec)),
          LevelPromise::Rounding::kNearest, /*by_norm=*/false};
}

}  // namespace

constexpr CodecOracle kInt4Oracle = LevelOracle<PromiseOf>(nullptr);

}  // namespace ringmaster
