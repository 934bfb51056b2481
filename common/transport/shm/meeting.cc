#include "common/transport/shm/meeting.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/shm/exact_io.h"
#include "common/transport/shm/layout.h"

namespace ringmaster {
namespace {

constexpr char kOfferMagic[8] = {'R', 'M', 'S', 'H', 'A', 'R', 'E', '2'};
constexpr char kMapped = 'M';

// Travels as it lies in memory; all fields are naturally aligned, so there is no padding.
struct Offer {
  char magic[8];
  int32_t pid;
  int32_t control_fd;
  uint64_t control_inode;
  int64_t control_bytes;
  uint64_t nonce;
};
static_assert(sizeof(Offer) == 40);

Offer OfferOf(const Shared& own) {
  const Segment::Name control = own.control->name();
  Offer offer = {{}, control.pid, control.fd, control.inode, control.size_bytes, own.nonce};
  std::memcpy(offer.magic, kOfferMagic, sizeof(kOfferMagic));
  return offer;
}

// By process `self` of `processes`.
absl::StatusOr<PeerMemory> OpenOffer(const Offer& offer, int32_t self, int64_t processes) {
  if (std::memcmp(offer.magic, kOfferMagic, sizeof(kOfferMagic)) != 0 ||
      offer.control_bytes != ControlBytes(processes)) {
    return absl::FailedPreconditionError(
        "what it says of its shared memory makes no sense; use one build for all ranks");
  }
  RM_ASSIGN_OR_RETURN(
      std::vector<Segment> parts,
      Segment::OpenParts({offer.pid, offer.control_fd, offer.control_inode, offer.control_bytes},
                         /*writable=*/true,
                         {Range{0, sizeof(ControlHeader)}, Range{LaneOffset(self), sizeof(Lane)}}));
  PeerMemory memory = {offer.pid, std::move(parts[0]), std::move(parts[1])};
  if (reinterpret_cast<const ControlHeader*>(memory.header.data())->nonce != offer.nonce) {
    return absl::UnavailableError(
        "the shared memory found is another process's; use transport \"tcp\" across hosts");
  }
  return memory;
}

}  // namespace

absl::StatusOr<std::vector<PeerMemory>> ShareMemory(absl::Span<Wire> wires,
                                                    const Membership& membership, const Shared& own,
                                                    MonotonicTime deadline) {
  std::vector<PeerMemory> memories(wires.size());
  const auto for_all_peers = [&](auto&& action) -> absl::Status {
    for (int32_t process = 0; process < static_cast<int32_t>(wires.size()); ++process) {
      if (!wires[process].valid()) continue;
      RM_RETURN_IF_ERROR(Annotate(action(process, wires[process]),
                                  absl::StrCat(membership.transport, ": ",
                                               DescribeProcess(membership.processes, process))));
    }
    return absl::OkStatus();
  };
  const Offer offer = OfferOf(own);
  // Everybody writes before he reads, so nobody waits in a circle.
  RM_RETURN_IF_ERROR(for_all_peers(
      [&](int32_t, Wire& wire) { return WriteExactly(wire, &offer, sizeof(offer)); }));
  RM_RETURN_IF_ERROR(for_all_peers([&](int32_t process, Wire& wire) -> absl::Status {
    Offer theirs;
    RM_RETURN_IF_ERROR(ReadExactly(wire, &theirs, sizeof(theirs), membership, deadline));
    RM_ASSIGN_OR_RETURN(memories[process], OpenOffer(theirs, membership.self, wires.size()));
    return absl::OkStatus();
  }));
  RM_RETURN_IF_ERROR(
      for_all_peers([&](int32_t, Wire& wire) { return WriteExactly(wire, &kMapped, 1); }));
  RM_RETURN_IF_ERROR(for_all_peers([&](int32_t, Wire& wire) -> absl::Status {
    char mapped = 0;
    RM_RETURN_IF_ERROR(ReadExactly(wire, &mapped, 1, membership, deadline));
    if (mapped == kMapped) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "it answers what no process of ours does; use one build for all ranks");
  }));
  return memories;
}

}  // namespace ringmaster
