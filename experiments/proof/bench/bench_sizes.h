#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_SIZES_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_SIZES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// The largest size that a benchmark takes.
inline constexpr int64_t kBenchBytesMax = int64_t{1} << 30;

// The sizes in bytes that `text` names: a comma-separated list of sizes ("4096", "64KiB", "1MiB")
// and ranges ("4KiB:64MiB": from the first by factors of 4 up to the second at most;
// "4KiB:64MiB:x2": by factors of 2), in the order given. Pure. InvalidArgument: no such size or
// range, one that is no multiple of 4, that is not between 4 bytes and kBenchBytesMax, or one named
// twice.
absl::StatusOr<std::vector<int64_t>> ParseSizes(absl::string_view text);

// "64 KiB", "4 B", "1500 B": in the largest unit that divides it. Pure.
std::string FormatSize(int64_t bytes);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_SIZES_H_
