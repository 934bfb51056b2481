#include "common/network/flow_network.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr double kBytesPerNanosecond = 1e-9;
constexpr double kSame = 1 + 1e-9;        // rates within this factor are one
constexpr double kNoBytes = 1e-3;         // what rounding may leave of a message
constexpr Nanoseconds kTolerance = 1000;  // who would look so little too late is not woken sooner
constexpr int64_t kAlignment = 64;

int64_t Aligned(int64_t bytes) { return CeilDiv(bytes, kAlignment) * kAlignment; }

}  // namespace

// A message under way, or the notices of one.
struct FlowNetwork::Slot {
  Message message;
  Nanoseconds left;
  Nanoseconds arrives;
  int32_t from;
  int32_t to;
  int32_t next;            // behind it in its flow; of a free slot, the next free one
  int32_t next_notice[2];  // by Notice::has_left
  int32_t untaken;         // notices
};

struct FlowNetwork::Flow {
  int32_t head;
  int32_t tail;
  int32_t from;
  int32_t to;
  double left_bytes;  // of the head
  double rate;        // bytes a nanosecond
  Nanoseconds last_arrival;
  Nanoseconds leaves;  // the head, where there are grains
};

struct FlowNetwork::Card {
  Nanoseconds sleeps_until;
  int32_t first_notice[2];  // by Notice::has_left
  int32_t last_notice[2];
};

struct FlowNetwork::Header {
  Nanoseconds time;  // until here the state is
  int64_t active_count;
  int32_t free_slot;
  int32_t used_slots;       // of which some are free
  int32_t is_shared_out;    // the rates are those of the active flows
  Nanoseconds next_leaves;  // where there are grains; 0: to be looked up
};

namespace {

// Puts each process into its rack, and the racks' latency on the links between them.
void PlanRacks(const NetworkShape::Racks& racks, const std::vector<std::vector<NodeId>>& processes,
               NetworkPlan* plan) {
  RM_CHECK(racks.workers_each > 0);
  int32_t count = 1;
  for (const std::vector<NodeId>& nodes : processes) {
    for (const NodeId& node : nodes) {
      if (node.role == Role::kWorker) count = std::max(count, node.index / racks.workers_each + 1);
    }
  }
  for (const std::vector<NodeId>& nodes : processes) {
    const auto worker = std::find_if(nodes.begin(), nodes.end(),
                                     [](const NodeId& node) { return node.role == Role::kWorker; });
    if (worker != nodes.end()) {
      plan->racks.push_back(worker->index / racks.workers_each);
    } else {
      plan->racks.push_back(racks.servers_in_first || nodes.empty() ? 0 : nodes[0].index % count);
    }
  }
  plan->uplinks.assign(count, racks.uplink * kBytesPerNanosecond);
  const int32_t size = plan->processes();
  for (int32_t from = 0; from < size; ++from) {
    for (int32_t to = 0; to < size; ++to) {
      if (plan->racks[from] != plan->racks[to])
        plan->links[int64_t{from} * size + to].latency += absl::ToInt64Nanoseconds(racks.latency);
    }
  }
}

}  // namespace

absl::StatusOr<NetworkPlan> PlanNetwork(const NetworkShape& shape,
                                        const std::vector<std::vector<NodeId>>& processes) {
  absl::flat_hash_map<NodeId, int32_t> process_of;
  const auto count = static_cast<int32_t>(processes.size());
  for (int32_t process = 0; process < count; ++process) {
    for (const NodeId& node : processes[process]) process_of[node] = process;
  }
  const auto find = [&](NodeId node) -> absl::StatusOr<int32_t> {
    const auto found = process_of.find(node);
    if (found != process_of.end()) return found->second;
    return absl::InvalidArgumentError(absl::StrCat(
        "shaped network: ", ToString(node), " lives in none of the run's ", count, " processes"));
  };
  const auto delay = [](double rate, absl::Duration latency, absl::Duration jitter) {
    return NetworkPlan::Delay{rate * kBytesPerNanosecond, absl::ToInt64Nanoseconds(latency),
                              absl::ToInt64Nanoseconds(jitter)};
  };
  NetworkPlan plan;
  plan.seed = shape.seed;
  plan.egress.assign(count, shape.rate * kBytesPerNanosecond);
  plan.ingress = plan.egress;
  plan.links.assign(int64_t{count} * count, delay(kUnlimitedRate, shape.latency, shape.jitter));
  for (const NetworkShape::Card& card : shape.cards) {
    RM_ASSIGN_OR_RETURN(const int32_t process, find(card.node));
    plan.egress[process] = card.egress * kBytesPerNanosecond;
    plan.ingress[process] = card.ingress * kBytesPerNanosecond;
  }
  for (const NetworkShape::Link& link : shape.links) {
    RM_ASSIGN_OR_RETURN(const int32_t from, find(link.from));
    RM_ASSIGN_OR_RETURN(const int32_t to, find(link.to));
    plan.links[int64_t{from} * count + to] = delay(link.rate, link.latency, link.jitter);
  }
  if (shape.racks.has_value()) PlanRacks(*shape.racks, processes, &plan);
  return plan;
}

