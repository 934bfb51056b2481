#include "experiments/study/predict/network_model.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();
// What rounding may leave of a message that is through.
constexpr double kBytesOfRounding = 1e-6;
// Rates that differ by less of themselves are the same.
constexpr double kRateRounding = 1e-12;

// What is left of a card's rate, and the flows that have no rate yet and cross it.
struct Capacity {
  double left = 0;
  int flows = 0;
  double share() const { return flows == 0 ? kUnlimited : left / flows; }
  void Take(double rate) {
    --flows;
    if (left < kUnlimited) left = std::max(0.0, left - rate);
  }
};

}  // namespace

NetworkModel UniformNetwork(int processes, const CardModel& card, const LinkModel& link) {
  NetworkModel model;
  model.cards.assign(processes, card);
  model.links.assign(static_cast<size_t>(processes) * processes, link);
  return model;
}

SimulatedNetwork::SimulatedNetwork(const NetworkModel& model, EventQueue* queue)
    : model_(model), queue_(queue), random_(model.seed), flows_(model.links.size()) {
  RM_CHECK(model.links.size() == model.cards.size() * model.cards.size());
}

void SimulatedNetwork::Send(int from, int to, double bytes, EventQueue::Action left, EventQueue::Action arrived) {
  if (from == to) {
    const double seconds = bytes / model_.copy_rate;
    queue_->After(seconds, std::move(left));
    queue_->After(seconds, std::move(arrived));
    return;
  }
  LetPass();
  ++messages_;
  bytes_ += bytes;
  const int index = from * processes() + to;
  if (flows_[index].messages.empty()) {
    flows_[index].rate = 0;
    active_.push_back(index);
  }
  flows_[index].messages.push_back({bytes, std::move(left), std::move(arrived)});
  Change();
}

void SimulatedNetwork::Change() {
  if (changing_) return;
  changing_ = true;
  queue_->After(0, [this] {
    changing_ = false;
    Share();
  });
}

void SimulatedNetwork::LetPass() {
  const double seconds = queue_->now() - passed_;
  passed_ = queue_->now();
  if (seconds <= 0) return;
  for (const int index : active_) flows_[index].messages.front().bytes_left -= flows_[index].rate * seconds;
}

void SimulatedNetwork::Share() {
  LetPass();
  std::vector<Capacity> egress, ingress;
  for (const CardModel& card : model_.cards) {
    egress.push_back({card.egress});
    ingress.push_back({card.ingress});
  }
  for (const int index : active_) {
    ++egress[index / processes()].flows;
    ++ingress[index % processes()].flows;
  }
  const auto limit_of = [&](int index) {
    return std::min({egress[index / processes()].share(), ingress[index % processes()].share(), model_.links[index].rate});
  };
  // The flows that are held up most get what they can have, and so on with what is left.
  double first_end = kUnlimited;
  std::vector<int> without = active_;
  std::vector<double> limits;
  while (!without.empty()) {
    limits.clear();
    for (const int index : without) limits.push_back(limit_of(index));
    const double rate = *std::min_element(limits.begin(), limits.end());
    size_t kept = 0;
    for (size_t i = 0; i < without.size(); ++i) {
      const int index = without[i];
      if (limits[i] > rate * (1 + kRateRounding)) {
        without[kept++] = index;
        continue;
      }
      egress[index / processes()].Take(rate);
      ingress[index % processes()].Take(rate);
      flows_[index].rate = rate;
      first_end = std::min(first_end, std::max(0.0, flows_[index].messages.front().bytes_left) / rate);
    }
    without.resize(kept);
  }
  const int64_t share = ++shares_;
  if (active_.empty()) return;
  queue_->After(first_end, [this, share] {
    if (share != shares_) return;
    LetPass();
    const std::vector<int> candidates = active_;
    for (const int index : candidates) {
      const Flow& flow = flows_[index];
      // Time itself is rounded too, which at a high rate is more than a byte.
      const double rounding = std::max(kBytesOfRounding, flow.rate * queue_->now() * 1e-14);
      if (!(flow.messages.front().bytes_left > rounding) || flow.rate == kUnlimited) Finish(index);
    }
    Change();
  });
}

void SimulatedNetwork::Finish(int flow_index) {
  Flow& flow = flows_[flow_index];
  Message message = std::move(flow.messages.front());
  flow.messages.pop_front();
  if (flow.messages.empty()) active_.erase(std::find(active_.begin(), active_.end(), flow_index));
  const LinkModel& link = model_.links[flow_index];
  const double latency = link.latency + (link.jitter > 0 ? link.jitter * random_.Uniform() : 0);
  flow.last_arrival = std::max(flow.last_arrival, queue_->now() + latency);
  queue_->After(0, std::move(message.left));
  queue_->At(flow.last_arrival, std::move(message.arrived));
}

}  // namespace ringmaster
