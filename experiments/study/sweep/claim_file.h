#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CLAIM_FILE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CLAIM_FILE_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ringmaster {

// A claim's file, as it was at one look.
struct ClaimFile {
  std::string text;
  absl::Duration touched;  // LastChange
  bool operator==(const ClaimFile& other) const {
    return text == other.text && touched == other.touched;
  }
};

// The file at `path` as it is now, also where other machines write it; nothing: there is none.
// Unavailable: the file system's errors. Thread-safe.
absl::StatusOr<std::optional<ClaimFile>> LookAtClaim(const std::string& path);

// Removes the file at `path` if `is_it`, and leaves another one, which somebody has made there
// since the caller looked, as it is. Returns whether it was the one. Without locks: it is moved
// aside, looked at, and put back if it is another's; who makes a third meanwhile is left with that.
// For that moment the file is not there. Unavailable: the file system's errors. Thread-safe.
absl::StatusOr<bool> TakeClaimAway(const std::string& path,
                                   absl::FunctionRef<bool(const ClaimFile&)> is_it);

// "claim of a sweep's run, file PATH: No space left on device: ...", of the errno `error`.
absl::Status ClaimFileError(int error, const std::string& path);

// A word that no other claim has. Thread-safe.
std::string ClaimNonce();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CLAIM_FILE_H_
