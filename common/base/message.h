#ifndef RINGMASTER_COMMON_BASE_MESSAGE_H_
#define RINGMASTER_COMMON_BASE_MESSAGE_H_

#include <cstdint>
#include <string>
#include <utility>

namespace ringmaster {

enum class Role : uint8_t { kWorker = 0, kServer = 1 };

// One party of a run: worker/RANK or server/INDEX.
struct NodeId {
  Role role = Role::kWorker;
  int32_t index = 0;
  friend bool operator==(const NodeId& a, const NodeId& b) {
    return a.role == b.role && a.index == b.index;
  }
  friend bool operator!=(const NodeId& a, const NodeId& b) { return !(a == b); }
  template <typename H>
  friend H AbslHashValue(H h, const NodeId& id) {
    return H::combine(std::move(h), id.role, id.index);
  }
};
std::string ToString(const NodeId& id);  // "worker/2"

enum class MessageKind : uint8_t {
  kCollective = 0,
  kPush = 1,
  kPull = 2,
  kWeights = 3,
  kDrain = 4,
  kTest = 5,
  kWake = 6
};
const char* KindName(MessageKind kind);  // "push"

// Names one message between two nodes; a (from, to, tag) is used once in a run. `note` is no part
// of the name: it travels in the frame header with the message (a version, a flag, a time), so that
// payloads stay exactly what the formulae say.
struct Tag {
  MessageKind kind = MessageKind::kTest;
  uint16_t round = 0;  // of a collective; 0 elsewhere
  int32_t bucket = 0;
  int64_t step = 0;
  int64_t note = 0;
  uint16_t piece = 0;    // of a round's message of a collective; 0 elsewhere
  uint16_t channel = 0;  // of a collective's group; 0 elsewhere
  friend bool operator==(const Tag& a, const Tag& b) {
    return a.kind == b.kind && a.round == b.round && a.bucket == b.bucket && a.step == b.step &&
           a.piece == b.piece && a.channel == b.channel;
  }
  template <typename H>
  friend H AbslHashValue(H h, const Tag& tag) {
    return H::combine(std::move(h), tag.kind, tag.round, tag.bucket, tag.step, tag.piece,
                      tag.channel);
  }
};
std::string ToString(const Tag& tag);  // "push step=12 bucket=3"

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_MESSAGE_H_
