#ifndef RINGMASTER_COMMON_BUILD_STAMP_BUILD_STAMP_H_
#define RINGMASTER_COMMON_BUILD_STAMP_BUILD_STAMP_H_

#include "proto/record.pb.h"

namespace ringmaster {

// What this program was built from. commit: as of the link, "-dirty" appended when the tree had
// changes; "unknown" outside a git checkout and in tests (which carry no stamp, so that a commit
// does not repeat them). compiler: name and version. flags: Bazel's compilation mode and compile
// options. No field is ever empty. Thread-safe.
BuildStamp GetBuildStamp();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BUILD_STAMP_BUILD_STAMP_H_
