#include "common/base/message.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {

const char* KindName(MessageKind kind) {
  switch (kind) {
    case MessageKind::kCollective:
      return "collective";
    case MessageKind::kPush:
      return "push";
    case MessageKind::kPull:
      return "pull";
    case MessageKind::kWeights:
      return "weights";
    case MessageKind::kDrain:
      return "drain";
    case MessageKind::kTest:
      return "test";
    case MessageKind::kWake:
      return "wake";
  }
  return "unknown";
}

std::string ToString(const NodeId& id) {
  return absl::StrCat(id.role == Role::kWorker ? "worker/" : "server/", id.index);
}

std::string ToString(const Tag& tag) {
  std::string text = absl::StrCat(KindName(tag.kind), " step=", tag.step, " bucket=", tag.bucket);
  if (tag.kind == MessageKind::kCollective || tag.round != 0)
    absl::StrAppend(&text, " round=", tag.round);
  if (tag.piece != 0) absl::StrAppend(&text, " piece=", tag.piece);
  if (tag.channel != 0) absl::StrAppend(&text, " channel=", tag.channel);
  return text;
}

}  // namespace ringmaster
