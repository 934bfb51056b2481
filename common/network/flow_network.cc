#include "common/network/flow_network.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/network/flow_network_state.h"

namespace ringmaster {
namespace {

constexpr Nanoseconds kTolerance = 1000;  // who would look so little too late is not woken sooner
constexpr int64_t kAlignment = 64;

int64_t Aligned(int64_t bytes) { return CeilDiv(bytes, kAlignment) * kAlignment; }

int64_t PowerOfTwo(int64_t least) {
  int64_t power = 1;
  while (power < least) power *= 2;
  return power;
}

}  // namespace

struct FlowNetwork::Sizes {
  int64_t cards = 0;
  int64_t tree = 0;
  int64_t flows = 0;
  int64_t buckets = 0;

  int64_t Bytes(int64_t processes, int64_t slots) const {
    return Aligned(sizeof(Header)) + Aligned(processes * sizeof(Process)) +
           Aligned(cards * sizeof(Card)) + 2 * Aligned(cards * sizeof(int32_t)) +
           Aligned(processes * sizeof(int32_t)) + Aligned(4 * tree * sizeof(double)) +
           Aligned(buckets * sizeof(int32_t)) + Aligned((flows + 1) * sizeof(Flow)) +
           Aligned((slots + 1) * sizeof(Slot));
  }
};

FlowNetwork::Sizes FlowNetwork::SizesOf(const NetworkPlan& plan, int32_t slots) {
  const int64_t processes = plan.processes();
  Sizes sizes;
  sizes.cards =
      2 * (processes + static_cast<int64_t>(plan.racks.empty() ? 0 : plan.uplinks.size()));
  for (const auto& [pair, link] : plan.links) sizes.cards += std::isinf(link.rate) ? 0 : 1;
  sizes.tree = PowerOfTwo(processes);
  sizes.flows = std::min<int64_t>(processes * processes, slots);
  sizes.buckets = PowerOfTwo(sizes.flows);
  return sizes;
}

uint64_t MessageKey(NodeId from, NodeId to, const Tag& tag) {
  const auto byte = [](auto value, int place) { return static_cast<uint64_t>(value) << 8 * place; };
  uint64_t key = byte(from.role, 7) | byte(to.role, 6) | byte(tag.kind, 5) | byte(tag.round, 2) |
                 byte(tag.piece, 0);
  key = MixSeed(key, static_cast<uint64_t>(from.index) << 32 | static_cast<uint32_t>(to.index));
  key = MixSeed(key, byte(tag.channel, 4) | static_cast<uint32_t>(tag.bucket));
  return MixSeed(key, static_cast<uint64_t>(tag.step));
}

int64_t FlowNetwork::StateBytes(const NetworkPlan& plan, int32_t slots) {
  return SizesOf(plan, slots).Bytes(plan.processes(), slots);
}

FlowNetwork::FlowNetwork(const NetworkPlan& plan, absl::Span<std::byte> state, int32_t slots)
    : plan_(plan), processes_(plan.processes()), slot_count_(slots) {
  RM_CHECK(static_cast<int64_t>(state.size()) >= StateBytes(plan, slots));
  RM_CHECK(std::isinf(plan.everywhere.rate));
  capacity_ = plan.egress;
  capacity_.insert(capacity_.end(), plan.ingress.begin(), plan.ingress.end());
  for (int way = 0; way < 2 && !plan.racks.empty(); ++way)
    capacity_.insert(capacity_.end(), plan.uplinks.begin(), plan.uplinks.end());
  for (const auto& [pair, link] : plan.links) {
    if (std::isinf(link.rate)) continue;
    capacity_.push_back(link.rate);
    link_cards_[pair] = static_cast<int32_t>(capacity_.size());
  }
  const Sizes sizes = SizesOf(plan, slots);
  RM_CHECK(static_cast<int64_t>(capacity_.size()) == sizes.cards);
  flow_count_ = static_cast<int32_t>(sizes.flows);
  bucket_mask_ = static_cast<uint32_t>(sizes.buckets - 1);
  tree_ = static_cast<int32_t>(sizes.tree);
  std::byte* at = state.data();
  const auto take = [&at](auto** begin, int64_t count) {
    *begin = reinterpret_cast<std::remove_reference_t<decltype(*begin)>>(at);
    at += Aligned(count * static_cast<int64_t>(sizeof(**begin)));
  };
  take(&header_, 1);
  take(&process_, processes_);
  take(&cards_, sizes.cards);
  take(&card_heap_, sizes.cards);
  take(&dirty_, sizes.cards);
  take(&noticed_, processes_);
  take(&crowds_, 4 * sizes.tree);
  take(&buckets_, sizes.buckets);
  take(&flows_, sizes.flows + 1);
  take(&slots_, int64_t{slots} + 1);
  left_.resize(sizes.cards);
  open_.resize(sizes.cards, -1);
  role_.resize(sizes.cards, kUnknown);
}

int32_t FlowNetwork::KindOf(int32_t card) const {
  if (card < 2 * processes_) return card < processes_ ? kEgress : kIngress;
  const auto racks = static_cast<int32_t>(plan_.racks.empty() ? 0 : plan_.uplinks.size());
  if (card < 2 * processes_ + 2 * racks) return card < 2 * processes_ + racks ? kUplink : kDownlink;
  return kLink;
}

FlowNetwork::CardsOfFlow FlowNetwork::CardsOf(const Flow& line) const {
  CardsOfFlow cards = {line.from, processes_ + line.to, -1, -1, line.link - 1};
  if (!plan_.racks.empty() && plan_.racks[line.from] != plan_.racks[line.to]) {
    cards[kUplink] = 2 * processes_ + plan_.racks[line.from];
    cards[kDownlink] =
        2 * processes_ + static_cast<int32_t>(plan_.uplinks.size()) + plan_.racks[line.to];
  }
  return cards;
}

// Flows by pair.

int32_t* FlowNetwork::BucketOf(int32_t from, int32_t to) {
  const uint64_t pair = static_cast<uint64_t>(from) << 32 | static_cast<uint32_t>(to);
  return &buckets_[pair * 0x9E3779B97F4A7C15 >> 32 & bucket_mask_];
}

int32_t FlowNetwork::FindFlow(int32_t from, int32_t to) {
  int32_t flow = *BucketOf(from, to);
  while (flow != 0 && (flows_[flow].from != from || flows_[flow].to != to))
    flow = flows_[flow].chain;
  return flow;
}

int32_t FlowNetwork::AddFlow(int32_t from, int32_t to) {
  while (header_->first_lingering != 0 &&
         flows_[header_->first_lingering].last_arrival <= header_->time) {
    const int32_t over = header_->first_lingering;
    EndLingering(over);
    RemoveFlow(over);
  }
  int32_t flow = header_->free_flow;
  if (flow != 0) {
    header_->free_flow = flows_[flow].chain;
  } else if (header_->used_flows < flow_count_) {
    flow = ++header_->used_flows;
  } else {
    return 0;
  }
  Flow& line = flows_[flow];
  line = Flow();
  line.from = from;
  line.to = to;
  if (!link_cards_.empty()) {
    const auto own = link_cards_.find({from, to});
    if (own != link_cards_.end()) line.link = own->second;
  }
  int32_t* const bucket = BucketOf(from, to);
  line.chain = *bucket;
  *bucket = flow;
  return flow;
}

void FlowNetwork::RemoveFlow(int32_t flow) {
  Flow& line = flows_[flow];
  int32_t* at = BucketOf(line.from, line.to);
  while (*at != flow) at = &flows_[*at].chain;
  *at = line.chain;
  line.chain = header_->free_flow;
  header_->free_flow = flow;
}

void FlowNetwork::Linger(int32_t flow) {
  Flow& line = flows_[flow];
  line.next[0] = 0;
  line.previous[0] = header_->last_lingering;
  (line.previous[0] == 0 ? header_->first_lingering : flows_[line.previous[0]].next[0]) = flow;
  header_->last_lingering = flow;
}

void FlowNetwork::EndLingering(int32_t flow) {
  const Flow& line = flows_[flow];
  (line.previous[0] == 0 ? header_->first_lingering : flows_[line.previous[0]].next[0]) =
      line.next[0];
  (line.next[0] == 0 ? header_->last_lingering : flows_[line.next[0]].previous[0]) =
      line.previous[0];
}

void FlowNetwork::SleepUntil(int32_t process, Nanoseconds until) {
  process_[process].sleeps_until = until;
}

absl::Status FlowNetwork::Start(int32_t from, int32_t to, const Message& message, Nanoseconds now) {
  Advance(now);
  RM_RETURN_IF_ERROR(Enter(from, to, message));
  Advance(header_->time);  // without bytes, or without limits, it has left
  return absl::OkStatus();
}

absl::Status FlowNetwork::Enter(int32_t from, int32_t to, const Message& message) {
  int32_t flow = FindFlow(from, to);
  if (flow == 0) flow = AddFlow(from, to);
  int32_t slot = header_->free_slot;
  if (flow != 0 && slot != 0) {
    header_->free_slot = slots_[slot].next;
  } else if (flow != 0 && header_->used_slots < slot_count_) {
    slot = ++header_->used_slots;
  } else {
    return absl::ResourceExhaustedError(
        absl::StrCat("shaped network: ", header_->used_slots,
                     " messages are under way; use larger buckets or a faster network"));
  }
  Slot& entry = slots_[slot];
  entry = Slot();
  entry.message = message;
  entry.from = from;
  entry.to = to;
  Flow& line = flows_[flow];
  if (line.head != 0) {
    slots_[line.tail].next = slot;
    line.tail = slot;
    return absl::OkStatus();
  }
  if (line.last_arrival > 0) EndLingering(flow);
  line.head = line.tail = slot;
  line.holder = 0;
  line.finish = static_cast<double>(message.bytes);
  JoinCards(flow);
  return absl::OkStatus();
}

Nanoseconds FlowNetwork::NextLeaves() {
  Share();
  return header_->waiting_cards == 0 ? kNever : cards_[card_heap_[0]].leaves;
}

void FlowNetwork::Advance(Nanoseconds now) {
  for (;;) {
    const Nanoseconds next = NextLeaves();
    if (next > std::max(now, header_->time)) break;
    header_->time = std::max(header_->time, next);
    FinishDue();
  }
  header_->time = std::max(header_->time, now);
}

// All heads that are through leave, by sender and receiver, whatever held them up.
void FlowNetwork::FinishDue() {
  due_.clear();
  reached_.clear();
  while (header_->waiting_cards > 0 && cards_[card_heap_[0]].leaves <= header_->time) {
    const int32_t index = card_heap_[0];
    Card& card = cards_[index];
    Settle(index);
    while (card.held > 0 && HeadLeaves(flows_[card.heap]) <= header_->time) {
      due_.push_back(card.heap);
      LetGo(card.heap);
    }
    PlanCard(index);
    reached_.push_back(index);
  }
  std::sort(due_.begin(), due_.end(), [this](int32_t a, int32_t b) {
    const Flow& first = flows_[a];
    const Flow& second = flows_[b];
    return first.from != second.from ? first.from < second.from : first.to < second.to;
  });
  for (const int32_t flow : due_) FinishHead(flow);
  for (const int32_t card : reached_) PlanCard(card);
}

double FlowNetwork::JitterShare(uint64_t key) const {
  return Random(MixSeed(plan_.seed, key)).Uniform();
}

// The flow's head has left, and its holder has let it go; the next one follows at once.
void FlowNetwork::FinishHead(int32_t flow) {
  Flow& line = flows_[flow];
  const int32_t slot = line.head;
  Slot& entry = slots_[slot];
  const NetworkPlan::Delay delay = plan_.link(line.from, line.to);
  entry.left = header_->time;
  entry.arrives = header_->time + delay.latency;
  if (delay.jitter > 0) {
    entry.arrives += static_cast<Nanoseconds>(static_cast<double>(delay.jitter) *
                                              JitterShare(entry.message.key));
    entry.arrives = std::max(entry.arrives, line.last_arrival);
    line.last_arrival = entry.arrives;
  }
  line.head = entry.next;
  entry.untaken = 2;
  PutNotice(line.from, slot, true);
  PutNotice(line.to, slot, false);
  if (line.head != 0) {
    const int32_t holder = line.holder - 1;
    line.finish = cards_[holder].passed + static_cast<double>(slots_[line.head].message.bytes);
    Hold(holder, flow);
    return;
  }
  line.tail = 0;
  LeaveCards(flow);
  if (line.last_arrival > 0) {
    Linger(flow);
  } else {
    RemoveFlow(flow);
  }
}

void FlowNetwork::PutNotice(int32_t index, int32_t slot, bool has_left) {
  Process& process = process_[index];
  if (process.is_noticed == 0) noticed_[header_->noticed++] = index;
  process.is_noticed = 1;
  slots_[slot].next_notice[has_left] = 0;
  if (process.first_notice[has_left] == 0) {
    process.first_notice[has_left] = slot;
  } else {
    slots_[process.last_notice[has_left]].next_notice[has_left] = slot;
  }
  process.last_notice[has_left] = slot;
}

void FlowNetwork::TakeNotices(int32_t index, absl::FunctionRef<void(const Notice&)> take) {
  Process& process = process_[index];
  for (const bool has_left : {true, false}) {
    for (int32_t slot = process.first_notice[has_left]; slot != 0;) {
      Slot& entry = slots_[slot];
      const int32_t next = entry.next_notice[has_left];
      take({entry.message, has_left ? entry.left : entry.arrives, has_left});
      if (--entry.untaken == 0) {
        entry.next = header_->free_slot;
        header_->free_slot = slot;
      }
      slot = next;
    }
    process.first_notice[has_left] = process.last_notice[has_left] = 0;
  }
}

void FlowNetwork::TakeAllNotices(absl::FunctionRef<void(const Notice&)> take) {
  std::sort(noticed_, noticed_ + header_->noticed);
  for (int32_t place = 0; place < header_->noticed; ++place) {
    TakeNotices(noticed_[place], take);
    process_[noticed_[place]].is_noticed = 0;
  }
  header_->noticed = 0;
}

Nanoseconds FlowNetwork::NextNotice(int32_t index) {
  Share();
  const Process& process = process_[index];
  Nanoseconds next = kNever;
  if (process.first_notice[true] != 0) next = slots_[process.first_notice[true]].left;
  for (int32_t slot = process.first_notice[false]; slot != 0;
       slot = slots_[slot].next_notice[false]) {
    next = std::min(next, slots_[slot].arrives);
  }
  for (int32_t flow = cards_[index].first; flow != 0; flow = flows_[flow].next[kEgress])
    next = std::min(next, HeadLeaves(flows_[flow]));
  for (int32_t flow = cards_[processes_ + index].first; flow != 0;
       flow = flows_[flow].next[kIngress]) {
    const Flow& line = flows_[flow];
    next = std::min(next, std::max(HeadLeaves(line) + plan_.link(line.from, line.to).latency,
                                   line.last_arrival));
  }
  return next;
}

void FlowNetwork::TakeOversleepers(absl::FunctionRef<void(int32_t process)> take) {
  for (int32_t process = 0; process < processes_; ++process) {
    Nanoseconds& until = process_[process].sleeps_until;
    if (until <= kTolerance || NextNotice(process) >= until - kTolerance) continue;
    until = 0;
    take(process);
  }
}

}  // namespace ringmaster
