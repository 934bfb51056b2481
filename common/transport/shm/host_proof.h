#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_HOST_PROOF_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_HOST_PROOF_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/transport/socket.h"

namespace ringmaster {

// Proof that two processes are on one host and find each other's memory by process id. Text cannot
// say it: two pods may have one address, and /proc/1/fd/8 is somebody's everywhere. Each process
// offers a file in memory that holds a fresh random number; whoever opens it, and finds that
// number, is on the same host and reads the same /proc.
class HostProof {
 public:
  // What a process tells the others. Travels as it lies in memory; all fields are naturally
  // aligned, without padding.
  struct Offer {
    char boot_id[40];            // ends in a zero; empty: the system says none
    uint64_t pid_namespace;      // 0: the system says none
    uint64_t network_namespace;  // the same
    uint64_t inode;
    uint64_t number[4];
    int32_t pid;
    int32_t fd;
    uint32_t user;
    uint32_t zero;
  };

  // Unavailable: no descriptor, or no random numbers.
  static absl::StatusOr<HostProof> Create();

  // What Check of another process needs; valid while this object lives.
  const Offer& offer() const { return offer_; }

  // OK: this process has opened the file of `offer` and read its number. FailedPrecondition says
  // what differs: the boot, the pid namespace, the user, or what /proc shows. Whatever the offer
  // says, a file that is not of its kind is neither opened nor written.
  static absl::Status Check(const Offer& offer);

  // OK: the process of `offer`, which passed Check, is in this one's network namespace. Two that
  // are not may share memory, and are two hosts all the same: their names, addresses and rates
  // differ. FailedPrecondition says so.
  static absl::Status CheckNetwork(const Offer& offer);

 private:
  HostProof() = default;

  Fd fd_;
  Offer offer_{};
};
static_assert(sizeof(HostProof::Offer) == 112);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_HOST_PROOF_H_
