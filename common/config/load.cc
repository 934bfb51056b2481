#include "common/config/load.h"

#include "common/base/status_macros.h"
#include "common/config/textproto.h"

namespace ringmaster {

absl::StatusOr<RunSpec> ParseRunSpec(absl::string_view text, absl::string_view source) {
  RunSpec spec;
  RM_RETURN_IF_ERROR(ParseTextproto(text, source, &spec));
  return spec;
}

absl::StatusOr<RunSpec> LoadRunSpec(const std::string& path) {
  RunSpec spec;
  RM_RETURN_IF_ERROR(LoadTextproto(path, "run spec", &spec));
  return spec;
}

std::string SerializeRunSpec(const RunSpec& spec) { return ToTextproto(spec); }

}  // namespace ringmaster
