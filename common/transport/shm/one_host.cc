#include "common/transport/shm/one_host.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/shm/exact_io.h"
#include "common/transport/shm/host_proof.h"

namespace ringmaster {
namespace {

constexpr char kMagic[8] = {'R', 'M', 'P', 'R', 'O', 'O', 'F', '1'};
constexpr size_t kWhyBytes = 488;

// Both travel as they lie in memory, without padding.
struct Hello {
  char magic[8];
  HostProof::Offer offer;
};
static_assert(sizeof(Hello) == 112);

// What a process has found about all others; every one of them gets the same.
struct Verdict {
  char magic[8];
  uint64_t differs;
  char why[kWhyBytes];  // ends in a zero
};
static_assert(sizeof(Verdict) == 504);

absl::Status Stranger() {
  return absl::FailedPreconditionError(
      "it says what no process of ours does; use one build for all ranks");
}

}  // namespace

absl::Status ProveOneHost(absl::Span<Wire> wires, const Membership& membership,
                          MonotonicTime deadline) {
  const auto describe = [&](int32_t process) {
    return DescribeProcess(membership.processes, process);
  };
  const auto for_all_peers = [&](auto&& action) -> absl::Status {
    for (int32_t process = 0; process < static_cast<int32_t>(wires.size()); ++process) {
      if (process == membership.self) continue;
      RM_RETURN_IF_ERROR(Annotate(action(process, wires[process]),
                                  absl::StrCat(membership.transport, ": ", describe(process))));
    }
    return absl::OkStatus();
  };
  RM_ASSIGN_OR_RETURN(const HostProof own, HostProof::Create());
  Hello hello = {{}, own.offer()};
  std::memcpy(hello.magic, kMagic, sizeof(kMagic));
  // Everybody writes before he reads, so nobody waits in a circle.
  RM_RETURN_IF_ERROR(for_all_peers(
      [&](int32_t, Wire& wire) { return WriteExactly(wire, &hello, sizeof(hello)); }));
  Verdict verdict = {};
  std::memcpy(verdict.magic, kMagic, sizeof(kMagic));
  RM_RETURN_IF_ERROR(for_all_peers([&](int32_t process, Wire& wire) -> absl::Status {
    Hello theirs;
    RM_RETURN_IF_ERROR(ReadExactly(wire, &theirs, sizeof(theirs), membership, deadline));
    if (std::memcmp(theirs.magic, kMagic, sizeof(kMagic)) != 0) return Stranger();
    const absl::Status proved = HostProof::Check(theirs.offer);
    if (proved.ok() || verdict.differs != 0) return absl::OkStatus();
    verdict.differs = 1;
    const std::string why = absl::StrCat(describe(process), " shares no memory with ",
                                         describe(membership.self), ": ", proved.message());
    why.copy(verdict.why, kWhyBytes - 1);
    return absl::OkStatus();
  }));
  // The proof stays open until all have said what they found.
  RM_RETURN_IF_ERROR(for_all_peers(
      [&](int32_t, Wire& wire) { return WriteExactly(wire, &verdict, sizeof(verdict)); }));
  RM_RETURN_IF_ERROR(for_all_peers([&](int32_t, Wire& wire) -> absl::Status {
    Verdict theirs;
    RM_RETURN_IF_ERROR(ReadExactly(wire, &theirs, sizeof(theirs), membership, deadline));
    if (std::memcmp(theirs.magic, kMagic, sizeof(kMagic)) != 0) return Stranger();
    if (verdict.differs == 0) verdict = theirs;
    return absl::OkStatus();
  }));
  if (verdict.differs == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(std::string(verdict.why, strnlen(verdict.why, kWhyBytes)));
}

}  // namespace ringmaster
