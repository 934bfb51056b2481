#include "common/build_stamp/build_stamp.h"

#include "absl/strings/string_view.h"
#include "common/build_stamp/compile_flags.h"

extern "C" const char ringmaster_commit[];  // commit_stamp.cc

namespace ringmaster {

BuildStamp GetBuildStamp() {
  const absl::string_view commit = ringmaster_commit;
  BuildStamp stamp;
  stamp.set_commit(commit == "0" ? "unknown" : ringmaster_commit);
#if defined(__clang__)
  stamp.set_compiler(__VERSION__);
#else
  stamp.set_compiler("g++ " __VERSION__);
#endif
  stamp.set_flags(kCompileFlags);
  return stamp;
}

}  // namespace ringmaster
