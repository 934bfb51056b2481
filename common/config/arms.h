#ifndef RINGMASTER_COMMON_CONFIG_ARMS_H_
#define RINGMASTER_COMMON_CONFIG_ARMS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// A strategy and codec setting with a name.
struct ArmInfo {
  const char* name;
  const char* summary;  // one sentence, for `list`
  bool by_default;      // part of `compare` when no arms are named
};

// All arms, in the order in which tables show them.
absl::Span<const ArmInfo> Arms();

// `base` (not yet resolved) with the arm's name, strategy and codec in place of its own; dp also changes the
// transport to inproc. What the base says where the arm leaves it open is kept: parameter_server.servers for arms
// with dedicated servers, parameter_server.staleness_bound for ssp, codec.density for top-k. InvalidArgument names
// the known arms.
absl::StatusOr<RunSpec> MakeArm(absl::string_view arm, const RunSpec& base);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_ARMS_H_
