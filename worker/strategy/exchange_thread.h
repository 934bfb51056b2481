#ifndef RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_
#define RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check_context.h"
#include "common/trace/trace.h"
#include "worker/strategy/bucket_gradient.h"

namespace ringmaster {

// What the step thread hands to the exchange thread.
struct ExchangeTask {
  enum class Kind { kBucket, kWeights, kEndStep, kDrain, kRecall, kKeep, kFarewell };
  Kind kind = Kind::kBucket;
  int64_t step = 0;    // kRecall: the mark
  int32_t bucket = 0;  // kBucket and kWeights only
  // kBucket: the exchange thread's until the step's arena is used again. kWeights: a bucket of the
  // weights, the exchange thread's until the step thread has waited for it.
  BucketGradient gradient;
  int64_t lot = 0;  // kBucket only: that the gradient was computed from
};

// What the exchange thread does. Wake is called by the step thread, all else by the exchange
// thread.
class ExchangeWork {
 public:
  virtual ~ExchangeWork() = default;
  // Does the task, or starts it and leaves it unfinished. Adds to `times` what it does.
  virtual absl::Status Run(const ExchangeTask& task, PhaseTimes& times) = 0;
  // Whether something that Run started still goes on.
  virtual bool unfinished() const = 0;
  // Takes unfinished work further: sleeps until something it waits for is done, or Wake. Called
  // while there is unfinished work and no task.
  virtual absl::Status Advance(PhaseTimes& times) = 0;
  // Ends an Advance that sleeps or is about to. Never waits.
  virtual void Wake() = 0;
};

// The second thread of a worker: runs tasks in the order they were posted, so that exchange goes on
// while the step thread computes. While work that a task has started goes on by itself, the thread
// waits for it and for the next task at once. Its queue has a fixed capacity and allocates nothing
// after construction. Post and the waits are the step thread's; the work runs on the exchange
// thread.
class ExchangeThread {
 public:
  // Work that is done when its task has run. The handler adds what it does to the phase times it is
  // given.
  using Handler = std::function<absl::Status(const ExchangeTask&, PhaseTimes&)>;

  // `capacity` tasks may be waiting: enough for all buckets and ends of two steps. Times of steps
  // before `first_timed_step` are thrown away. After the work's first error later tasks are dropped
  // and every wait returns that error. `work` outlives this object, and so does `recorder`, to
  // which the work of steps is recorded (null: to none).
  ExchangeThread(int64_t capacity, int64_t first_timed_step, ExchangeWork& work,
                 ThreadRecorder* recorder = nullptr);
  ExchangeThread(int64_t capacity, int64_t first_timed_step, Handler handler,
                 ThreadRecorder* recorder = nullptr);
  // Runs what is queued, finishes what is unfinished, then joins.
  ~ExchangeThread();
  ExchangeThread(const ExchangeThread&) = delete;
  ExchangeThread& operator=(const ExchangeThread&) = delete;

  // Times of steps below `*timed_from`, as it is when their tasks are posted, are thrown away too.
  // The step thread may raise it. It outlives this object; null: no effect. REQUIRES: nothing has
  // been posted.
  void TimeFrom(const int64_t* timed_from) { timed_from_ = timed_from; }

  // Enqueues and returns the task's number, from 1. A full queue is a bug of the caller. Never
  // waits for a peer.
  int64_t Post(const ExchangeTask& task);

  // Sleeps until task `number` has run (0: returns at once). The work's waits have deadlines, so
  // this ends.
  absl::Status WaitFor(int64_t number);

  // Sleeps until all tasks have run that were posted; times() may be read until the next is. At
  // once after Stop.
  absl::Status WaitForAll();

  // The first error so far, without waiting.
  absl::Status status();

  // Runs what is queued, finishes what is unfinished and joins; afterwards times() may be read.
  void Stop();

  // Where the exchange thread's time went in timed steps; after Stop or WaitForAll.
  const PhaseTimes& times() const { return times_; }

 private:
  struct Posted {
    ExchangeTask task;
    bool is_timed = false;
  };

  // `creator`: that of the thread that made this one.
  void Run(const CheckContext& creator);
  void RunTask(const Posted& posted, bool healthy);

  // Does the next task, or waits for one or for unfinished work; false: stopping, and nothing is
  // left.
  bool Next();
  void Keep(absl::Status result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t first_timed_step_;
  const int64_t* timed_from_ = nullptr;           // the step thread's
  const std::unique_ptr<ExchangeWork> own_work_;  // around a handler
  ExchangeWork& work_;
  ThreadRecorder* const recorder_;
  PhaseTimes times_;                   // the exchange thread's
  PhaseTimes discarded_;               // the exchange thread's; of steps that are not timed
  PhaseTimes* current_ = &discarded_;  // the exchange thread's; those of the last task's step

  absl::Mutex mutex_;
  std::vector<Posted> ring_ ABSL_GUARDED_BY(mutex_);  // task n lies at n % capacity
  int64_t posted_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t done_ ABSL_GUARDED_BY(mutex_) = 0;
  bool advancing_ ABSL_GUARDED_BY(mutex_) = false;  // the thread is in Advance, or on its way there
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_EXCHANGE_THREAD_H_
