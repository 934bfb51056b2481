#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/fd.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/security/certificates.h"

namespace ringmaster {
namespace {

constexpr const char* kFiles[] = {kAuthorityFile, kCertificateFile, kKeyFile};
constexpr off_t kFileBytesMax = 1 << 20;

absl::Status WriteFile(const std::string& path, const std::string& text) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const auto size = static_cast<ssize_t>(text.size());
  if (fd.valid() && write(fd.get(), text.data(), text.size()) == size && fsync(fd.get()) == 0)
    return absl::OkStatus();
  return SystemError(errno, absl::StrCat("cannot write ", path));
}

// The entries of a folder; none where there is no folder.
std::vector<std::string> EntriesOf(const std::string& folder) {
  std::vector<std::string> entries;
  DIR* const open = opendir(folder.c_str());
  if (open == nullptr) return entries;
  while (const dirent* const entry = readdir(open)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") entries.emplace_back(name);
  }
  closedir(open);
  return entries;
}

bool IsOwnFile(const std::string& name) {
  for (const char* const file : kFiles) {
    if (name == file) return true;
  }
  return false;
}

void Remove(const std::string& folder) {
  for (const char* const file : kFiles) unlink(absl::StrCat(folder, "/", file).c_str());
  rmdir(folder.c_str());
}

absl::Status Fill(const JobCertificates& certificates, const std::string& folder) {
  const std::pair<const char*, const std::string*> texts[] = {
      {kAuthorityFile, &certificates.authority},
      {kCertificateFile, &certificates.certificate},
      {kKeyFile, &certificates.key}};
  for (const auto& [name, text] : texts)
    RM_RETURN_IF_ERROR(WriteFile(absl::StrCat(folder, "/", name), *text));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, bool is_secret) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts {};
  if (!fd.valid() || fstat(fd.get(), &facts) != 0)
    return SystemError(errno, absl::StrCat("cannot read ", path));
  if (is_secret && (facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, " is a key that other users may read; make it yours alone: chmod 600 ",
                     path, ", and make new certificates if anybody has seen it"));
  }
  if (!S_ISREG(facts.st_mode) || facts.st_size > kFileBytesMax)
    return absl::InvalidArgumentError(absl::StrCat(path, " is no file of `ringmaster keygen`"));
  std::string text(static_cast<size_t>(facts.st_size), '\0');
  if (read(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return SystemError(errno, absl::StrCat("cannot read ", path));
  return text;
}

}  // namespace

absl::Status WriteCertificates(const JobCertificates& certificates, const std::string& path,
                               bool replaces) {
  const std::string folder(absl::StripSuffix(path, "/"));
  const std::vector<std::string> there = EntriesOf(folder);
  for (const std::string& name : there) {
    if (replaces && IsOwnFile(name)) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(folder, " has ", name, "; give another folder",
                     IsOwnFile(name) ? ", or --force, which replaces its certificates" : ""));
  }
  std::string fresh = absl::StrCat(folder, ".new-XXXXXX");
  if (mkdtemp(fresh.data()) == nullptr)  // 0700
    return SystemError(errno, absl::StrCat("cannot make a folder beside ", folder));
  if (const absl::Status filled = Fill(certificates, fresh); !filled.ok()) {
    Remove(fresh);
    return filled;
  }
  const bool exchanges = !there.empty();
  const int moved =
      exchanges ? renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE)
                : rename(fresh.c_str(), folder.c_str());
  const int error = errno;
  Remove(fresh);  // which is the one that was there, or gone, or of no use
  if (moved != 0) return SystemError(error, absl::StrCat("cannot make the folder ", folder));
  return absl::OkStatus();
}

absl::StatusOr<JobCertificates> ReadCertificates(const std::string& folder) {
  if (access(folder.c_str(), F_OK) != 0) {
    return SystemError(errno, absl::StrCat("no certificates in ", folder, "; `ringmaster keygen ",
                                           folder, "` makes them, for a job on one machine"));
  }
  JobCertificates certificates;
  RM_ASSIGN_OR_RETURN(certificates.authority,
                      ReadFile(absl::StrCat(folder, "/", kAuthorityFile), false));
  RM_ASSIGN_OR_RETURN(certificates.certificate,
                      ReadFile(absl::StrCat(folder, "/", kCertificateFile), false));
  RM_ASSIGN_OR_RETURN(certificates.key, ReadFile(absl::StrCat(folder, "/", kKeyFile), true));
  return certificates;
}

}  // namespace ringmaster
