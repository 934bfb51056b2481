#ifndef RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_
#define RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace ringmaster {

// Parses a textproto of `message`'s type into it; fields left out stay unset. `source` names the text in errors,
// usually its path. InvalidArgument: "SOURCE:LINE:COLUMN: what is wrong", lines and columns from 1, and where the
// fields are described. Prints nothing. Thread-safe.
absl::Status ParseTextproto(absl::string_view text, absl::string_view source, google::protobuf::Message* message);

// Reads and parses the file at `path`, at most 1 MiB. `what` names its kind in errors ("run spec"). NotFound or
// InvalidArgument for a file that cannot be read; else as ParseTextproto.
absl::Status LoadTextproto(const std::string& path, absl::string_view what, google::protobuf::Message* message);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_
