#include "common/engine/cuda_ipc/ipc_offer.h"

#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr char kInstead[] =
    "; use collective \"nccl\", which takes a GPU for each rank, or \"ring\", \"mpi\" or \"gloo\", "
    "which sum on the host";

}  // namespace

std::string EncodeIpcOffer(const IpcOffer& offer) {
  static_assert(std::is_trivially_copyable_v<IpcOffer>);
  return std::string(reinterpret_cast<const char*>(&offer), sizeof(offer));
}

absl::StatusOr<std::vector<IpcOffer>> DecodeIpcOffers(absl::Span<const std::string> messages) {
  if (messages.size() > static_cast<size_t>(kIpcRanksMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat(messages.size(), " ranks on one GPU, at most ", kIpcRanksMax, kInstead));
  }
  std::vector<IpcOffer> offers(messages.size());
  for (size_t rank = 0; rank < messages.size(); ++rank) {
    IpcOffer& offer = offers[rank];
    if (messages[rank].size() != sizeof(offer)) {
      return absl::InvalidArgumentError(
          absl::StrCat("rank ", rank, " offered ", messages[rank].size(), " bytes, expected ",
                       sizeof(offer), "; start all ranks from the same build"));
    }
    std::memcpy(&offer, messages[rank].data(), sizeof(offer));
    offer.device[sizeof(offer.device) - 1] = '\0';
    if (std::strcmp(offer.device, offers[0].device) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks 0 and ", rank, " are on different GPUs, ", offers[0].device, " and ", offer.device,
        ": CUDA IPC sums in the memory of one GPU that all ranks share", kInstead));
  }
  return offers;
}

}  // namespace ringmaster
