#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_SEGMENT_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/partition.h"
#include "common/transport/socket.h"

namespace ringmaster {

// Memory that other processes of this host can map: an anonymous file (memfd) of a size that cannot
// change any more. It has no name, so nothing of it is left when its processes are gone, however
// they ended. Pages come into being when they are first touched.
class Segment {
 public:
  Segment() = default;
  Segment(Segment&& other) noexcept { *this = std::move(other); }
  Segment& operator=(Segment&& other) noexcept;
  ~Segment();

  // A segment of this process, all zero. `label` is what tools show. ResourceExhausted: no
  // descriptor or address space; the text names the limit that was met.
  static absl::StatusOr<Segment> Create(const char* label, int64_t size_bytes);

  // Where another process, which must be the same user's, finds the segment.
  struct Name {
    int32_t pid = 0;
    int32_t fd = 0;
    uint64_t inode = 0;
    int64_t size_bytes = 0;
  };
  Name name() const;

  // Maps the segment of another process; afterwards the two lives are independent. Unavailable: it
  // cannot be opened, or is not what its name says (another size, not sealed, another user's),
  // which is so when the process is not of this host.
  static absl::StatusOr<Segment> Open(const Name& name, bool writable);
  // The same of parts of it, whole pages, in their order: data() and size_bytes() are the part's
  // then.
  static absl::StatusOr<std::vector<Segment>> OpenParts(const Name& name, bool writable,
                                                        absl::Span<const Range> parts);

  // Closes the descriptor: nobody can open the segment any more, and Reserve and Release fail.
  void Seal() { fd_ = Fd(); }

  // Has memory behind [offset, offset + size), whole pages, so that touching it never fails; all
  // zero after a Release. ResourceExhausted when there is none.
  absl::Status Reserve(int64_t offset, int64_t size_bytes);
  // Gives it back.
  void Release(int64_t offset, int64_t size_bytes);

  std::byte* data() const { return data_; }
  int64_t size_bytes() const { return size_bytes_; }

 private:
  // Maps `part` of the file behind `fd`.
  absl::Status Map(int fd, bool writable, const Range& part);

  Fd fd_;
  uint64_t inode_ = 0;
  std::byte* data_ = nullptr;
  int64_t size_bytes_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_SEGMENT_H_
