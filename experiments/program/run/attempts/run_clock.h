#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RUN_CLOCK_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RUN_CLOCK_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/trace/phase.h"
#include "experiments/program/run/attempts/shared_file.h"

namespace ringmaster {

// When a run's clock of training began. It outlives the run's processes: those that are started in
// their place go on with the same clock, so times to an accuracy have all that a loss has cost. It
// lies in an anonymous file that the launcher and the processes of one machine share. Any thread.
class RunClock {
 public:
  // The launcher's side: the clock has not begun.
  static absl::StatusOr<std::unique_ptr<RunClock>> Create();
  // A process's side. Errors: no such file, or one of another kind.
  static absl::StatusOr<std::unique_ptr<RunClock>> Open(const std::string& path);
  // Where processes of this user open it, while the launcher's object lives.
  const std::string& path() const { return file_.path(); }

  // Absent: it has not begun.
  std::optional<Clock::time_point> begin() const;

  // It began at this moment. The first call in any process counts.
  void Begin(Clock::time_point begin);

 private:
  struct Memory;
  explicit RunClock(SharedFile file) : file_(std::move(file)) {}
  Memory* memory() const { return static_cast<Memory*>(file_.data()); }

  const SharedFile file_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RUN_CLOCK_H_
