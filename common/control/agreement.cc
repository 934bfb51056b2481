#include "common/control/agreement.h"

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/host_port.h"
#include "common/base/status_macros.h"
#include "common/config/run_inputs.h"
#include "common/control/joins.h"
#include "common/machine/host_identity.h"

namespace ringmaster {
namespace {

absl::Status CheckSameStart(const Join& first, const Join& join) {
  const auto differ = [&](absl::string_view what, uint64_t a, uint64_t b) {
    return absl::FailedPreconditionError(absl::StrCat(
        NodesOf(join), " starts from another ", what, " (", absl::Hex(b, absl::kZeroPad16),
        ") than ", NodesOf(first), " (", absl::Hex(a, absl::kZeroPad16),
        "); use the same program and spec on every rank"));
  };
  if (first.layout_fingerprint() != join.layout_fingerprint()) {
    return differ("parameter layout", first.layout_fingerprint(), join.layout_fingerprint());
  }
  if (first.weights_fingerprint() != join.weights_fingerprint()) {
    return differ("set of weights", first.weights_fingerprint(), join.weights_fingerprint());
  }
  return absl::OkStatus();
}

absl::Status CheckSameData(const Join& first, const Join& join) {
  const std::string difference = DataDifference(first.data(), join.data());
  if (difference.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      NodesOf(join), " reads other data than ", NodesOf(first), ": they differ in the ", difference,
      "; put the same files where the spec's data lie on the machine of every rank"));
}

absl::Status CheckSameKernels(const Join& first, const Join& join) {
  if (join.kernel_target() == first.kernel_target()) return absl::OkStatus();
  // What computes is a program, known by its files.
  if (absl::StartsWith(join.kernel_target(), "program ")) {
    return absl::FailedPreconditionError(
        absl::StrCat(NodesOf(join), " computes with ", join.kernel_target(), ", ", NodesOf(first),
                     " with ", first.kernel_target(),
                     "; have the same files of the program on the machine of every rank"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      NodesOf(join), " computes with ", join.kernel_target(), ", ", NodesOf(first), " with ",
      first.kernel_target(), "; set training.kernels so that all ranks agree"));
}

// Whether a process at `other`'s place reaches the data plane of `join`.
absl::Status CheckIsReached(const Join& join, const Join& other) {
  const auto endpoint = HostPort::Parse(join.data_endpoint());
  if (!endpoint.ok() || !IsLoopback(endpoint->host)) return absl::OkStatus();
  // What the system does not say is no difference.
  if (join.boot_id().empty() || other.boot_id().empty() ||
      ShareLoopback(HostOf(join), HostOf(other))) {
    return absl::OkStatus();
  }
  const bool one_machine = join.boot_id() == other.boot_id();
  return absl::FailedPreconditionError(absl::StrCat(
      NodesOf(join), " listens at ", endpoint->ToString(), ", and ", NodesOf(other), " is ",
      one_machine ? "in another network namespace, as in another container or pod"
                  : "on another machine",
      ", from where loopback is not reached; set transport.listen_address to an address that the "
      "others reach, or to "
      "0.0.0.0, and --tls DIR or --insecure"));
}

}  // namespace

absl::Status CheckAgreement(const std::vector<Join>& joins) {
  const Join* first_worker = nullptr;
  const Join* first_reader = nullptr;
  for (const Join& join : joins) {
    // Before layouts, which other classes change too.
    if (join.has_data()) {
      if (first_reader == nullptr) first_reader = &join;
      RM_RETURN_IF_ERROR(CheckSameData(*first_reader, join));
    }
    RM_RETURN_IF_ERROR(CheckSameStart(joins.front(), join));
    if (!join.kernel_target().empty()) {
      if (first_worker == nullptr) first_worker = &join;
      RM_RETURN_IF_ERROR(CheckSameKernels(*first_worker, join));
    }
    for (const Join& other : joins) RM_RETURN_IF_ERROR(CheckIsReached(join, other));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
