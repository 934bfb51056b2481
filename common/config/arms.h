#ifndef RINGMASTER_COMMON_CONFIG_ARMS_H_
#define RINGMASTER_COMMON_CONFIG_ARMS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/scheme/scheme.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// All arms of all schemes, in the order in which tables show them. Lives as long as the program.
absl::Span<const ArmInfo> Arms();

// `base` (not yet resolved) with the arm's name, strategy and codec in place of its own; dp also
// changes the transport to inproc. What the base says where the arm leaves it open is kept:
// parameter_server.servers for arms with dedicated servers, parameter_server.staleness_bound for
// ssp, codec.density for top-k. InvalidArgument names the known arms.
absl::StatusOr<RunSpec> MakeArm(absl::string_view arm, const RunSpec& base);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_ARMS_H_
