#include "experiments/study/sweep/cell_claims.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "common/base/fd.h"
#include "common/base/fingerprint.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/formats/json.h"
#include "common/machine/host_identity.h"
#include "common/machine/process_stat.h"

namespace ringmaster {
namespace {

absl::Status FileError(int error, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("claim of a sweep's run, file ", path, ": ", ErrorText(error)));
}

Fd OpenFile(const std::string& path, int flags) {
  return Fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
}

// Keeps every other program from taking lapsed claims over, and from giving claims up.
absl::StatusOr<Fd> LockFolder(const std::string& folder) {
  const std::string path = folder + "/lock";
  Fd file = OpenFile(path, O_RDWR | O_CREAT);
  if (!file.valid()) return FileError(errno, path);
  while (flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return FileError(errno, path);
  }
  return file;
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0) return "";
  return name;
}

std::string OwnText(const CellKey& key) {
  const HostIdentity host = ReadHostIdentity();
  Json json = Json::Object();
  json["sweep"] = key.sweep;
  json["cell"] = key.cell;
  json["trial"] = key.trial;
  json["host"] = HostName();
  json["process"] = getpid();
  json["boot"] = host.boot_id;
  json["pid_namespace"] = host.pid_namespace;
  return json.Dump() + "\n";
}

// What is written in a claim; empty where it is not whole yet, or is no claim.
struct Holder {
  std::string host;
  int64_t process = 0;
  HostIdentity identity;
};

Holder ReadHolder(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::optional<Json> json = Json::Parse(text.str());
  Holder holder;
  if (!json.has_value()) return holder;
  const auto string = [&](const char* key) {
    return json->contains(key) && (*json)[key].is_text() ? (*json)[key].text() : std::string();
  };
  const auto number = [&](const char* key) {
    return json->contains(key) && (*json)[key].is_number()
               ? static_cast<int64_t>((*json)[key].number())
               : 0;
  };
  holder.host = string("host");
  holder.process = number("process");
  holder.identity.boot_id = string("boot");
  holder.identity.pid_namespace = static_cast<uint64_t>(number("pid_namespace"));
  return holder;
}

bool IsDead(const Holder& holder) {
  if (holder.process <= 0 || !ShareProcessIds(holder.identity, ReadHostIdentity())) return false;
  const std::optional<ProcessStat> process = ReadProcessStat(holder.process);
  return !process.has_value() || process->has_ended();
}

// By the clock of the file system; only differences mean anything.
absl::Duration WrittenAt(const struct stat& info) {
  return absl::DurationFromTimespec(info.st_mtim);
}

// Now, by the clock of the file system that holds `lock`.
absl::StatusOr<absl::Duration> FileSystemNow(const Fd& lock) {
  struct stat info;
  if (futimens(lock.get(), nullptr) != 0 || fstat(lock.get(), &info) != 0)
    return FileError(errno, "lock");
  return WrittenAt(info);
}

class FileClaim : public CellClaim {
 public:
  FileClaim(std::string folder, std::string path, Fd file, absl::Duration renew_every)
      : folder_(std::move(folder)),
        path_(std::move(path)),
        file_(std::move(file)),
        renewer_([this, renew_every] { Renew(renew_every); }) {}

  ~FileClaim() override {
    {
      absl::MutexLock lock(&mutex_);
      over_ = true;
      changed_.SignalAll();
    }
    renewer_.join();
    const absl::StatusOr<Fd> lock = LockFolder(folder_);
    if (IsHeld()) unlink(path_.c_str());
  }

  bool IsHeld() const override {
    // Whoever takes a claim over makes a file of its own under the name.
    struct stat own, named;
    return fstat(file_.get(), &own) == 0 && stat(path_.c_str(), &named) == 0 &&
           own.st_ino == named.st_ino && own.st_dev == named.st_dev;
  }

 private:
  void Renew(absl::Duration every) {
    absl::MutexLock lock(&mutex_);
    while (!changed_.AwaitUntil(&mutex_, MonotonicNow() + every,
                                [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return over_; })) {
      futimens(file_.get(), nullptr);
    }
  }

  const std::string folder_;
  const std::string path_;
  const Fd file_;
  absl::Mutex mutex_;
  MonotonicCondVar changed_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread renewer_;  // last: it uses all of the above
};

// Whether there is a claim at `path` that somebody may still be at work on; removes a lapsed one.
absl::StatusOr<bool> IsTaken(const std::string& folder, const std::string& path,
                             absl::Duration lapses_after, std::string* holder) {
  RM_ASSIGN_OR_RETURN(const Fd lock, LockFolder(folder));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return false;
    return FileError(errno, path);
  }
  RM_ASSIGN_OR_RETURN(const absl::Duration now, FileSystemNow(lock));
  const Holder found = ReadHolder(path);
  if (now - WrittenAt(info) <= lapses_after && !IsDead(found)) {
    *holder = found.process == 0 ? "another program"
                                 : absl::StrCat("process ", found.process, " on host ", found.host);
    return true;
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError(errno, path);
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CellClaims>> CellClaims::Open(const std::string& store,
                                                             absl::Duration renew_every) {
  const std::string folder = store + "/claims";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "folder of claims ", folder, ": cannot be created (", ErrorText(error.value()), ")"));
  }
  return std::unique_ptr<CellClaims>(new CellClaims(folder, renew_every));
}

absl::StatusOr<std::unique_ptr<CellClaim>> CellClaims::Claim(const CellKey& key,
                                                             std::string* holder) {
  const std::string path =
      absl::StrFormat("%s/%016x.claim", folder_,
                      Fingerprint64(absl::StrCat(key.sweep, "\n", key.cell, "\n", key.trial)));
  // A program that gives its claim up meanwhile lets the second or third attempt through.
  constexpr int kAttempts = 3;
  for (int i = 0; i < kAttempts; ++i) {
    Fd file = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL);
    if (file.valid()) {
      const std::string text = OwnText(key);
      if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        const int error = errno;
        unlink(path.c_str());
        return FileError(error, path);
      }
      return std::unique_ptr<CellClaim>(
          std::make_unique<FileClaim>(folder_, path, std::move(file), renew_every_));
    }
    if (errno != EEXIST) return FileError(errno, path);
    RM_ASSIGN_OR_RETURN(const bool taken,
                        IsTaken(folder_, path, kMissedRenewals * renew_every_, holder));
    if (taken) return std::unique_ptr<CellClaim>();
  }
  *holder = "other programs";
  return std::unique_ptr<CellClaim>();
}

}  // namespace ringmaster
