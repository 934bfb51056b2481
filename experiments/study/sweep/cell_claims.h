#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "experiments/study/sweep/claim_file.h"

namespace ringmaster {

// Several programs may work on one sweep with one store, on one machine or on several that share
// the folder. A program runs only what it has claimed: one trial of one cell of one sweep.
struct CellKey {
  std::string sweep;
  std::string cell;
  int32_t trial = 0;
};

// How long a claim is good without a sign of life.
struct ClaimLease {
  absl::Duration renew_every = absl::Seconds(5);
  int missed_renewals = 3;  // after which it has lapsed
  // Whether the times of files tell ages: one clock writes them all. Otherwise a claim has lapsed
  // when this program has seen it unchanged for so long, by its own clock.
  bool files_tell_ages = true;

  absl::Duration lapses_after() const { return missed_renewals * renew_every; }
};

// The lease where the file system has this name (NetworkFileSystemAt): a network's is a minute, for
// its servers stall, and its files may have the times of many machines. Pure.
ClaimLease LeaseOn(const std::string& network_file_system);

// A claim that this program holds. Destroying it gives the claim up. One thread at a time.
class CellClaim {
 public:
  virtual ~CellClaim() = default;
  // Whether it is still this program's: false after another one found it lapsed and took it over,
  // as happens to a program that was stopped for longer than the lease.
  virtual bool IsHeld() const = 0;
};

// What an attempt to claim a run has come to.
struct ClaimAttempt {
  std::unique_ptr<CellClaim> claim;  // null: another program holds it
  std::string holder;                // who does: "process 12 on host h"
  // When this program first saw the claim as it is now: a later moment than an earlier attempt's is
  // a sign of life.
  MonotonicTime unchanged_since;
};

// The claims in the folder `claims` of a store. A claim is a file that is created exclusively and
// touched every `renew_every` by a thread; who finds it lapsed moves it away and makes its own.
// There are no locks, which network file systems may lack. One thread at a time.
class CellClaims {
 public:
  // `store`: the store's folder, which exists. InvalidArgument: it cannot be written.
  static absl::StatusOr<std::unique_ptr<CellClaims>> Open(const std::string& store,
                                                          const ClaimLease& lease);

  // A claim that has lapsed is taken over; so is at once one whose holder's process id means the
  // same here where no such process lives. Unavailable: the file system's errors.
  absl::StatusOr<ClaimAttempt> Claim(const CellKey& key);

 private:
  struct Seen {
    ClaimFile file;
    MonotonicTime since;
  };

  CellClaims(std::string folder, const ClaimLease& lease)
      : folder_(std::move(folder)), lease_(lease) {}
  // Whether there is a claim at `path` that somebody may still be at work on, who is then in
  // `attempt`; takes a lapsed one away.
  absl::StatusOr<bool> IsTaken(const std::string& path, ClaimAttempt* attempt);
  absl::StatusOr<bool> HasLapsed(const Seen& seen) const;

  const std::string folder_;
  const ClaimLease lease_;
  std::map<std::string, Seen> seen_;  // claims of others, by path
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_
