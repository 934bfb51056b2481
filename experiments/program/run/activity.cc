#include "experiments/program/run/activity.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/string_view.h"

namespace ringmaster {
namespace {

AwaitedMessage::Kind KindOf(MessageKind kind) {
  switch (kind) {
    case MessageKind::kCollective:
      return AwaitedMessage::COLLECTIVE;
    case MessageKind::kPush:
      return AwaitedMessage::PUSH;
    case MessageKind::kPull:
      return AwaitedMessage::PULL;
    case MessageKind::kWeights:
      return AwaitedMessage::WEIGHTS;
    case MessageKind::kDrain:
      return AwaitedMessage::DRAIN;
    case MessageKind::kTest:
    case MessageKind::kWake:
      return AwaitedMessage::OTHER;
  }
  return AwaitedMessage::OTHER;
}

// The least step of each peer, kind and direction; of equal ones the least bucket.
void AddAwaited(const Activity& exchange, NodeActivity* activity) {
  std::map<std::tuple<bool, int32_t, MessageKind, bool>, const Tag*> least;
  for (const Activity::Awaited& message : exchange.awaited) {
    const Tag*& tag = least[{message.peer.role == Role::kServer, message.peer.index,
                             message.tag.kind, message.is_send}];
    if (tag == nullptr ||
        std::tie(message.tag.step, message.tag.bucket) < std::tie(tag->step, tag->bucket)) {
      tag = &message.tag;
    }
  }
  for (const auto& [key, tag] : least) {
    AwaitedMessage* awaited = activity->add_awaited();
    awaited->mutable_peer()->set_server(std::get<0>(key));
    awaited->mutable_peer()->set_index(std::get<1>(key));
    awaited->set_kind(KindOf(std::get<2>(key)));
    awaited->set_is_send(std::get<3>(key));
    awaited->set_step(tag->step);
    awaited->set_bucket(tag->bucket);
  }
}

// Phases in which the step thread itself gets on; in the others it may be held up by an exchange.
bool IsComputing(absl::string_view phase) {
  for (const char* name : {"load", "upload", "forward", "backward", "evaluate", "final loss"}) {
    if (phase == name) return true;
  }
  return false;
}

// A call of a library ends when all ranks have made it.
void AwaitAllOthers(int32_t rank, int32_t ranks, NodeActivity* activity) {
  for (int32_t other = 0; other < ranks; ++other) {
    if (other == rank) continue;
    AwaitedMessage* awaited = activity->add_awaited();
    awaited->mutable_peer()->set_index(other);
    awaited->set_kind(AwaitedMessage::COLLECTIVE);
    awaited->set_step(activity->step());
  }
}

}  // namespace

NodeActivity DescribeWorker(const WorkerSight& sight) {
  const WorkerProgress& progress = *sight.progress;
  const absl::string_view phase = progress.phase.load();
  NodeActivity activity;
  activity.mutable_node()->set_index(sight.rank);
  activity.set_step(progress.step);
  activity.set_phase(std::string(phase));
  activity.set_bucket(progress.bucket);
  activity.set_moved(progress.work + sight.exchange.moved);
  activity.set_slowest_step_seconds(progress.slowest_step_seconds);
  AddAwaited(sight.exchange, &activity);
  const bool computes = IsComputing(phase);
  // Where others are lost lots may be kept back for as long as this worker's own exchange lasts.
  const bool awaits_own = phase == "load" && activity.awaited_size() > 0;
  if (progress.done) {
    activity.set_state(NodeActivity::DONE);
  } else if (progress.paused || progress.awaits_lots) {
    activity.set_state(awaits_own && !progress.paused ? NodeActivity::WAITS : NodeActivity::PAUSED);
  } else if (progress.at_barrier) {
    activity.set_state(NodeActivity::AT_BARRIER);
  } else if (!computes && (sight.engine_ranks > 0 && phase != "start") &&
             activity.awaited_size() == 0) {
    AwaitAllOthers(sight.rank, sight.engine_ranks, &activity);
    activity.set_state(NodeActivity::WAITS);
  } else if (!computes && activity.awaited_size() > 0) {
    activity.set_state(NodeActivity::WAITS);
  }
  return activity;
}

NodeActivity DescribeServer(int32_t index, bool done, const Activity& exchange) {
  NodeActivity activity;
  activity.mutable_node()->set_server(true);
  activity.mutable_node()->set_index(index);
  activity.set_phase("serve");
  activity.set_moved(exchange.moved);
  AddAwaited(exchange, &activity);
  if (done) {
    activity.set_state(NodeActivity::DONE);
  } else if (!exchange.awaited.empty()) {
    activity.set_state(NodeActivity::WAITS);
  }
  return activity;
}

}  // namespace ringmaster
