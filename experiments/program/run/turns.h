#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringmaster {

// Runs of several programs that take turns on one machine: each stops before the steps it has not
// been granted, outside of its timed steps, and continues where it was. The state lies in an
// anonymous file that the processes of a run share.
//
// One side of it: who grants steps, and reads when each worker came to which. One thread; the
// destructor grants all, so that nobody is left waiting.
class TurnGiver {
 public:
  static absl::StatusOr<std::unique_ptr<TurnGiver>> Create(int32_t workers, int64_t steps);
  ~TurnGiver();
  TurnGiver(const TurnGiver&) = delete;
  TurnGiver& operator=(const TurnGiver&) = delete;

  // Where other processes of this user open it.
  const std::string& path() const { return path_; }
  // Workers may run the steps below `steps` from now on.
  void Grant(int64_t steps);
  // Whether every worker has come to `step`, that is, finished the one before it.
  bool AllCameTo(int64_t step) const;
  // From when the last worker came to `begin` until the last one came to `end`; both have been
  // reached.
  double Seconds(int64_t begin, int64_t end) const;

 private:
  TurnGiver() = default;

  int file_ = -1;
  void* memory_ = nullptr;
  int64_t size_ = 0;
  std::string path_;
};

// The other side: one process of a run.
class TurnTaker {
 public:
  // Errors: no such file, or one of another kind.
  static absl::StatusOr<std::unique_ptr<TurnTaker>> Open(const std::string& path);
  ~TurnTaker();
  TurnTaker(const TurnTaker&) = delete;
  TurnTaker& operator=(const TurnTaker&) = delete;

  // Notes that worker `rank` has come to `step`, and returns once it is granted. The status of
  // `run`, asked now and then, ends the wait. Several workers' threads may wait at once.
  absl::Status Await(int32_t rank, int64_t step, const std::function<absl::Status()>& run);

 private:
  TurnTaker() = default;

  void* memory_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_TURNS_H_
