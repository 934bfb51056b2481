#include "common/transport/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/machine/address_space.h"

namespace ringmaster {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

absl::Status NoMemory(const char* action, int64_t size_bytes, int error) {
  const std::string limit = error == ENOMEM ? DescribeAddressSpaceLimit() : "";
  const std::string text = absl::StrCat("cannot ", action, " ", size_bytes,
                                        " bytes of shared memory: ", ErrorText(error));
  if (IsLimit(error)) return absl::ResourceExhaustedError(text);
  return absl::ResourceExhaustedError(
      absl::StrCat(text, "; ", limit.empty() ? "check the limits of this machine" : limit,
                   ", or use transport \"tcp\""));
}

}  // namespace

Segment& Segment::operator=(Segment&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(inode_, other.inode_);
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

Segment::~Segment() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

absl::Status Segment::Map(int fd, bool writable, const Range& part) {
  void* const data = mmap(nullptr, part.count, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                          MAP_SHARED | MAP_NORESERVE, fd, part.begin);
  if (data == MAP_FAILED) return NoMemory("map", part.count, errno);
  data_ = static_cast<std::byte*>(data);
  size_bytes_ = part.count;
  // A core file would have every peer's weights in it; large pages are taken where the system gives
  // them to such files.
  madvise(data_, size_bytes_, MADV_DONTDUMP);
  madvise(data_, size_bytes_, MADV_HUGEPAGE);
  return absl::OkStatus();
}

absl::StatusOr<Segment> Segment::Create(const char* label, int64_t size_bytes) {
  Segment segment;
  segment.fd_ = Fd(memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  struct stat status {};
  if (!segment.fd_.valid() || fchmod(segment.fd_.get(), 0600) != 0 ||
      ftruncate(segment.fd_.get(), size_bytes) != 0 ||
      fcntl(segment.fd_.get(), F_ADD_SEALS, kSeals) != 0 ||
      fstat(segment.fd_.get(), &status) != 0) {
    return NoMemory("create", size_bytes, errno);
  }
  segment.inode_ = status.st_ino;
  RM_RETURN_IF_ERROR(segment.Map(segment.fd_.get(), true, {0, size_bytes}));
  return segment;
}

Segment::Name Segment::name() const {
  return {static_cast<int32_t>(getpid()), fd_.get(), inode_, size_bytes_};
}

absl::StatusOr<Segment> Segment::Open(const Name& name, bool writable) {
  RM_ASSIGN_OR_RETURN(std::vector<Segment> whole,
                      OpenParts(name, writable, {Range{0, name.size_bytes}}));
  return std::move(whole[0]);
}

absl::StatusOr<std::vector<Segment>> Segment::OpenParts(const Name& name, bool writable,
                                                        absl::Span<const Range> parts) {
  const std::string path = absl::StrCat("/proc/", name.pid, "/fd/", name.fd);
  const Fd fd(
      open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid() && errno == EMFILE) return NoMemory("open", name.size_bytes, EMFILE);
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot open its shared memory at ", path, ": ", ErrorText(errno),
                     "; processes of another host, user or container use transport \"tcp\""));
  }
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || status.st_ino != name.inode ||
      status.st_size != name.size_bytes || status.st_uid != geteuid()) {
    return absl::UnavailableError(
        absl::StrCat(path, " is not the shared memory that was announced (", name.size_bytes,
                     " bytes, sealed, of user ", geteuid(),
                     "); processes of another host, user or container use transport \"tcp\""));
  }
  std::vector<Segment> mapped(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    mapped[i].inode_ = status.st_ino;
    RM_RETURN_IF_ERROR(mapped[i].Map(fd.get(), writable, parts[i]));
  }
  return mapped;
}

absl::Status Segment::Reserve(int64_t offset, int64_t size_bytes) {
  while (fallocate(fd_.get(), 0, offset, size_bytes) != 0) {
    if (errno != EINTR) return NoMemory("reserve", size_bytes, errno);
  }
  return absl::OkStatus();
}

void Segment::Release(int64_t offset, int64_t size_bytes) {
  // Where this fails the pages stay until the process ends.
  fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size_bytes);
}

}  // namespace ringmaster