uint64_t MessageKey(NodeId from, NodeId to, const Tag& tag) {
  const auto byte = [](auto value, int place) { return static_cast<uint64_t>(value) << 8 * place; };
  uint64_t key = byte(from.role, 7) | byte(to.role, 6) | byte(tag.kind, 5) | byte(tag.round, 2) |
                 byte(tag.piece, 0);
  key = MixSeed(key, static_cast<uint64_t>(from.index) << 32 | static_cast<uint32_t>(to.index));
  key = MixSeed(key, byte(tag.channel, 4) | static_cast<uint32_t>(tag.bucket));
  return MixSeed(key, static_cast<uint64_t>(tag.step));
}

int64_t FlowNetwork::StateBytes(int32_t processes, int32_t slots) {
  const int64_t pairs = int64_t{processes} * processes;
  return Aligned(sizeof(Header)) + Aligned(processes * sizeof(Card)) +
         Aligned(pairs * sizeof(Flow)) + Aligned(pairs * sizeof(int32_t)) +
         Aligned((int64_t{slots} + 1) * sizeof(Slot));
}

FlowNetwork::FlowNetwork(const NetworkPlan& plan, absl::Span<std::byte> state, int32_t slots,
                         int32_t grains)
    : plan_(plan),
      slot_count_(slots),
      grains_(grains),
      has_link_rates_(
          std::any_of(plan.links.begin(), plan.links.end(),
                      [](const NetworkPlan::Delay& link) { return !std::isinf(link.rate); })) {
  const int32_t processes = plan.processes();
  RM_CHECK(static_cast<int64_t>(state.size()) >= StateBytes(processes, slots));
  std::byte* at = state.data();
  const auto take = [&at](int64_t bytes) {
    std::byte* const begin = at;
    at += Aligned(bytes);
    return begin;
  };
  const int64_t pairs = int64_t{processes} * processes;
  header_ = reinterpret_cast<Header*>(take(sizeof(Header)));
  cards_ = reinterpret_cast<Card*>(take(processes * sizeof(Card)));
  flows_ = reinterpret_cast<Flow*>(take(pairs * sizeof(Flow)));
  active_ = reinterpret_cast<int32_t*>(take(pairs * sizeof(int32_t)));
  slots_ = reinterpret_cast<Slot*>(take((int64_t{slots} + 1) * sizeof(Slot)));
  shared_.resize(plan_.racks.empty() ? 2 : 4);
  shared_[kEgress].capacity = plan_.egress;
  shared_[kIngress].capacity = plan_.ingress;
  for (size_t kind = kUplink; kind < shared_.size(); ++kind) shared_[kind].capacity = plan_.uplinks;
  for (Shared& shared : shared_) {
    shared.flows.resize(shared.capacity.size());
    shared.places.resize(pairs);
    shared.end.resize(shared.capacity.size());
  }
  candidates_.reserve(pairs + pairs / 4 + 1);
  next_notices_.resize(processes);
}

void FlowNetwork::SleepUntil(int32_t process, Nanoseconds until) {
  cards_[process].sleeps_until = until;
}

