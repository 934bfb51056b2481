// How flows share cards: FlowNetwork's heaps and rates.
#include <algorithm>
#include <cmath>
#include <utility>

#include "common/network/flow_network.h"
#include "common/network/flow_network_state.h"

namespace ringmaster {
namespace {

constexpr double kSame = 1 + 1e-9;  // rates within this factor are one

}  // namespace

// Flows of a card.

void FlowNetwork::JoinCards(int32_t flow) {
  Flow& line = flows_[flow];
  const CardsOfFlow cards = CardsOf(line);
  for (size_t kind = 0; kind < cards.size(); ++kind) {
    if (cards[kind] < 0) continue;
    Card& card = cards_[cards[kind]];
    line.previous[kind] = 0;
    line.next[kind] = card.first;
    if (card.first != 0) flows_[card.first].previous[kind] = flow;
    card.first = flow;
    ++card.flows;
    ++card.fresh;
    Changed(cards[kind], kGrown);
  }
}

void FlowNetwork::LeaveCards(int32_t flow) {
  const Flow& line = flows_[flow];
  const CardsOfFlow cards = CardsOf(line);
  for (size_t kind = 0; kind < cards.size(); ++kind) {
    if (cards[kind] < 0) continue;
    Card& card = cards_[cards[kind]];
    (line.previous[kind] == 0 ? card.first : flows_[line.previous[kind]].next[kind]) =
        line.next[kind];
    if (line.next[kind] != 0) flows_[line.next[kind]].previous[kind] = line.previous[kind];
    --card.flows;
    Changed(cards[kind], kShrunk);
  }
  header_->odd_flows -= line.is_odd;
}

double FlowNetwork::CrowdOf(int32_t card) const {
  return static_cast<double>(cards_[card].flows) / capacity_[card];
}

void FlowNetwork::Changed(int32_t index, int32_t how) {
  Card& card = cards_[index];
  if (card.dirty == 0) dirty_[header_->dirty_cards++] = index;
  card.dirty |= how;
}

// A pairing heap (Fredman, Sedgewick, Sleator and Tarjan 1986) of the flows that a card holds up.

int32_t FlowNetwork::Meld(int32_t a, int32_t b) {
  if (a == 0 || b == 0) return a + b;
  if (flows_[b].finish < flows_[a].finish) std::swap(a, b);
  Flow& first = flows_[a];
  Flow& second = flows_[b];
  second.sibling = first.child;
  if (first.child != 0) flows_[first.child].before = b;
  second.before = a;
  first.child = b;
  return a;
}

int32_t FlowNetwork::MeldSiblings(int32_t first) {
  int32_t pairs = 0;  // melded, the last first, by sibling
  while (first != 0) {
    const int32_t second = flows_[first].sibling;
    const int32_t next = second == 0 ? 0 : flows_[second].sibling;
    flows_[first].sibling = flows_[first].before = 0;
    if (second != 0) flows_[second].sibling = flows_[second].before = 0;
    const int32_t pair = Meld(first, second);
    flows_[pair].sibling = pairs;
    pairs = pair;
    first = next;
  }
  int32_t whole = 0;
  while (pairs != 0) {
    const int32_t next = flows_[pairs].sibling;
    flows_[pairs].sibling = 0;
    whole = Meld(whole, pairs);
    pairs = next;
  }
  return whole;
}

void FlowNetwork::Hold(int32_t card, int32_t flow) {
  Flow& line = flows_[flow];
  line.holder = card + 1;
  line.child = line.sibling = line.before = 0;
  cards_[card].heap = Meld(cards_[card].heap, flow);
  ++cards_[card].held;
}

void FlowNetwork::LetGo(int32_t flow) {
  Flow& line = flows_[flow];
  Card& card = cards_[line.holder - 1];
  const int32_t below = MeldSiblings(line.child);
  if (card.heap == flow) {
    card.heap = below;
  } else {
    Flow& before = flows_[line.before];
    (before.child == flow ? before.child : before.sibling) = line.sibling;
    if (line.sibling != 0) flows_[line.sibling].before = line.before;
    card.heap = Meld(card.heap, below);
  }
  --card.held;
}

// Cards that hold flows up, the one whose first head leaves first on top.

bool FlowNetwork::IsSooner(int32_t a, int32_t b) const {
  return cards_[a].leaves != cards_[b].leaves ? cards_[a].leaves < cards_[b].leaves : a < b;
}

void FlowNetwork::PutCard(int32_t card, int32_t place) {
  card_heap_[place] = card;
  cards_[card].place = place + 1;
}

void FlowNetwork::SiftCard(int32_t card) {
  int32_t place = cards_[card].place - 1;
  for (; place > 0 && IsSooner(card, card_heap_[(place - 1) / 2]); place = (place - 1) / 2)
    PutCard(card_heap_[(place - 1) / 2], place);
  for (;;) {
    int32_t below = 2 * place + 1;
    if (below >= header_->waiting_cards) break;
    if (below + 1 < header_->waiting_cards && IsSooner(card_heap_[below + 1], card_heap_[below]))
      ++below;
    if (!IsSooner(card_heap_[below], card)) break;
    PutCard(card_heap_[below], place);
    place = below;
  }
  PutCard(card, place);
}

void FlowNetwork::Settle(int32_t index) {
  Card& card = cards_[index];
  if (card.held > 0 && !std::isinf(card.rate))
    card.passed += card.rate * static_cast<double>(header_->time - card.since);
  card.since = header_->time;
}

// After the card's flows, or their rate, have changed. REQUIRES: it is settled.
void FlowNetwork::PlanCard(int32_t index) {
  Card& card = cards_[index];
  if (card.held > 0) {
    card.leaves = HeadLeaves(flows_[card.heap]);
    if (card.place == 0) PutCard(index, header_->waiting_cards++);
    SiftCard(index);
    return;
  }
  card.passed = 0;
  if (card.place == 0) return;
  const int32_t place = card.place - 1;
  card.place = 0;
  const int32_t last = card_heap_[--header_->waiting_cards];
  if (last == index) return;
  PutCard(last, place);
  SiftCard(last);
}

// When the flow's head will be through.
Nanoseconds FlowNetwork::HeadLeaves(const Flow& line) const {
  const Card& card = cards_[line.holder - 1];
  const double left =
      line.finish - card.passed -
      (std::isinf(card.rate) ? 0 : card.rate * static_cast<double>(header_->time - card.since));
  if (left < kNoBytes || std::isinf(card.rate)) return header_->time;
  constexpr double kFar = static_cast<double>(kNever / 4);
  return header_->time +
         std::max<Nanoseconds>(1, static_cast<Nanoseconds>(
                                      std::min(kFar, std::ceil((left - kAddedBytes) / card.rate))));
}

// Works out the rates of the flows that the dirty cards' changes bear on.
void FlowNetwork::Share() {
  if (header_->dirty_cards == 0) return;
  if (!ShareEvenly()) ShareByFilling();
  for (int32_t i = 0; i < header_->dirty_cards; ++i) {
    Card& card = cards_[dirty_[i]];
    card.dirty = card.fresh = 0;
    role_[dirty_[i]] = kUnknown;
    NoteCrowd(dirty_[i]);
  }
  header_->dirty_cards = 0;
}

// Keeps the tree of crowds of open cards.
void FlowNetwork::NoteCrowd(int32_t index) {
  if (!OnlyOwnCards()) return;
  const int32_t kind = KindOf(index);
  double* const tree = crowds_ + 2 * kind * tree_;
  int32_t at = tree_ + index - kind * processes_;
  tree[at] = cards_[index].held == 0 ? CrowdOf(index) : 0;
  for (at /= 2; at > 0; at /= 2) {
    const double most = std::max(tree[2 * at], tree[2 * at + 1]);
    if (tree[at] == most) break;
    tree[at] = most;
  }
}

// Where no flow is odd, and none becomes so: the dirty cards that are full have new rates. False:
// one would, and nothing has changed.
bool FlowNetwork::ShareEvenly() {
  if (!OnlyOwnCards() || header_->odd_flows > 0 || !AssignRoles() || !RolesHold()) return false;
  for (int32_t i = 0; i < header_->dirty_cards; ++i) {
    const int32_t index = dirty_[i];
    Card& card = cards_[index];
    if (role_[index] != kFull && card.held == 0) continue;
    Settle(index);
    const int32_t kind = KindOf(index);
    int32_t flow = card.first;  // those that have come are the first
    for (int32_t fresh = card.fresh; fresh > 0; --fresh, flow = flows_[flow].next[kind]) {
      ++visits_;
      flows_[flow].finish += card.passed;
      Hold(index, flow);
    }
    card.rate = capacity_[index] / card.flows;
    PlanCard(index);
  }
  return true;
}

// Gives a role to every card that only new flows cross. False: no roles would do.
bool FlowNetwork::AssignRoles() {
  const auto role = [this](int32_t index) -> int8_t& {
    const Card& card = cards_[index];
    if (card.flows > card.fresh) role_[index] = card.held > 0 ? kFull : kOpen;
    return role_[index];
  };
  for (int32_t i = 0; i < header_->dirty_cards; ++i) {
    const int32_t from = dirty_[i];
    if (KindOf(from) != kEgress) continue;
    int32_t flow = cards_[from].first;
    for (int32_t fresh = cards_[from].fresh; fresh > 0;
         --fresh, flow = flows_[flow].next[kEgress]) {
      ++visits_;
      const int32_t to = processes_ + flows_[flow].to;
      int8_t& sends = role(from);
      int8_t& receives = role(to);
      if (sends == kUnknown && receives == kUnknown)
        receives = CrowdOf(to) >= CrowdOf(from) ? kFull : kOpen;
      if (sends == kUnknown) sends = receives == kFull ? kOpen : kFull;
      if (receives == kUnknown) receives = sends == kFull ? kOpen : kFull;
      if (sends == receives) return false;
    }
  }
  return true;
}

// Whether every dirty card that is full is at least as crowded as the open ones that it shares
// flows with, and the other way round. Who has become fuller of the former, or emptier of the
// latter, need not ask.
bool FlowNetwork::RolesHold() {
  for (int32_t i = 0; i < header_->dirty_cards; ++i) {
    const int32_t index = dirty_[i];
    const Card& card = cards_[index];
    const bool is_full = card.held > 0 || role_[index] == kFull;
    if (card.flows == 0 || (card.dirty & (is_full ? kShrunk : kGrown)) == 0) continue;
    const int32_t kind = KindOf(index);
    const int32_t other = kind == kEgress ? kIngress : kEgress;
    const double crowd = CrowdOf(index);
    if (is_full && crowd >= crowds_[2 * other * tree_ + 1]) continue;
    for (int32_t flow = card.first; flow != 0; flow = flows_[flow].next[kind]) {
      ++visits_;
      const double others = CrowdOf(CardsOf(flows_[flow])[other]);
      if (is_full ? crowd < others : others < crowd) return false;
    }
  }
  return true;
}

// Progressive filling, of the dirty cards and all that they share flows with, directly or not: all
// rates grow together until a card is full; its flows stay there, the others go on.
void FlowNetwork::ShareByFilling() {
  ReachCards();
  turns_.clear();
  for (const int32_t card : reached_) {
    Settle(card);
    if (open_[card] > 0) turns_.push_back({left_[card] / open_[card], card});
  }
  std::make_heap(turns_.begin(), turns_.end(), IsLater());
  double level = 0;
  while (!turns_.empty()) {
    std::pop_heap(turns_.begin(), turns_.end(), IsLater());
    const Turn turn = turns_.back();
    turns_.pop_back();
    if (open_[turn.card] == 0) continue;
    const double share = left_[turn.card] / open_[turn.card];
    if (share > turn.share * kSame) {
      turns_.push_back({share, turn.card});
      std::push_heap(turns_.begin(), turns_.end(), IsLater());
      continue;
    }
    if (share > level * kSame) level = share;
    FillCard(turn.card, level);
  }
  for (const int32_t card : reached_) PlanCard(card);
  if (OnlyOwnCards()) JudgeFlows();
  for (const int32_t card : reached_) open_[card] = -1;
}

void FlowNetwork::ReachCards() {
  ++header_->shares;
  reached_.clear();
  touched_.clear();
  const auto reach = [this](int32_t card) {
    if (open_[card] >= 0) return;
    left_[card] = capacity_[card];
    open_[card] = cards_[card].flows;
    reached_.push_back(card);
  };
  for (int32_t i = 0; i < header_->dirty_cards; ++i) reach(dirty_[i]);
  for (size_t i = 0; i < reached_.size(); ++i) {
    const int32_t kind = KindOf(reached_[i]);
    for (int32_t flow = cards_[reached_[i]].first; flow != 0; flow = flows_[flow].next[kind]) {
      Flow& line = flows_[flow];
      ++visits_;
      if (line.share == header_->shares) continue;
      line.share = header_->shares;
      line.is_rated = 0;
      touched_.push_back(flow);
      for (const int32_t card : CardsOf(line)) {
        if (card >= 0) reach(card);
      }
    }
  }
}

// The flows of `card` that have no rate yet are held up by it.
void FlowNetwork::FillCard(int32_t index, double level) {
  const int32_t kind = KindOf(index);
  cards_[index].rate = level;
  for (int32_t flow = cards_[index].first; flow != 0; flow = flows_[flow].next[kind]) {
    Flow& line = flows_[flow];
    ++visits_;
    if (line.is_rated != 0) continue;
    line.is_rated = 1;
    for (const int32_t card : CardsOf(line)) {
      if (card < 0) continue;
      --open_[card];
      if (!std::isinf(level)) left_[card] = std::max(0.0, left_[card] - level);
    }
    if (line.holder == index + 1) continue;
    if (line.holder != 0) {
      LetGo(flow);
      line.finish -= cards_[line.holder - 1].passed;
    }
    line.finish += cards_[index].passed;
    Hold(index, flow);
  }
}

// Which of the flows that were reached are odd now.
void FlowNetwork::JudgeFlows() {
  for (const int32_t card : reached_) NoteCrowd(card);
  const auto is_full = [this](int32_t index) { return cards_[index].held == cards_[index].flows; };
  for (const int32_t flow : touched_) {
    ++visits_;
    Flow& line = flows_[flow];
    const CardsOfFlow cards = CardsOf(line);
    const bool by_sender = line.holder == cards[kEgress] + 1;
    const int32_t full = cards[by_sender ? kEgress : kIngress];
    const int32_t open = cards[by_sender ? kIngress : kEgress];
    header_->odd_flows -= line.is_odd;
    line.is_odd = is_full(full) && cards_[open].held == 0 && CrowdOf(full) >= CrowdOf(open) ? 0 : 1;
    header_->odd_flows += line.is_odd;
  }
}

}  // namespace ringmaster
