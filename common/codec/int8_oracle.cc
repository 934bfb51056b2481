#include "common/codec/int8_oracle.h"

#include "common/codec/codec_fields.h"
#include "common/codec/level_oracle.h"

namespace ringmaster {
namespace {

LevelPromise PromiseOf(const CodecSpec& spec) {
  return {"int8", 127, static_cast<int32_t>(codec_fields::Get_block(spec)),
          LevelPromise::Rounding::kNearest, /*by_norm=*/false};
}

EncodedSize Size(const CodecSpec& spec, int64_t count) { return LevelSize(PromiseOf(spec), count); }

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  return CheckLevelBound(PromiseOf(spec), in, out);
}

// x - q * unit and + q * unit both round.
bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  return CheckLevelDefinition(PromiseOf(spec), in, decoded);
}

}  // namespace

constexpr CodecOracle kInt8Oracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
