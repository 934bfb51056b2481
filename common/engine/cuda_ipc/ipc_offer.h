#ifndef RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_OFFER_H_
#define RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_OFFER_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/engine/cuda_ipc/board.h"
#include "common/engine/cuda_ipc/ipc_stream.h"

namespace ringmaster {

// The most ranks: their addresses are a kernel's argument.
inline constexpr int32_t kIpcRanksMax = 64;

// What the ranks tell each other before they sum: a message of EngineSeat::all_gather.
struct IpcOffer {
  using Handle = std::array<char, 64>;  // CUDA's, of memory or of an event

  char device[160];   // UUID and name, ending in a 0: no other device, on whichever machine, has
                      // these
  uint64_t process;   // a random number that no other process has
  Board::Name board;  // rank 0's
  uint64_t memory;  // in the rank's own process: address of its slots, [kIpcSlots, kIpcSlotFloats]
  uint64_t events[kIpcMoments][kIpcSlots];  // in the rank's own process
  Handle memory_handle;                     // for other processes
  Handle event_handles[kIpcMoments][kIpcSlots];
};

std::string EncodeIpcOffer(const IpcOffer& offer);

// The offers by rank. InvalidArgument: a message is none, two ranks are on different devices, or
// there are more than kIpcRanksMax; the text says what to use instead. All ranks judge the same
// messages alike. Pure, thread-safe.
absl::StatusOr<std::vector<IpcOffer>> DecodeIpcOffers(absl::Span<const std::string> messages);

// Another thread's of the same process, whose memory and events are reached as they are: CUDA opens
// a handle in any process but the one that it comes from.
inline bool IsSameProcess(const IpcOffer& a, const IpcOffer& b) { return a.process == b.process; }

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_CUDA_IPC_IPC_OFFER_H_
