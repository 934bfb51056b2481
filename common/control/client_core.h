#ifndef RINGMASTER_COMMON_CONTROL_CLIENT_CORE_H_
#define RINGMASTER_COMMON_CONTROL_CLIENT_CORE_H_

#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/control/dealing.h"
#include "proto/control.pb.h"

namespace ringmaster {

// What a process makes of the coordinator's messages and of a stream that ends: whether it is a
// member, which barriers are open, whether its group is formed anew, and how the run ends for it.
// The first end counts, whether a failure or the goodbye. Pure. Not thread-safe.
class ClientCore {
 public:
  // Returns the failure by which this message has ended the run, which is to be told once; OK: it
  // has not.
  absl::Status OnMessage(const ToProcess& message);

  // The stream has ended. Before this process was let in, the other end has hung up, and it is
  // asked again. After the run's end, or once this process closes the stream itself, that is as it
  // should be. Otherwise the coordinator is lost: returns `lost`, the failure by which that has
  // ended the run.
  absl::Status OnStreamEnd(const absl::Status& lost);

  // A conversation begins anew with whoever has hung up.
  void OnRetry() { hung_up_ = false; }

  // This process is about to close the stream.
  void OnClose() { closing_ = true; }

  // Whether this barrier has been released and not been passed. Pass forgets the release: barriers'
  // names come again.
  bool IsReleased(const std::string& barrier) const { return released_.count(barrier) > 0; }
  void Pass(const std::string& barrier) { released_.erase(barrier); }

  // The workers that were lost when the last barrier was released.
  const std::set<int32_t>& lost_when_released() const { return lost_when_released_; }

  // Takes the answer to a question of `rank` for lots; none yet: nullopt. After ForgetLots it is
  // always that no lot is left.
  std::optional<LotClaim> TakeLots(int32_t rank);
  void ForgetLots(int32_t rank) { forgotten_.insert(rank); }

  bool admitted() const { return admitted_; }
  bool hung_up() const { return hung_up_; }
  bool welcomed() const { return welcomed_; }
  bool goodbye() const { return goodbye_; }
  bool closing() const { return closing_; }
  // The coordinator keeps this process's last words.
  bool noted() const { return noted_; }
  // Whether this process has been welcomed and its run has failed, of which the coordinator wants
  // to hear its last words, and nobody is known to have got them, or to be gone.
  bool owes_words() const { return welcomed_ && !status_.ok() && !noted_ && !ended_; }
  // To the last formation.
  const Welcome& welcome() const { return welcome_; }
  // The number of the formation that it is to get ready for, or is in.
  int32_t epoch() const { return epoch_; }
  // A process is lost, and this one is not in a formation again yet: it waits for nobody.
  bool regroups() const { return epoch_ > welcome_.epoch(); }
  // Whether this process, which is ready for formation `epoch`, belongs to it; absent: nobody has
  // decided yet. It does where it was welcomed to it, even if it is told of a later loss at once:
  // others may have begun it, and the one that follows names its nodes as that one does.
  std::optional<bool> BelongsTo(int32_t epoch) const {
    if (welcome_.epoch() == epoch) return true;
    return epoch_ == epoch ? std::nullopt : std::optional<bool>(false);
  }
  // Why; REQUIRES: regroups().
  const absl::Status& why_it_regroups() const { return why_it_regroups_; }
  // How the run has failed for this process; OK: it has not.
  const absl::Status& status() const { return status_; }

 private:
  // Returns `why` where it is the run's end.
  absl::Status Fail(const absl::Status& why);

  bool admitted_ = false;
  bool hung_up_ = false;
  bool welcomed_ = false;
  bool goodbye_ = false;
  bool closing_ = false;
  bool noted_ = false;
  bool ended_ = false;  // the stream has
  Welcome welcome_;
  int32_t epoch_ = 0;
  absl::Status why_it_regroups_;
  std::set<std::string> released_;
  std::set<int32_t> lost_;  // workers
  std::set<int32_t> lost_when_released_;
  std::map<int32_t, LotClaim> lots_;  // answers that nobody has taken, by rank
  std::set<int32_t> forgotten_;
  absl::Status status_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CLIENT_CORE_H_
