#include "common/control/activity_text.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

const char* KindName(AwaitedMessage::Kind kind) {
  switch (kind) {
    case AwaitedMessage::COLLECTIVE:
      return "collective";
    case AwaitedMessage::PUSH:
      return "push";
    case AwaitedMessage::PULL:
      return "pull";
    case AwaitedMessage::WEIGHTS:
      return "weights";
    case AwaitedMessage::DRAIN:
      return "drain";
    default:
      return "message";
  }
}

std::string DescribeState(const NodeActivity& activity) {
  switch (activity.state()) {
    case NodeActivity::WAITS: {
      if (activity.awaited_size() == 0) return "waits for nobody";
      const AwaitedMessage& first = activity.awaited(0);
      const int more = activity.awaited_size() - 1;
      return absl::StrCat("waits for ", NameOf(first.peer()), " (", DescribeAwaited(first), ")",
                          more > 0 ? absl::StrCat(" and ", more, " more") : "");
    }
    case NodeActivity::AT_BARRIER:
      return "waits at a barrier";
    case NodeActivity::DONE:
      return "is done";
    case NodeActivity::PAUSED:
      return "is told to stand still";
    default:
      return "computes";
  }
}

}  // namespace

std::string NameOf(const NodeName& node) {
  return absl::StrCat(node.server() ? "server/" : "worker/", node.index());
}

std::string DescribeAwaited(const AwaitedMessage& message) {
  return absl::StrCat(KindName(message.kind()), message.is_send() ? " to it" : "",
                      " step=", message.step(), " bucket=", message.bucket());
}

std::string DescribeActivity(const NodeActivity& activity) {
  const std::string bucket =
      activity.phase() == "backward" ? absl::StrCat(" bucket=", activity.bucket()) : "";
  return absl::StrCat(NameOf(activity.node()), " at step=", activity.step(),
                      " phase=", activity.phase().empty() ? "start" : activity.phase(), bucket, " ",
                      DescribeState(activity));
}

}  // namespace ringmaster
