#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RESTARTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RESTARTS_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/control/control_core.h"
#include "experiments/program/run/losses.h"
#include "proto/record.pb.h"

namespace ringmaster {

// How often a run is started again where limits.restarts is left out.
inline constexpr int32_t kRestartsDefault = 3;

struct RestartRules {
  int32_t most = 0;  // 0: a loss ends the run for good
  int32_t workers = 1;
  bool claims = false;  // workers make unlike numbers of steps; a step of the run is N lots
  // Where servers make an update of each worker's push: steps in a push. 0: they do not.
  int32_t steps_per_update = 0;
  bool makes_checkpoints = false;
};

// How far an attempt at a run had come when it ended.
struct StepsMade {
  int64_t latest = 0;  // that a worker had begun
  // By all workers together, those before this attempt too; absent: one of them has not told.
  std::optional<int64_t> ended;
};

// What follows when all processes of a run have ended with one that was lost: whether they are
// started again, and what the record says of it. Pure: no processes, files or clock. One thread.
class Restarts {
 public:
  explicit Restarts(const RestartRules& rules) : rules_(rules) {}

  // An attempt has ended by `loss` (absent: well, or by anything else), `moments` being its own.
  // Returns whether the run is to be started again, which StartFrom then tells.
  bool AttemptEnds(std::optional<EndingLoss> loss, const RunMoments& moments,
                   const StepsMade& steps) {
    first_formed_ = std::min(first_formed_, moments.formed);
    if (moments.begun != MonotonicTime::InfiniteFuture()) {
      for (size_t i = recovered_; i < losses_.size(); ++i)
        losses_[i].set_recovery_seconds(absl::ToDoubleSeconds(moments.begun - noticed_[i]));
      recovered_ = losses_.size();
    }
    if (!loss.has_value() || !are_left()) return false;
    const MonotonicTime noticed = moments.formed + absl::Seconds(loss->loss.seconds());
    loss->loss.set_seconds(absl::ToDoubleSeconds(noticed - first_formed_));
    if (!rules_.claims) loss->loss.set_step(std::max(loss->loss.step(), steps.latest));
    next_ = {loss->loss, noticed, steps.ended};
    return true;
  }

  // The run is started again from its checkpoint before `step`; 0: from the beginning. Returns what
  // is said of it. REQUIRES: AttemptEnds has returned true since the last call.
  std::string StartFrom(int64_t step) {
    noticed_.push_back(next_.noticed);
    Loss& loss = losses_.emplace_back(std::move(next_.loss));
    loss.set_restarted(true);
    loss.set_resumed_step(step);
    loss.set_undone_steps(std::max<int64_t>(0, loss.step() + 1 - step));
    if (rules_.steps_per_update > 0) {
      const int64_t ended = next_.ended_steps.value_or(loss.step() * rules_.workers);
      loss.set_lost_updates(std::max<int64_t>(0, ended - step * rules_.workers) /
                            rules_.steps_per_update);
    }
    const std::string from = step > 0                   ? absl::StrCat("from step ", step)
                             : rules_.makes_checkpoints ? "from the beginning, for there is no "
                                                          "checkpoint yet"
                                                        : "from the beginning, for no checkpoints "
                                                          "are made (--checkpoint-every)";
    return absl::StrCat("lost ", LossText(loss), "; starting again ", from, " (restart ",
                        restarts(), " of ", rules_.most, ")");
  }

  // The run's status, given that of its last attempt.
  absl::Status StatusOf(const absl::Status& last) const {
    if (last.ok() || losses_.empty()) return last;
    return absl::Status(last.code(),
                        absl::StrCat(last.message(), "; it had been started again ", restarts(),
                                     " of at most ", rules_.most, " times (limits.restarts)"));
  }

  // Whether a loss would be followed by another one.
  bool are_left() const { return restarts() < rules_.most; }
  int32_t restarts() const { return static_cast<int32_t>(losses_.size()); }
  // Those that the run was started again after, in order. Training losses are not known here.
  const std::vector<Loss>& losses() const { return losses_; }

 private:
  const RestartRules rules_;
  MonotonicTime first_formed_ = MonotonicTime::InfiniteFuture();
  std::vector<Loss> losses_;
  std::vector<MonotonicTime> noticed_;  // by loss
  size_t recovered_ = 0;                // losses after which all were in a step again
  // What AttemptEnds has come to, for StartFrom.
  struct {
    Loss loss;
    MonotonicTime noticed;
    std::optional<int64_t> ended_steps;  // StepsMade's
  } next_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_RESTARTS_H_