absl::Status FlowNetwork::Start(int32_t from, int32_t to, const Message& message, Nanoseconds now) {
  Advance(now);
  RM_RETURN_IF_ERROR(Enter(from, to, message));
  Advance(header_->time);  // without bytes, or without limits, it has left
  return absl::OkStatus();
}

absl::Status FlowNetwork::Enter(int32_t from, int32_t to, const Message& message) {
  int32_t slot = header_->free_slot;
  if (slot != 0) {
    header_->free_slot = slots_[slot].next;
  } else if (header_->used_slots < slot_count_) {
    slot = ++header_->used_slots;
  } else {
    return absl::ResourceExhaustedError(
        absl::StrCat("shaped network: ", slot_count_,
                     " messages are under way; use larger buckets or a faster network"));
  }
  Slot& entry = slots_[slot];
  entry = Slot();
  entry.message = message;
  entry.from = from;
  entry.to = to;
  Flow& line = flows_[int64_t{from} * plan_.processes() + to];
  if (line.head != 0) {
    slots_[line.tail].next = slot;
    line.tail = slot;
    return absl::OkStatus();
  }
  line.head = line.tail = slot;
  line.from = from;
  line.to = to;
  line.left_bytes = static_cast<double>(message.bytes);
  active_[header_->active_count++] = static_cast<int32_t>(&line - flows_);
  header_->is_shared_out = 0;
  return absl::OkStatus();
}

// When the flow's head will be through, at its rate.
Nanoseconds FlowNetwork::HeadLeaves(const Flow& line) const {
  if (grains_ > 0) return line.leaves;
  if (line.left_bytes < kNoBytes || std::isinf(line.rate)) return header_->time;
  return header_->time + static_cast<Nanoseconds>(std::ceil(line.left_bytes / line.rate));
}

// The same, at the end of a grain: the largest power of two that is no more than so much of the
// message's time.
void FlowNetwork::PlanHead(Flow* line) const {
  line->leaves = header_->time;
  if (line->left_bytes < kNoBytes || std::isinf(line->rate)) return;
  const double taken = static_cast<double>(slots_[line->head].message.bytes) / line->rate;
  const Nanoseconds grain =
      taken < 2.0 * grains_ ? 1 : Nanoseconds{1} << std::ilogb(taken / grains_);
  line->leaves =
      CeilDiv(header_->time + static_cast<Nanoseconds>(std::ceil(line->left_bytes / line->rate)),
              grain) *
      grain;
}

Nanoseconds FlowNetwork::NextLeaves() {
  if (header_->is_shared_out == 0) {
    ShareCards();
    header_->next_leaves = 0;
    for (int64_t i = 0; grains_ > 0 && i < header_->active_count; ++i)
      PlanHead(&flows_[active_[i]]);
  }
  if (grains_ > 0 && header_->next_leaves != 0) return header_->next_leaves;
  Nanoseconds next = kNever;
  for (int64_t i = 0; i < header_->active_count; ++i)
    next = std::min(next, HeadLeaves(flows_[active_[i]]));
  header_->next_leaves = next;
  return next;
}

void FlowNetwork::Advance(Nanoseconds now) {
  for (;;) {
    const Nanoseconds next = NextLeaves();
    if (next > std::max(now, header_->time)) break;
    LetPass(next);
    // From the back, since finished flows are replaced by the last one.
    for (int64_t i = header_->active_count - 1; i >= 0; --i) {
      if (HeadLeaves(flows_[active_[i]]) <= header_->time) FinishHead(i);
    }
  }
  LetPass(now);
}

void FlowNetwork::LetPass(Nanoseconds until) {
  if (until <= header_->time) return;
  const double passed = static_cast<double>(until - header_->time);
  for (int64_t i = 0; i < header_->active_count; ++i) {
    Flow& line = flows_[active_[i]];
    line.left_bytes =
        std::isinf(line.rate) ? 0 : std::max(0.0, line.left_bytes - line.rate * passed);
  }
  header_->time = until;
}

double FlowNetwork::JitterShare(uint64_t key) const {
  return Random(MixSeed(plan_.seed, key)).Uniform();
}

