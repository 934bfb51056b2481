#include "common/transport/shm/peer_exchange.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<absl::Span<std::byte>> PeerExchange::Find(int32_t segment, int64_t begin,
                                                         int64_t size_bytes) {
  Segment& mapped = segments_[segment];
  if (mapped.data() == nullptr) {
    // Each field is read once: what is checked is what is used, whatever the peer writes meanwhile.
    const auto* const entry =
        static_cast<const volatile ExchangeEntry*>(&header_->exchange[segment]);
    const Segment::Name name = {pid_, entry->fd, entry->inode, entry->size_bytes};
    if (name.size_bytes <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a descriptor's segment is ", segment, ", which does not exist"));
    }
    RM_ASSIGN_OR_RETURN(mapped, Segment::Open(name, /*writable=*/true));
  }
  if (size_bytes > mapped.size_bytes() || begin < 0 || begin > mapped.size_bytes() - size_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a descriptor's place is ", begin, " and its total size ", size_bytes,
                     ", in a segment of ", mapped.size_bytes(), " bytes"));
  }
  return absl::MakeSpan(mapped.data() + begin, size_bytes);
}

}  // namespace ringmaster
