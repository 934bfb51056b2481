#include "common/machine/file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "common/base/system_error.h"

namespace ringmaster {
namespace {

struct NamedType {
  int64_t type;
  absl::string_view name;
};

// linux/magic.h, the statfs(2) page, and the file systems' own sources where these lack them.
constexpr NamedType kNetworkTypes[] = {
    {0x6969, "nfs"},          {0x517B, "smb"},        {0xFF534D42, "cifs"},   {0xFE534D42, "smb2"},
    {0x0BD00BD0, "lustre"},   {0x47504653, "gpfs"},   {0x19830326, "beegfs"}, {0x00C36400, "ceph"},
    {0x65735546, "fuse"},     {0x01021997, "9p"},     {0x5346414F, "afs"},    {0x6B414653, "afs"},
    {0x73757245, "coda"},     {0x7461636F, "ocfs2"},  {0x01161970, "gfs2"},   {0xAAD7AAEA, "panfs"},
    {0x20030528, "orangefs"}, {0x786F4256, "vboxsf"}, {0xBACBACBC, "vmhgfs"},
};

}  // namespace

absl::string_view NetworkFileSystemName(int64_t type) {
  // The field is signed on some machines.
  const int64_t low = type & 0xFFFFFFFF;
  const auto* const found =
      std::find_if(std::begin(kNetworkTypes), std::end(kNetworkTypes),
                   [low](const NamedType& named) { return named.type == low; });
  return found == std::end(kNetworkTypes) ? absl::string_view() : found->name;
}

std::string NetworkFileSystemAt(const std::string& path) {
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  while (!error && !std::filesystem::exists(at, error) && at.has_relative_path())
    at = at.parent_path();
  struct statfs info;
  if (statfs(at.c_str(), &info) != 0) return "";
  return std::string(NetworkFileSystemName(static_cast<int64_t>(info.f_type)));
}

absl::StatusOr<absl::Duration> LastChange(const std::string& path) {
  struct statx info;
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_MTIME, &info) == 0) {
    return absl::Seconds(info.stx_mtime.tv_sec) + absl::Nanoseconds(info.stx_mtime.tv_nsec);
  }
  // A sandbox may not know the call.
  struct stat plain;
  if (errno == ENOSYS && stat(path.c_str(), &plain) == 0)
    return absl::DurationFromTimespec(plain.st_mtim);
  return SystemError(errno, path);
}

}  // namespace ringmaster