// The head of the flow at this place of the active ones has left; the next one follows it at once.
void FlowNetwork::FinishHead(int64_t place) {
  Flow& line = flows_[active_[place]];
  const int32_t slot = line.head;
  Slot& entry = slots_[slot];
  const NetworkPlan::Delay& delay = plan_.link(entry.from, entry.to);
  const auto jitter =
      static_cast<Nanoseconds>(static_cast<double>(delay.jitter) * JitterShare(entry.message.key));
  entry.left = header_->time;
  entry.arrives = std::max(header_->time + delay.latency + jitter, line.last_arrival);
  line.last_arrival = entry.arrives;
  line.head = entry.next;
  entry.untaken = 2;
  PutNotice(entry.from, slot, true);
  PutNotice(entry.to, slot, false);
  header_->next_leaves = 0;
  if (line.head != 0) {
    line.left_bytes = static_cast<double>(slots_[line.head].message.bytes);
    if (grains_ > 0) PlanHead(&line);
    return;
  }
  line.tail = 0;
  active_[place] = active_[--header_->active_count];
  header_->is_shared_out = 0;
}

void FlowNetwork::PutNotice(int32_t process, int32_t slot, bool has_left) {
  Card& card = cards_[process];
  slots_[slot].next_notice[has_left] = 0;
  if (card.first_notice[has_left] == 0) {
    card.first_notice[has_left] = slot;
  } else {
    slots_[card.last_notice[has_left]].next_notice[has_left] = slot;
  }
  card.last_notice[has_left] = slot;
}

void FlowNetwork::TakeNotices(int32_t process, absl::FunctionRef<void(const Notice&)> take) {
  for (const bool has_left : {true, false}) {
    Card& card = cards_[process];
    for (int32_t slot = card.first_notice[has_left]; slot != 0;) {
      Slot& entry = slots_[slot];
      const int32_t next = entry.next_notice[has_left];
      take({entry.message, has_left ? entry.left : entry.arrives, has_left});
      if (--entry.untaken == 0) {
        entry.next = header_->free_slot;
        header_->free_slot = slot;
      }
      slot = next;
    }
    card.first_notice[has_left] = card.last_notice[has_left] = 0;
  }
}

Nanoseconds FlowNetwork::NextNotice(int32_t process) {
  FindNextNotices();
  return next_notices_[process];
}

void FlowNetwork::TakeOversleepers(absl::FunctionRef<void(int32_t process)> take) {
  FindNextNotices();
  for (int32_t process = 0; process < plan_.processes(); ++process) {
    Nanoseconds& until = cards_[process].sleeps_until;
    if (until <= kTolerance || next_notices_[process] >= until - kTolerance) continue;
    until = 0;
    take(process);
  }
}

void FlowNetwork::FindNextNotices() {
  if (header_->is_shared_out == 0) NextLeaves();
  for (int32_t process = 0; process < plan_.processes(); ++process) {
    const Card& card = cards_[process];
    Nanoseconds next = kNever;
    if (card.first_notice[true] != 0) next = slots_[card.first_notice[true]].left;
    for (int32_t slot = card.first_notice[false]; slot != 0;
         slot = slots_[slot].next_notice[false]) {
      next = std::min(next, slots_[slot].arrives);
    }
    next_notices_[process] = next;
  }
  for (int64_t i = 0; i < header_->active_count; ++i) {
    const Flow& line = flows_[active_[i]];
    const Slot& head = slots_[line.head];
    const Nanoseconds leaves = HeadLeaves(line);
    const Nanoseconds arrives =
        std::max(leaves + plan_.link(head.from, head.to).latency, line.last_arrival);
    next_notices_[head.from] = std::min(next_notices_[head.from], leaves);
    next_notices_[head.to] = std::min(next_notices_[head.to], arrives);
  }
}

int32_t FlowNetwork::SharedBy(size_t kind, const Flow& line) const {
  if (kind == kEgress) return line.from;
  if (kind == kIngress) return line.to;
  const int32_t from = plan_.racks[line.from];
  const int32_t to = plan_.racks[line.to];
  if (from == to) return -1;
  return kind == kUplink ? from : to;
}

