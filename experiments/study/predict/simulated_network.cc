#include "experiments/study/predict/simulated_network.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "common/base/partition.h"

namespace ringmaster {
namespace {

// Room for this many messages from every process to every other.
constexpr int32_t kMessagesAPair = 4;

int32_t SlotsFor(int32_t processes) {
  return std::max(FlowNetwork::kSlots, kMessagesAPair * processes * processes);
}

}  // namespace

SimulatedNetwork::SimulatedNetwork(const NetworkCosts& costs, EventQueue* queue)
    : processes_(costs.plan.processes()),
      copy_rate_(costs.copy_rate),
      queue_(queue),
      state_(CeilDiv(FlowNetwork::StateBytes(processes_, SlotsFor(processes_)),
                     static_cast<int64_t>(sizeof(Line)))),
      network_(costs.plan, absl::MakeSpan(state_.front().bytes, state_.size() * sizeof(Line)),
               SlotsFor(processes_), costs.grains) {}

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
  under_way_[place] = {std::move(left), std::move(arrived)};
  // The number makes keys differ, for jitter's sake.
  const uint64_t key = static_cast<uint64_t>(messages_++) << 32 | place;
  bytes_ += static_cast<double>(bytes);
  status_.Update(network_.Enter(from, to, {key, {}, {}, bytes}));
  LookSoon();
}

void SimulatedNetwork::LookSoon() {
  if (looks_soon_) return;
  looks_soon_ = true;
  queue_->After(0, [this] {
    looks_soon_ = false;
    Look();
  });
}

void SimulatedNetwork::Look() {
  advanced_ = queue_->time();
  network_.Advance(advanced_);
  for (int32_t process = 0; process < processes_; ++process) {
    network_.TakeNotices(process, [this](const FlowNetwork::Notice& notice) {
      const auto place = static_cast<uint32_t>(notice.message.key);
      Message& told = under_way_[place];
      queue_->At(notice.time, std::move(notice.has_left ? told.left : told.arrived));
      if (--told.untold == 0) free_.push_back(place);
    });
  }
  const Nanoseconds next = network_.NextLeaves();
  const int64_t look = ++looks_;
  if (next == kNever) return;
  queue_->At(next, [this, look] {
    if (look == looks_) Look();
  });
}

}  // namespace ringmaster
