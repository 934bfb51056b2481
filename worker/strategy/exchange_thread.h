#ifndef RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_
#define RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/trace/trace.h"

namespace ringmaster {

// What the step thread hands to the exchange thread.
struct ExchangeTask {
  enum class Kind { kBucket, kEndStep, kDrain, kFarewell };
  Kind kind = Kind::kBucket;
  int64_t step = 0;
  int32_t bucket = 0;             // kBucket only
  absl::Span<float> gradient;     // kBucket only; the exchange thread's until the step's arena is used again
};

// The second thread of a worker: runs tasks in the order they were posted, so that exchange goes on while the step
// thread computes. Its queue has a fixed capacity and allocates nothing after construction. Post and the waits are the
// step thread's; the handler runs on the exchange thread.
class ExchangeThread {
 public:
  // The handler adds what it does to the phase times it is given.
  using Handler = std::function<absl::Status(const ExchangeTask&, PhaseTimes&)>;

  // `capacity` tasks may be waiting: enough for all buckets and ends of two steps. Times of steps before
  // `first_timed_step` are thrown away. After the handler's first error later tasks are dropped and every wait returns
  // that error.
  ExchangeThread(int64_t capacity, int64_t first_timed_step, Handler handler);
  // Runs what is queued, then joins.
  ~ExchangeThread();
  ExchangeThread(const ExchangeThread&) = delete;
  ExchangeThread& operator=(const ExchangeThread&) = delete;

  // Enqueues and returns the task's number, from 1. A full queue is a bug of the caller. Never waits for a peer.
  int64_t Post(const ExchangeTask& task);

  // Sleeps until task `number` is done (0: returns at once). The handler's waits have deadlines, so this ends.
  absl::Status WaitFor(int64_t number);

  // The first error so far, without waiting.
  absl::Status status();

  // Runs what is queued and joins; afterwards times() may be read.
  void Stop();

  // Where the exchange thread's time went in timed steps; after Stop.
  const PhaseTimes& times() const { return times_; }

 private:
  void Run();

  const int64_t first_timed_step_;
  const Handler handler_;
  PhaseTimes times_;       // the exchange thread's
  PhaseTimes discarded_;   // likewise; of warm-up steps

  absl::Mutex mutex_;
  std::vector<ExchangeTask> ring_ ABSL_GUARDED_BY(mutex_);  // task n lies at n % capacity
  int64_t posted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_
