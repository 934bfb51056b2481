#ifndef RINGMASTER_COMMON_CONFIG_OVERRIDE_H_
#define RINGMASTER_COMMON_CONFIG_OVERRIDE_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

class RunSpec;

// Sets one field of `spec` from "field.path=value", as given to --set:
//   training.steps=100               numbers are checked for range, bools are true or false
//   model.mlp_hidden=256,128         a repeated field is replaced by the comma-separated list
//   strategy.launch=THREADS          enums by name, in any case
//   strategy.all_reduce={}           a message by its textproto in braces
// A field inside another member of a oneof switches to that member and drops what the former held.
// Spaces around the path and the value are ignored. InvalidArgument says what is wrong, with the
// known names, and `spec` is then unchanged: the caller adds what the user wrote, a flag or an
// axis. Thread-safe.
absl::Status SetField(absl::string_view assignment, RunSpec* spec);

// The path of the field of RunSpec called `name`, "optimizer.learning_rate" of "learning_rate",
// among those whose path is wanted: the only one, or the one that is least deep. Empty: there is
// none, or several are as deep. Thread-safe.
std::string FieldCalled(absl::string_view name, absl::FunctionRef<bool(const std::string&)> wanted);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_OVERRIDE_H_
