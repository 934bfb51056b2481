#include "tests/common/engine/host_device.h"

#include <algorithm>
#include <utility>

namespace ringmaster {

class HostStream : public IpcStream {
 public:
  HostStream(HostDevice* device, int32_t rank) : device_(*device), rank_(rank) {}

  absl::Status CopyIn(int slot, absl::Span<const float> piece) override {
    absl::MutexLock lock(&device_.mutex_);
    float* const to = Slot(rank_, slot);
    return Tell([piece, to] { std::copy(piece.begin(), piece.end(), to); });
  }
  absl::Status Record(IpcMoment moment, int slot) override {
    absl::MutexLock lock(&device_.mutex_);
    HostDevice::Event* const event = EventOf(rank_, moment, slot);
    const int64_t record = ++event->told;
    return Tell([event, record] { event->recorded = record; });
  }
  absl::Status WaitFor(int32_t rank, IpcMoment moment, int slot) override {
    absl::MutexLock lock(&device_.mutex_);
    HostDevice::Operation operation;
    operation.run = [] {};
    operation.waits_for = EventOf(rank, moment, slot);
    operation.record = operation.waits_for->told;
    device_.Tell(rank_, std::move(operation));
    return absl::OkStatus();
  }
  absl::Status Sum(int slot, const Range& chunk) override {
    absl::MutexLock lock(&device_.mutex_);
    std::vector<const float*> inputs;
    for (size_t rank = 0; rank < device_.ranks_.size(); ++rank) inputs.push_back(Slot(rank, slot));
    float* const out = Slot(rank_, slot);
    return Tell([chunk, inputs, out] {
      for (int64_t i = chunk.begin; i < chunk.end(); ++i) {
        float sum = inputs[0][i];
        for (size_t rank = 1; rank < inputs.size(); ++rank) sum += inputs[rank][i];
        out[i] = sum;
      }
    });
  }
  absl::Status CopyOut(int32_t rank, int slot, const Range& chunk, absl::Span<float> to) override {
    absl::MutexLock lock(&device_.mutex_);
    const float* const from = Slot(rank, slot);
    return Tell([chunk, from, to] { std::copy_n(from + chunk.begin, chunk.count, to.begin()); });
  }
  absl::StatusOr<bool> Done() override {
    absl::MutexLock lock(&device_.mutex_);
    device_.Move();
    return device_.ranks_[rank_].queue.empty();
  }

 private:
  float* Slot(int32_t rank, int slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(device_.mutex_) {
    return device_.ranks_[rank].slots[slot].data();
  }
  HostDevice::Event* EventOf(int32_t rank, IpcMoment moment, int slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(device_.mutex_) {
    return &device_.ranks_[rank].events[static_cast<int>(moment)][slot];
  }
  absl::Status Tell(std::function<void()> run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(device_.mutex_) {
    device_.Tell(rank_, {std::move(run), nullptr, 0});
    return absl::OkStatus();
  }

  HostDevice& device_;
  const int32_t rank_;
};

HostDevice::HostDevice(int32_t ranks, int64_t slot_floats, uint64_t seed, double eagerness)
    : ranks_(ranks), random_(seed), eagerness_(eagerness) {
  for (Rank& rank : ranks_) rank.slots.assign(kIpcSlots, std::vector<float>(slot_floats, -1.0f));
}

std::unique_ptr<IpcStream> HostDevice::Stream(int32_t rank) {
  return std::make_unique<HostStream>(this, rank);
}

void HostDevice::Tell(int32_t rank, Operation operation) {
  ranks_[rank].queue.push_back(std::move(operation));
  while (random_.Uniform() < eagerness_ && Move()) {
  }
}

bool HostDevice::Move() {
  const size_t first = random_.Below(ranks_.size());
  for (size_t i = 0; i < ranks_.size(); ++i) {
    std::deque<Operation>& queue = ranks_[(first + i) % ranks_.size()].queue;
    if (queue.empty()) continue;
    const Operation& next = queue.front();
    if (next.waits_for != nullptr && next.waits_for->recorded < next.record) continue;
    next.run();
    queue.pop_front();
    return true;
  }
  return false;
}

}  // namespace ringmaster
