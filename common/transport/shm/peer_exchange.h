#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_PEER_EXCHANGE_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_PEER_EXCHANGE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {

// The exchange memory of another process as this one sees it: a segment is mapped when its first
// message comes, so a process maps nothing of peers that send it nothing. One thread at a time;
// what Find returns stays valid while the object lives.
class PeerExchange {
 public:
  // `header` is the one of process `pid`; it outlives this object.
  PeerExchange(const ControlHeader* header, int32_t pid) : header_(header), pid_(pid) {}

  // The `size_bytes` bytes, at least one, from `begin` on in segment `segment`, which is below
  // kExchangeSegments. InvalidArgument: there is no such place. Unavailable: the segment is out of
  // reach, so the process has ended. ResourceExhausted: no address space is left for it.
  absl::StatusOr<absl::Span<std::byte>> Find(int32_t segment, int64_t begin, int64_t size_bytes);

 private:
  const ControlHeader* const header_;
  const int32_t pid_;
  Segment segments_[kExchangeSegments];  // empty until they are wanted
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_PEER_EXCHANGE_H_