// Progressive filling: all rates grow together until a card, uplink or link is full; its flows stay
// there, the others go on.
void FlowNetwork::ShareCards() {
  header_->is_shared_out = 1;
  for (Shared& shared : shared_) shared.left = shared.capacity;
  ListFlowsOfCards();
  constexpr double kOpen = -1;
  for (int64_t i = 0; i < header_->active_count; ++i) flows_[active_[i]].rate = kOpen;
  const auto limit = [this](const Flow& line) {
    double least = plan_.link(line.from, line.to).rate;
    for (size_t kind = 0; kind < shared_.size(); ++kind) {
      const int32_t at = SharedBy(kind, line);
      if (at >= 0) least = std::min(least, shared_[kind].left[at] / shared_[kind].flows[at]);
    }
    return least;
  };
  for (int64_t open = header_->active_count; open > 0;) {
    double lowest = kUnlimitedRate;
    for (const Shared& shared : shared_) {
      for (size_t at = 0; at < shared.left.size(); ++at) {
        if (shared.flows[at] > 0) lowest = std::min(lowest, shared.left[at] / shared.flows[at]);
      }
    }
    for (int64_t i = 0; has_link_rates_ && i < header_->active_count; ++i) {
      const Flow& line = flows_[active_[i]];
      if (line.rate == kOpen) lowest = std::min(lowest, plan_.link(line.from, line.to).rate);
    }
    // A flow fixed at the lowest share leaves the others of its cards at least that much, so the
    // order does not matter.
    const auto fix = [&](int64_t place) {
      Flow& line = flows_[active_[place]];
      if (line.rate != kOpen || limit(line) > lowest * kSame) return;
      line.rate = lowest;
      --open;
      for (size_t kind = 0; kind < shared_.size(); ++kind) {
        const int32_t at = SharedBy(kind, line);
        if (at < 0) continue;
        Shared& shared = shared_[kind];
        --shared.flows[at];
        if (!std::isinf(lowest)) shared.left[at] = std::max(0.0, shared.left[at] - lowest);
      }
    };
    if (ListFlowsOfFullCards(lowest * kSame)) {
      for (const int32_t place : candidates_) fix(place);
    } else {
      for (int64_t place = 0; place < header_->active_count; ++place) fix(place);
    }
  }
}

// Of each card and uplink, the places in active_ of the flows that cross it, ascending.
void FlowNetwork::ListFlowsOfCards() {
  const int64_t count = header_->active_count;
  for (size_t kind = 0; kind < shared_.size(); ++kind) {
    Shared& shared = shared_[kind];
    std::fill(shared.flows.begin(), shared.flows.end(), 0);
    for (int64_t i = 0; i < count; ++i) {
      const int32_t at = SharedBy(kind, flows_[active_[i]]);
      if (at >= 0) ++shared.flows[at];
    }
    int32_t begin = 0;
    for (size_t at = 0; at < shared.end.size(); ++at) {
      shared.end[at] = begin;
      begin += shared.flows[at];
    }
    for (int64_t i = 0; i < count; ++i) {
      const int32_t at = SharedBy(kind, flows_[active_[i]]);
      if (at >= 0) shared.places[shared.end[at]++] = static_cast<int32_t>(i);
    }
  }
}

// Puts the places of all flows of cards and uplinks whose share is `share_max` or less into
// candidates_, ascending. False: there are so many, or links have limits of their own, that all
// flows may as well be looked at.
bool FlowNetwork::ListFlowsOfFullCards(double share_max) {
  if (has_link_rates_) return false;
  candidates_.clear();
  const int64_t candidates_max = header_->active_count / 4;
  for (const Shared& shared : shared_) {
    for (size_t at = 0; at < shared.left.size(); ++at) {
      if (shared.flows[at] == 0 || shared.left[at] / shared.flows[at] > share_max) continue;
      const int32_t begin = at == 0 ? 0 : shared.end[at - 1];
      candidates_.insert(candidates_.end(), shared.places.begin() + begin,
                         shared.places.begin() + shared.end[at]);
      if (static_cast<int64_t>(candidates_.size()) > candidates_max) return false;
    }
  }
  std::sort(candidates_.begin(), candidates_.end());
  return true;
}

}  // namespace ringmaster
