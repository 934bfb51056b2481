#ifndef RINGMASTER_COMMON_CONFIG_RESOLVE_H_
#define RINGMASTER_COMMON_CONFIG_RESOLVE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

class DataSpec;
class RunSpec;

// What resolving needs to know of the world, so that it stays a pure function.
struct ResolveContext {
  std::string default_data_dir;  // of the set-up's data: "mnist" without data.dir is in its folder
                                 // mnist, ...
  // after data.train_limit; 0 where unknown, which only specs with `steps` allow
  int64_t train_samples = 0;
  // of all weights; 0 where unknown, and then buckets are those of a small model
  int64_t model_bytes = 0;
};

// Where the set-up keeps the data sets it fetches, in a folder each: XDG_CACHE_HOME/ringmaster,
// else HOME/.cache/ringmaster. Arguments are those variables' values, empty when unset.
std::string DefaultDataDir(absl::string_view xdg_cache_home, absl::string_view home);

// The data part alone: what a caller needs to count the samples before it resolves the rest.
DataSpec ResolveData(DataSpec data, absl::string_view default_data_dir);

// training.bucket_bytes where it is left out: the largest power of two of which the model is at
// least three, between 512 KiB and 8 MiB: three to six of them, or more in a large model. Follows
// from the model alone, so that all arms of a comparison have the same buckets. Pure.
int64_t DefaultBucketBytes(int64_t model_bytes);

// Fills every field left out with its default: the one place where defaults live, but for a
// scheme's own (common/scheme). Turns epochs into steps and clears epochs, unless both are set:
// Validate refuses that. Keeps every value that is set, right or wrong; resolving twice changes
// nothing. InvalidArgument: epochs without context.train_samples, or not above 0.
absl::StatusOr<RunSpec> Resolve(RunSpec spec, const ResolveContext& context);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_RESOLVE_H_
