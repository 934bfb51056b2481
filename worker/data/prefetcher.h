#ifndef RINGMASTER_WORKER_DATA_PREFETCHER_H_
#define RINGMASTER_WORKER_DATA_PREFETCHER_H_

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "worker/data/batch.h"

namespace ringmaster {

// Makes batches 0, 1, ..., count - 1 in order, up to `depth` of them ahead of the one in use, in a
// thread of its own. The memory of depth + 1 batches is used again and again: from batch depth + 1
// on nothing is allocated.
class Prefetcher {
 public:
  // Makes batch k in `batch`, whose memory has been a batch before. Called for k = 0, 1, ..., one
  // call at a time. OutOfRange: there is none any more.
  using FillBatch = std::function<absl::Status(int64_t k, Batch* batch)>;

  // Begins at once. depth 0: no thread; each batch is made by Next itself.
  Prefetcher(int64_t count, int32_t depth, FillBatch fill);

  // Stops.
  ~Prefetcher();

  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next batch; waits until it is made. Valid until the next call. An error of `fill` comes in
  // its batch's place, and from then on. OutOfRange: all have been given.
  // FailedPrecondition: after Stop. One thread calls this.
  absl::StatusOr<const Batch*> Next();

  // Ends the thread, after the batch that it may be making. No call of `fill` is under way or comes
  // later. For the thread that calls Next.
  void Stop();

 private:
  void Run();

  const int64_t count_;
  const FillBatch fill_;
  std::vector<Batch> slots_;  // batch k lies in slot k mod size: the caller's from `filled_` to
                              // `released_`, else fill's
  int64_t next_ = 0;          // owned by the thread that calls Next

  absl::Mutex mutex_;
  absl::CondVar room_;
  absl::CondVar ready_;
  int64_t filled_ ABSL_GUARDED_BY(mutex_) = 0;    // batches made
  int64_t released_ ABSL_GUARDED_BY(mutex_) = 0;  // batches no longer in use
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // of the batch `filled_`

  std::thread thread_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_PREFETCHER_H_
