#include "experiments/study/sweep/claim_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/machine/file_system.h"

namespace ringmaster {
namespace {

constexpr size_t kClaimBytesMax = 4096;

// A network's client says in its own way that a file is gone.
bool IsGone(int error) { return error == ENOENT || error == ESTALE; }

}  // namespace

absl::Status ClaimFileError(int error, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("claim of a sweep's run, file ", path, ": ", ErrorText(error)));
}

std::string ClaimNonce() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

absl::StatusOr<std::optional<ClaimFile>> LookAtClaim(const std::string& path) {
  const absl::StatusOr<absl::Duration> touched = LastChange(path);
  if (absl::IsNotFound(touched.status())) return std::optional<ClaimFile>();
  RM_RETURN_IF_ERROR(touched.status());
  // Opened anew a file shows what others have written to it.
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && IsGone(errno)) return std::optional<ClaimFile>();
  if (!file.valid()) return ClaimFileError(errno, path);
  std::string text(kClaimBytesMax, '\0');
  const ssize_t size = read(file.get(), text.data(), text.size());
  if (size < 0 && IsGone(errno)) return std::optional<ClaimFile>();
  if (size < 0) return ClaimFileError(errno, path);
  text.resize(static_cast<size_t>(size));
  return std::optional<ClaimFile>(ClaimFile{std::move(text), *touched});
}

absl::StatusOr<bool> TakeClaimAway(const std::string& path,
                                   absl::FunctionRef<bool(const ClaimFile&)> is_it) {
  // Under a name of its own nobody else touches it.
  const std::string aside = absl::StrCat(path, ".", ClaimNonce());
  if (rename(path.c_str(), aside.c_str()) != 0) {
    if (IsGone(errno)) return false;
    return ClaimFileError(errno, path);
  }
  const absl::StatusOr<std::optional<ClaimFile>> found = LookAtClaim(aside);
  const bool was_it = found.ok() && found->has_value() && is_it(**found);
  // Back with a living program's. Where a third has claimed the run by now, that one keeps it.
  if (!was_it && link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    if (rename(aside.c_str(), path.c_str()) != 0) return ClaimFileError(errno, path);
    return false;
  }
  unlink(aside.c_str());
  return was_it;
}

}  // namespace ringmaster
