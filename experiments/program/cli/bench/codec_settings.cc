#include "experiments/program/cli/bench/codec_settings.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/override.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

absl::StatusOr<CodecSpec> ParseCodecSettings(const std::vector<std::string>& assignments) {
  RunSpec run;
  for (const std::string& assignment : assignments) {
    if (!absl::StartsWith(assignment, "codec.") || absl::StartsWith(assignment, "codec.name")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--set ", assignment, ": expected an option of the codec, codec.FIELD=VALUE"));
    }
    RM_RETURN_IF_ERROR(Annotate(SetField(assignment, &run), absl::StrCat("--set ", assignment)));
  }
  return run.codec();
}

}  // namespace ringmaster
