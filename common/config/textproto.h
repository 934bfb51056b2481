#ifndef RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_
#define RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace ringmaster {

// Whether the value says that its field is left out: 0 of most enums, which is called so. Of the
// others 0 is the default. Pure.
bool SaysUnset(const google::protobuf::EnumValueDescriptor& value);

// The names of all values that say something. Pure.
std::vector<std::string> ValueNames(const google::protobuf::EnumDescriptor& type);

// Parses a textproto of `message`'s type into it; fields left out stay unset. `source` names the
// text in errors, usually its path. InvalidArgument: "SOURCE:LINE:COLUMN: what is wrong", lines and
// columns from 1, and where the fields are described. Prints nothing. Thread-safe.
absl::Status ParseTextproto(absl::string_view text, absl::string_view source,
                            google::protobuf::Message* message);

// The message as a textproto, one field a line; ParseTextproto gives the same back. Thread-safe.
std::string ToTextproto(const google::protobuf::Message& message);

// What protobuf's parser says is wrong with a textproto of type `root`, without its full stop, and,
// where it is a name, with the known ones and the nearest of them. Pure.
std::string TextprotoProblem(absl::string_view said, const google::protobuf::Descriptor& root);

// The path of the .textproto file in `folder` whose name is nearest to that of `path`; empty: none
// is near.
std::string NearbyTextproto(const std::string& path, const std::string& folder);

// Reads and parses the file at `path`, at most 1 MiB. `what` names its kind in errors ("run spec").
// NotFound or InvalidArgument for a file that cannot be read, with a file beside it that has nearly
// its name; else as ParseTextproto.
absl::Status LoadTextproto(const std::string& path, absl::string_view what,
                           google::protobuf::Message* message);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_TEXTPROTO_H_
