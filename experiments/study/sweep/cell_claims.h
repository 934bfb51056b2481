#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ringmaster {

// Several programs may work on one sweep with one store, on one machine or on several that share
// the folder. A program runs only what it has claimed: one trial of one cell of one sweep.
struct CellKey {
  std::string sweep;
  std::string cell;
  int32_t trial = 0;
};

// A claim that this program holds. Destroying it gives the claim up. One thread at a time.
class CellClaim {
 public:
  virtual ~CellClaim() = default;
  // Whether it is still this program's: false after another one found it lapsed and took it over,
  // as happens to a program that was stopped for longer than kMissedRenewals renewals.
  virtual bool IsHeld() const = 0;
};

// The claims in the folder `claims` of a store. A claim is a file that is created exclusively and
// touched every `renew_every` by a thread. Its age is told by the file system's own clock, so
// clocks of machines need not agree. One thread at a time.
class CellClaims {
 public:
  // A claim that has missed so many renewals has lapsed, and whoever wants it takes it over. At
  // once where its holder's process id means the same here and no such process lives.
  static constexpr int kMissedRenewals = 3;

  // `store`: the store's folder, which exists. InvalidArgument: it cannot be written.
  static absl::StatusOr<std::unique_ptr<CellClaims>> Open(
      const std::string& store, absl::Duration renew_every = absl::Seconds(5));

  // Null where another program holds the claim; `holder` is then who: "process 12 on host
  // h". Unavailable: the file system's errors.
  absl::StatusOr<std::unique_ptr<CellClaim>> Claim(const CellKey& key, std::string* holder);

 private:
  CellClaims(std::string folder, absl::Duration renew_every)
      : folder_(std::move(folder)), renew_every_(renew_every) {}

  const std::string folder_;
  const absl::Duration renew_every_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELL_CLAIMS_H_
