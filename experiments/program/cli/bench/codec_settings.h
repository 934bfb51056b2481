#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_CODEC_SETTINGS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_CODEC_SETTINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// What `--set codec.FIELD=VALUE` says, of a codec without a name. InvalidArgument: an assignment
// that is none, or of another field.
absl::StatusOr<CodecSpec> ParseCodecSettings(const std::vector<std::string>& assignments);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_CODEC_SETTINGS_H_
