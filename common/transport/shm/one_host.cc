#include "common/transport/shm/one_host.h"

#include <cstring>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/shm/exact_io.h"
#include "common/transport/shm/host_proof.h"

namespace ringmaster {
namespace {

constexpr char kMagic[8] = {'R', 'M', 'P', 'R', 'O', 'O', 'F', '2'};
constexpr size_t kWhyBytes = 488;

// Both travel as they lie in memory, without padding.
struct Hello {
  char magic[8];
  HostProof::Offer offer;
};
static_assert(sizeof(Hello) == 120);

// What a process has found: about its peer, who gets it, or about all of its peers.
struct Verdict {
  char magic[8];
  uint64_t differs;
  char why[kWhyBytes];  // ends in a zero

  absl::Status status() const {
    return differs == 0 ? absl::OkStatus()
                        : absl::FailedPreconditionError(std::string(why, strnlen(why, kWhyBytes)));
  }
};
static_assert(sizeof(Verdict) == 504);

Verdict VerdictOf(const absl::Status& found) {
  Verdict verdict = {};
  std::memcpy(verdict.magic, kMagic, sizeof(kMagic));
  verdict.differs = found.ok() ? 0 : 1;
  found.message().copy(verdict.why, kWhyBytes - 1);
  return verdict;
}

// The talk of this process with all others.
class Talk {
 public:
  Talk(absl::Span<Wire> wires, const Membership& membership, MonotonicTime deadline)
      : wires_(wires), membership_(membership), deadline_(deadline) {}

  std::string Describe(int32_t process) const {
    return DescribeProcess(membership_.processes, process);
  }

  absl::Status ForAllPeers(absl::FunctionRef<absl::Status(int32_t process)> action) const {
    for (int32_t process = 0; process < static_cast<int32_t>(wires_.size()); ++process) {
      if (process == membership_.self) continue;
      RM_RETURN_IF_ERROR(
          Annotate(action(process), absl::StrCat(membership_.transport, ": ", Describe(process))));
    }
    return absl::OkStatus();
  }

  template <typename Message>
  absl::Status Say(int32_t process, const Message& message) const {
    return WriteExactly(wires_[process], &message, sizeof(message));
  }

  template <typename Message>
  absl::Status Hear(int32_t process, Message* message) const {
    RM_RETURN_IF_ERROR(
        ReadExactly(wires_[process], message, sizeof(*message), membership_, deadline_));
    if (std::memcmp(message->magic, kMagic, sizeof(kMagic)) == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "it says what no process of ours does; use one build for all ranks");
  }

 private:
  const absl::Span<Wire> wires_;
  const Membership& membership_;
  const MonotonicTime deadline_;
};

absl::Status CheckOffer(const HostProof::Offer& offer) {
  const absl::Status shares_memory = HostProof::Check(offer);
  return shares_memory.ok() ? HostProof::CheckNetwork(offer) : shares_memory;
}

}  // namespace

absl::StatusOr<std::vector<absl::Status>> ProvePairs(absl::Span<Wire> wires,
                                                     const Membership& membership,
                                                     MonotonicTime deadline) {
  const Talk talk(wires, membership, deadline);
  std::vector<absl::Status> found(wires.size());
  RM_ASSIGN_OR_RETURN(const HostProof own, HostProof::Create());
  Hello hello = {{}, own.offer()};
  std::memcpy(hello.magic, kMagic, sizeof(kMagic));
  // Everybody writes before he reads, so nobody waits in a circle.
  RM_RETURN_IF_ERROR(talk.ForAllPeers([&](int32_t peer) { return talk.Say(peer, hello); }));
  RM_RETURN_IF_ERROR(talk.ForAllPeers([&](int32_t peer) -> absl::Status {
    Hello theirs;
    RM_RETURN_IF_ERROR(talk.Hear(peer, &theirs));
    found[peer] = Annotate(CheckOffer(theirs.offer),
                           absl::StrCat(talk.Describe(peer), " is not on the host of ",
                                        talk.Describe(membership.self)));
    return absl::OkStatus();
  }));
  // The proof stays open until all have said what they found.
  RM_RETURN_IF_ERROR(
      talk.ForAllPeers([&](int32_t peer) { return talk.Say(peer, VerdictOf(found[peer])); }));
  RM_RETURN_IF_ERROR(talk.ForAllPeers([&](int32_t peer) -> absl::Status {
    Verdict theirs;
    RM_RETURN_IF_ERROR(talk.Hear(peer, &theirs));
    if (found[peer].ok()) found[peer] = theirs.status();
    return absl::OkStatus();
  }));
  return found;
}

absl::Status ProveOneHost(absl::Span<Wire> wires, const Membership& membership,
                          MonotonicTime deadline) {
  RM_ASSIGN_OR_RETURN(const std::vector<absl::Status> pairs,
                      ProvePairs(wires, membership, deadline));
  absl::Status found;
  for (const absl::Status& pair : pairs) found.Update(pair);
  const Talk talk(wires, membership, deadline);
  const Verdict own = VerdictOf(found);
  RM_RETURN_IF_ERROR(talk.ForAllPeers([&](int32_t peer) { return talk.Say(peer, own); }));
  RM_RETURN_IF_ERROR(talk.ForAllPeers([&](int32_t peer) -> absl::Status {
    Verdict theirs;
    RM_RETURN_IF_ERROR(talk.Hear(peer, &theirs));
    found.Update(theirs.status());
    return absl::OkStatus();
  }));
  return found;
}

}  // namespace ringmaster
