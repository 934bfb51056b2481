#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAST_WORDS_KEEPER_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAST_WORDS_KEEPER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/trace/node_traces.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What one process says at the end of a run that failed: what each of its nodes did when the
// failure was known here, its last events, and which pulls a server had parked. Thread-safe.
class LastWordsKeeper {
 public:
  // `activities`: what the process's nodes do now; asked once, by whoever learns of the failure
  // first.
  explicit LastWordsKeeper(std::function<std::vector<NodeActivity>()> activities)
      : activities_(std::move(activities)) {}

  // Before the node's threads start. The traces outlive this object.
  void AddWorker(int32_t rank, const WorkerTraces& traces);
  void AddServer(int32_t index, const ServerTraces& traces);
  // When this process was welcomed to the run.
  void Welcomed(Clock::time_point time);

  // The run has failed: keeps what its nodes do at this moment, before the transports are aborted
  // and their waits are gone. The first call counts.
  void Take();

  // The server's thread ends, because of a failure or at the end of its work; `parked` describes
  // (ShardCore::DescribeParked).
  void ServerEnds(int32_t index, const std::string& parked);

  // What was taken, or is now, once all servers have ended, for which it waits at most `limit`.
  LastWords Tell(absl::Duration limit);

 private:
  const std::function<std::vector<NodeActivity>()> activities_;
  absl::Mutex mutex_;
  MonotonicCondVar ended_;  // signalled when a server has
  std::map<int32_t, const WorkerTraces*> workers_ ABSL_GUARDED_BY(mutex_);  // by rank
  std::map<int32_t, const ServerTraces*> servers_ ABSL_GUARDED_BY(mutex_);  // by index
  std::map<int32_t, std::string> parked_ ABSL_GUARDED_BY(mutex_);           // of servers that ended
  Clock::time_point welcomed_ ABSL_GUARDED_BY(mutex_);
  bool taken_ ABSL_GUARDED_BY(mutex_) = false;
  LastWords words_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_LAST_WORDS_KEEPER_H_
