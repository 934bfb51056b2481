#include "common/transport/shm/host_proof.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/system_error.h"
#include "common/machine/host_identity.h"

namespace ringmaster {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr size_t kNumberBytes = sizeof(HostProof::Offer::number);

absl::Status Differs(absl::string_view what) { return absl::FailedPreconditionError(what); }

// Of an offer, which may come from a stranger.
std::string BootIdOf(const HostProof::Offer& offer) {
  return std::string(offer.boot_id, strnlen(offer.boot_id, sizeof(offer.boot_id)));
}

absl::Status CheckIdentity(const HostProof::Offer& offer) {
  const HostIdentity own = ReadHostIdentity();
  const std::string theirs = BootIdOf(offer);
  if (own.boot_id.empty() || theirs.empty()) {
    return Differs(
        "the system says no boot id (/proc/sys/kernel/random/boot_id), so nothing proves one host");
  }
  if (own.boot_id != theirs) {
    return Differs(
        absl::StrCat("it runs on another machine (boot id ", theirs, ", here ", own.boot_id, ")"));
  }
  if (own.pid_namespace != offer.pid_namespace) {
    return Differs(absl::StrCat("it runs in another pid namespace (", offer.pid_namespace,
                                ", here ", own.pid_namespace, "), as in another container"));
  }
  if (offer.user != geteuid()) {
    return Differs(
        absl::StrCat("it runs as another user (", offer.user, ", here ", geteuid(), ")"));
  }
  return absl::OkStatus();
}

absl::Status NotReached(const std::string& path, int error) {
  if (access("/proc/self/fd", X_OK) != 0)
    return Differs("/proc is not mounted here, through which memory is found");
  return Differs(absl::StrCat("its files are not visible here at ", path, ": ", ErrorText(error),
                              " (another /proc, or rules that hide processes)"));
}

absl::Status NotTheirs(const std::string& path) {
  return Differs(
      absl::StrCat(path, " is another process's file: what /proc shows here is not its /proc"));
}

bool IsOfItsKind(const struct stat& status, const HostProof::Offer& offer) {
  return S_ISREG(status.st_mode) && status.st_ino == offer.inode &&
         status.st_size == kNumberBytes && status.st_uid == offer.user;
}

// The system may add seals of its own.
bool IsSealed(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

}  // namespace

absl::StatusOr<HostProof> HostProof::Create() {
  HostProof proof;
  proof.fd_ = Fd(memfd_create("ringmaster-proof", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const int fd = proof.fd_.get();
  struct stat status {};
  Offer& offer = proof.offer_;
  if (!proof.fd_.valid() || fchmod(fd, 0600) != 0 ||
      getrandom(offer.number, kNumberBytes, 0) != static_cast<ssize_t>(kNumberBytes) ||
      write(fd, offer.number, kNumberBytes) != static_cast<ssize_t>(kNumberBytes) ||
      fcntl(fd, F_ADD_SEALS, kSeals) != 0 || fstat(fd, &status) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot make a file in memory with a random number: ", ErrorText(errno)));
  }
  const HostIdentity own = ReadHostIdentity();
  own.boot_id.copy(offer.boot_id, sizeof(offer.boot_id) - 1);
  offer.pid_namespace = own.pid_namespace;
  offer.network_namespace = own.network_namespace;
  offer.inode = status.st_ino;
  offer.pid = static_cast<int32_t>(getpid());
  offer.fd = fd;
  offer.user = geteuid();
  return proof;
}

absl::Status HostProof::CheckNetwork(const Offer& offer) {
  const uint64_t own = ReadHostIdentity().network_namespace;
  if (own == offer.network_namespace) return absl::OkStatus();
  return Differs(absl::StrCat("it runs in another network namespace (", offer.network_namespace,
                              ", here ", own, "), as in another container or pod"));
}

absl::Status HostProof::Check(const Offer& offer) {
  const absl::Status identity = CheckIdentity(offer);
  if (!identity.ok()) return identity;
  const std::string path = absl::StrCat("/proc/", offer.pid, "/fd/", offer.fd);
  // Looked at before it is opened: opening a stranger's device or pipe may do something.
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return NotReached(path, errno);
  if (!IsOfItsKind(status, offer)) return NotTheirs(path);
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return NotReached(path, errno);
  uint64_t number[4] = {};
  const bool has_number =
      fstat(fd.get(), &status) == 0 && IsOfItsKind(status, offer) && IsSealed(fd.get()) &&
      pread(fd.get(), number, kNumberBytes, 0) == static_cast<ssize_t>(kNumberBytes) &&
      std::memcmp(number, offer.number, kNumberBytes) == 0;
  return has_number ? absl::OkStatus() : NotTheirs(path);
}

}  // namespace ringmaster
