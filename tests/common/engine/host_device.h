#ifndef RINGMASTER_TESTS_COMMON_ENGINE_HOST_DEVICE_H_
#define RINGMASTER_TESTS_COMMON_ENGINE_HOST_DEVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/random.h"
#include "common/engine/cuda_ipc/ipc_stream.h"

namespace ringmaster {

// A device in host memory with a stream for each of `ranks`, by CUDA's rules: what a stream is told
// happens later and in order; which stream moves next is drawn from `seed`. It moves by itself
// while it is told things, with probability `eagerness` a time, and otherwise only when somebody
// asks whether it is done: so with eagerness 0 the hosts run ahead as far as they can, and with 1
// the device is never behind. Nothing but events orders the streams.
class HostDevice {
 public:
  HostDevice(int32_t ranks, int64_t slot_floats, uint64_t seed, double eagerness);
  // The stream of `rank`, for its thread; the device outlives it.
  std::unique_ptr<IpcStream> Stream(int32_t rank);

 private:
  friend class HostStream;

  struct Event {
    int64_t told = 0;      // records told so far
    int64_t recorded = 0;  // the last of them that has happened
  };
  struct Operation {
    std::function<void()> run;
    const Event* waits_for = nullptr;
    int64_t record = 0;
  };
  struct Rank {
    std::vector<std::vector<float>> slots;
    Event events[kIpcMoments][kIpcSlots];
    std::deque<Operation> queue;
  };

  void Tell(int32_t rank, Operation operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs one operation of a stream that can move; false where none can.
  bool Move() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::vector<Rank> ranks_ ABSL_GUARDED_BY(mutex_);
  Random random_ ABSL_GUARDED_BY(mutex_);
  const double eagerness_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_ENGINE_HOST_DEVICE_H_
