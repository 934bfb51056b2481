#include "common/scheme/server_exchange.h"

#include <memory>

#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/small_tensors.h"
#include "common/exchange/parts.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

const CodecSpec* GivenDownCodec(const RunSpec& resolved) {
  const ParameterServerSpec& server = resolved.strategy().parameter_server();
  return server.has_down_codec() ? &server.down_codec() : nullptr;
}

const CodecSpec* DownCodecOf(const RunSpec& resolved) {
  const CodecSpec* const given = GivenDownCodec(resolved);
  const CodecInfo* const info = given == nullptr ? nullptr : FindCodec(given->name());
  return info == nullptr || info->traits.exact ? nullptr : given;
}

absl::StatusOr<RunTraffic> ServerTraffic(const RunSpec& resolved, const SchemeTraits& traits,
                                         const ParamLayout& layout, NodeId node, int64_t steps) {
  constexpr int64_t kFloatBytes = sizeof(float);
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(resolved.codec()));
  const CodecSpec* const down = DownCodecOf(resolved);
  std::unique_ptr<Codec> down_codec;
  if (down != nullptr) {
    RM_ASSIGN_OR_RETURN(down_codec, CreateCodec(*down));
  }
  const bool is_server = node.role == Role::kServer;
  // The steps after the last whole exchange are pushed by the drain, as an exchange of their own.
  const int64_t exchanges = traits.local_steps == 0 ? steps : CeilDiv(steps, traits.local_steps);
  RunTraffic traffic;
  for (int32_t peer = 0; peer < (is_server ? traits.workers : traits.servers); ++peer) {
    if (traits.servers_beside_workers && peer == node.index) continue;
    const int32_t server = is_server ? node.index : peer;
    for (const Bucket& bucket : layout.buckets()) {
      const Range part = PartOnServer(bucket, traits.servers, server);
      const int64_t count = part.count;
      if (count == 0) continue;
      (is_server ? traffic.received : traffic.sent) +=
          MaxBytesOfSlice(resolved.codec(), *codec, layout, part, exchanges);
      (is_server ? traffic.sent : traffic.received) +=
          down == nullptr ? exchanges * kFloatBytes * count
                          : MaxBytesOfSlice(*down, *down_codec, layout, part, exchanges);
    }
  }
  return traffic;
}

}  // namespace ringmaster
