#ifndef RINGMASTER_COMMON_CONFIG_ARMS_H_
#define RINGMASTER_COMMON_CONFIG_ARMS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

class RunSpec;

// All arms of all schemes, in the order in which tables show them. Lives as long as the program.
absl::Span<const ArmInfo> Arms();

// `base` (not yet resolved) with the arm's name, strategy and codec in place of its own; dp also
// changes the transport to inproc. What the base says where the arm leaves it open is kept:
// parameter_server.servers for arms with dedicated servers, parameter_server.staleness_bound for
// ssp, codec.density for top-k, codec.error_feedback for arms with a codec, strategy.launch for all
// but dp. "ARM+CODEC" is an arm that sends floats, with that codec and the base's other fields of
// `codec` as far as it takes them. InvalidArgument names the known arms or codecs.
absl::StatusOr<RunSpec> MakeArm(absl::string_view arm, const RunSpec& base);

// Checks that nothing that was asked for by name is dropped. `assignments`: "field.path=value", as
// of SetField, that were set on the base of which MakeArm made `arms`. InvalidArgument: a field
// that an arm decides has another value there, or none of the arms has the field at all; the
// message names arms that have the value. A field of another scheme or codec, or one that only some
// arms leave open, is no error where one of the arms takes it.
absl::Status CheckTaken(absl::Span<const std::string> assignments, absl::Span<const RunSpec> arms);

// The same of one field and one arm, for which a field of another scheme or codec is no error.
absl::Status CheckUndecided(const std::string& assignment, const RunSpec& arm);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_ARMS_H_
