#include "experiments/study/sweep/cell_claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
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
#include "common/machine/file_system.h"
#include "common/machine/host_identity.h"
#include "common/machine/process_stat.h"

namespace ringmaster {
namespace {

Fd OpenFile(const std::string& path, int flags) {
  return Fd(open(path.c_str(), flags | O_CLOEXEC, 0644));
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
  json["nonce"] = ClaimNonce();
  return json.Dump() + "\n";
}

// What is written in a claim; empty where it is not whole yet, or is no claim.
struct Holder {
  std::string host;
  int64_t process = 0;
  HostIdentity identity;
};

Holder HolderIn(const std::string& text) {
  const std::optional<Json> json = Json::Parse(text);
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

class FileClaim : public CellClaim {
 public:
  FileClaim(std::string path, Fd file, std::string text, absl::Duration renew_every)
      : path_(std::move(path)),
        file_(std::move(file)),
        text_(std::move(text)),
        renewer_([this, renew_every] { Renew(renew_every); }) {}

  ~FileClaim() override {
    {
      absl::MutexLock lock(&mutex_);
      over_ = true;
      changed_.SignalAll();
    }
    renewer_.join();
    if (!IsHeld()) return;
    // Should this fail it lapses.
    const auto is_own = [this](const ClaimFile& file) { return file.text == text_; };
    TakeClaimAway(path_, is_own).status().IgnoreError();
  }

  // Whoever takes a claim over makes a file of its own under the name.
  bool IsHeld() const override {
    const absl::StatusOr<std::optional<ClaimFile>> found = LookAtClaim(path_);
    return found.ok() && found->has_value() && (*found)->text == text_;
  }

 private:
  void Renew(absl::Duration every) {
    absl::MutexLock lock(&mutex_);
    while (!changed_.AwaitUntil(&mutex_, MonotonicNow() + every,
                                [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return over_; })) {
      futimens(file_.get(), nullptr);
    }
  }

  const std::string path_;
  const Fd file_;
  const std::string text_;
  absl::Mutex mutex_;
  MonotonicCondVar changed_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread renewer_;  // last: it uses all of the above
};

// Now, by the clock that gives the files in `folder` their times.
absl::StatusOr<absl::Duration> FileSystemNow(const std::string& folder) {
  const std::string path = folder + "/clock";
  const Fd file = OpenFile(path, O_WRONLY | O_CREAT);
  if (!file.valid() || futimens(file.get(), nullptr) != 0) return ClaimFileError(errno, path);
  return LastChange(path);
}

}  // namespace

ClaimLease LeaseOn(const std::string& network_file_system) {
  ClaimLease lease;
  if (network_file_system.empty()) return lease;
  lease.missed_renewals = 12;
  lease.files_tell_ages = false;
  return lease;
}

absl::StatusOr<std::unique_ptr<CellClaims>> CellClaims::Open(const std::string& store,
                                                             const ClaimLease& lease) {
  const std::string folder = store + "/claims";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "folder of claims ", folder, ": cannot be created (", ErrorText(error.value()), ")"));
  }
  return std::unique_ptr<CellClaims>(new CellClaims(folder, lease));
}

absl::StatusOr<bool> CellClaims::HasLapsed(const Seen& seen) const {
  if (MonotonicNow() - seen.since > lease_.lapses_after()) return true;
  if (!lease_.files_tell_ages) return false;
  RM_ASSIGN_OR_RETURN(const absl::Duration now, FileSystemNow(folder_));
  return now - seen.file.touched > lease_.lapses_after();
}

absl::StatusOr<bool> CellClaims::IsTaken(const std::string& path, ClaimAttempt* attempt) {
  RM_ASSIGN_OR_RETURN(const std::optional<ClaimFile> state, LookAtClaim(path));
  if (!state.has_value()) return false;
  const auto [place, is_new] = seen_.try_emplace(path, Seen{*state, MonotonicNow()});
  Seen& seen = place->second;
  if (!is_new && !(seen.file == *state)) seen = {*state, MonotonicNow()};
  const Holder found = HolderIn(state->text);
  RM_ASSIGN_OR_RETURN(const bool lapsed, HasLapsed(seen));
  if (!lapsed && !IsDead(found)) {
    attempt->holder = found.process == 0
                          ? "another program"
                          : absl::StrCat("process ", found.process, " on host ", found.host);
    attempt->unchanged_since = seen.since;
    return true;
  }
  // Whether it is gone, or another program was faster: the next attempt sees.
  const auto is_same = [&state](const ClaimFile& file) { return file == *state; };
  RM_RETURN_IF_ERROR(TakeClaimAway(path, is_same).status());
  return false;
}

absl::StatusOr<ClaimAttempt> CellClaims::Claim(const CellKey& key) {
  const std::string path =
      absl::StrFormat("%s/%016x.claim", folder_,
                      Fingerprint64(absl::StrCat(key.sweep, "\n", key.cell, "\n", key.trial)));
  ClaimAttempt attempt;
  // A program that gives its claim up meanwhile lets the second or third attempt through.
  constexpr int kAttempts = 3;
  for (int i = 0; i < kAttempts; ++i) {
    Fd file = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL);
    if (file.valid()) {
      std::string text = OwnText(key);
      const bool whole =
          write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
      // Closing any descriptor of it has a network's client pass on what was written.
      if (!whole || close(dup(file.get())) != 0) {
        const int error = errno;
        unlink(path.c_str());
        return ClaimFileError(error, path);
      }
      attempt.claim =
          std::make_unique<FileClaim>(path, std::move(file), std::move(text), lease_.renew_every);
      return attempt;
    }
    if (errno != EEXIST) return ClaimFileError(errno, path);
    RM_ASSIGN_OR_RETURN(const bool taken, IsTaken(path, &attempt));
    if (taken) return attempt;
  }
  attempt.holder = "other programs";
  attempt.unchanged_since = MonotonicNow();
  return attempt;
}

}  // namespace ringmaster
