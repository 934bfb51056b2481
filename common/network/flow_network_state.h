#ifndef RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_STATE_H_
#define RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_STATE_H_

#include <cstdint>

#include "common/network/flow_network.h"

namespace ringmaster {

// What lies in a FlowNetwork's memory.
// All that follows begins as zeros. Indices of slots and flows begin with 1; so do places and
// holders, and 0 is none.

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

// The messages of a pair of processes. Without any it lingers until the last one has arrived, where
// jitter might let the next one pass it.
struct FlowNetwork::Flow {
  int32_t head;
  int32_t tail;
  int32_t from;
  int32_t to;
  int32_t link;    // the place of its link among the cards, from 1
  int32_t chain;   // the next of its bucket; of a free record, the next free one
  int32_t holder;  // the card that holds it up, from 1; 0: it has just come
  // In the heap of its holder.
  int32_t child;
  int32_t sibling;
  int32_t before;  // its parent or left sibling
  // In the lists of its cards; those of kind 0 while it lingers.
  int32_t next[kKinds];
  int32_t previous[kKinds];
  uint32_t share;    // the last one that reached it
  int32_t is_rated;  // in that
  int32_t is_odd;    // see CardRole
  double finish;     // the head is through when its holder has passed so much of each flow; of one
                     // that has just come, the head's bytes
  Nanoseconds last_arrival;
};

struct FlowNetwork::Card {
  double passed;  // bytes of each flow that it holds up, by `since`
  double rate;    // of each of these
  Nanoseconds since;
  Nanoseconds leaves;  // when the first of their heads is through
  int32_t flows;       // that cross it
  int32_t fresh;       // of these, that have just come
  int32_t held;        // of these, that it holds up
  int32_t first;       // of those that cross it
  int32_t heap;        // of those that it holds up
  int32_t place;       // in card_heap_, from 1
  int32_t dirty;       // of kShrunk and kGrown
};

struct FlowNetwork::Process {
  Nanoseconds sleeps_until;
  int32_t first_notice[2];  // by Notice::has_left
  int32_t last_notice[2];
  int32_t is_noticed;
};

struct FlowNetwork::Header {
  Nanoseconds time;  // until here the state is
  int32_t free_slot;
  int32_t used_slots;  // of which some are free
  int32_t free_flow;
  int32_t used_flows;
  int32_t first_lingering;
  int32_t last_lingering;
  int32_t waiting_cards;
  int32_t dirty_cards;
  int32_t noticed;
  int32_t odd_flows;  // of these, odd ones; see CardRole
  uint32_t shares;
};

// How a card's flows have changed since rates were shared out.
enum DirtyCard : int32_t { kShrunk = 1, kGrown = 2 };

// A full card holds up all flows that cross it, an open one none. A flow is odd unless one of its
// cards is full and the other one is open, and would be no slower to it if it were shared evenly.
// Where no flow is odd each full card's rate is its even share, and a flow that comes or goes
// changes no other card's.
enum CardRole : int8_t { kUnknown, kFull, kOpen };

inline constexpr double kNoBytes = 1e-3;  // what rounding may leave of a message
// What it may add to one: else a message whose time is a whole number of nanoseconds would at times
// take one more, and those that are alike would not leave together.
inline constexpr double kAddedBytes = 1e-6;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_NETWORK_FLOW_NETWORK_STATE_H_
