#include "experiments/study/predict/simulated_network.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/types/span.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

// Room for this many messages from every process to every other.
constexpr int32_t kMessagesAPair = 4;

// But no more than that.
constexpr int64_t kMessagesMax = 1 << 24;
constexpr size_t kAlignment = 64;

int32_t SlotsFor(int64_t processes) {
  return static_cast<int32_t>(std::clamp<int64_t>(kMessagesAPair * processes * processes,
                                                  FlowNetwork::kSlots, kMessagesMax));
}

int64_t StateBytes(const NetworkPlan& plan) {
  return FlowNetwork::StateBytes(plan, SlotsFor(plan.processes()));
}

std::byte* Zeros(int64_t bytes) {
  void* const memory = std::calloc(bytes + kAlignment, 1);
  RM_CHECK(memory != nullptr);
  return static_cast<std::byte*>(memory);
}

// From the first aligned byte.
absl::Span<std::byte> Aligned(std::byte* memory, int64_t bytes) {
  const size_t skip = kAlignment - reinterpret_cast<uintptr_t>(memory) % kAlignment;
  return {memory + skip, static_cast<size_t>(bytes)};
}

}  // namespace

SimulatedNetwork::SimulatedNetwork(const NetworkCosts& costs, EventQueue* queue)
    : copy_rate_(costs.copy_rate),
      first_party_(costs.first_party),
      queue_(queue),
      state_(Zeros(StateBytes(costs.plan))),
      network_(costs.plan, Aligned(state_.get(), StateBytes(costs.plan)),
               SlotsFor(costs.plan.processes())) {
  queue->SetSource(this);
}

void SimulatedNetwork::Send(int32_t from, int32_t to, int64_t bytes, EventQueue::Action left,
                            EventQueue::Action arrived) {
  if (from == to) {
    const double seconds = static_cast<double>(bytes) / copy_rate_;
    queue_->After(seconds, std::move(left));
    queue_->After(seconds, std::move(arrived));
    return;
  }
  if (advanced_ != queue_->time()) {
    advanced_ = queue_->time();
    network_.Advance(advanced_);
  }
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(under_way_.size()));
    under_way_.emplace_back();
  }
  const uint32_t place = free_.back();
  free_.pop_back();
  under_way_[place] = {
      {first_party_ + from, first_party_ + to}, std::move(left), std::move(arrived)};
  // The number makes keys differ, for jitter's sake.
  const uint64_t key = static_cast<uint64_t>(messages_++) << 32 | place;
  bytes_ += static_cast<double>(bytes);
  status_.Update(network_.Enter(from, to, {key, {}, {}, bytes}));
}

Nanoseconds SimulatedNetwork::NextTime() {
  const Nanoseconds next = network_.NextLeaves();
  return next == kNever ? kNever : std::max(next, queue_->time());
}

void SimulatedNetwork::Happen() {
  advanced_ = queue_->time();
  network_.Advance(advanced_);
  network_.TakeAllNotices([this](const FlowNetwork::Notice& notice) {
    const auto place = static_cast<uint32_t>(notice.message.key);
    Message& told = under_way_[place];
    if (notice.has_left) {
      left_.emplace_back(EventRoute{told.route.to, told.route.from}, std::move(told.left));
    } else {
      queue_->At(notice.time, told.route, std::move(told.arrived));
    }
    if (--told.untold == 0) free_.push_back(place);
  });
  for (auto& [route, left] : left_) queue_->Run(route, std::move(left));
  left_.clear();
}

}  // namespace ringmaster
