#include "tests/contract/schemes/deceived_strategy.h"

#include <cstring>
#include <utility>

#include "common/base/status_macros.h"
#include "worker/strategy/forwarding.h"
#include "worker/strategy/registry.h"

namespace ringmaster {
namespace {

// The world outlives the strategy, whose thread uses it.
class Deceived : private World, public ForwardingStrategy {
 public:
  Deceived(World world, std::unique_ptr<SyncStrategy> real)
      : World(std::move(world)), ForwardingStrategy(std::move(real)) {}
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> Deceive(WorkerLink link, World world) {
  if (world.spec != nullptr) link.spec = world.spec.get();
  if (world.replica != nullptr) link.replica = world.replica.get();
  if (world.transport != nullptr) link.transport = world.transport.get();
  RM_ASSIGN_OR_RETURN(auto real, CreateStrategy(link));
  return std::make_unique<Deceived>(std::move(world), std::move(real));
}

StrategyFactory WithReplica(std::function<std::unique_ptr<Replica>(const WorkerLink&)> make) {
  return [make](const WorkerLink& link) {
    World world;
    world.replica = make(link);
    return Deceive(link, std::move(world));
  };
}

StrategyFactory WithTransport(std::function<std::unique_ptr<Transport>(const WorkerLink&)> make) {
  return [make](const WorkerLink& link) {
    World world;
    world.transport = make(link);
    return Deceive(link, std::move(world));
  };
}

StrategyFactory WithSpec(std::function<void(RunSpec*)> edit) {
  return [edit](const WorkerLink& link) {
    World world;
    world.spec = std::make_unique<RunSpec>(*link.spec);
    edit(world.spec.get());
    return Deceive(link, std::move(world));
  };
}

absl::StatusOr<OpId> PayloadTwin::Send(const Outgoing& message) {
  const bool has_floats = message.tag.kind == MessageKind::kCollective ||
                          message.tag.kind == MessageKind::kPush ||
                          message.tag.kind == MessageKind::kWeights;
  if (!has_floats || message.payload.empty()) return below_.Send(message);
  std::vector<float> floats(message.payload.size() / sizeof(float));
  std::memcpy(floats.data(), message.payload.data(), message.payload.size());
  Change(message, &floats);
  sent_.push_back(std::move(floats));  // until the end, since nobody says when it has left
  const auto* bytes = reinterpret_cast<const std::byte*>(sent_.back().data());
  const Outgoing changed(message.to, message.tag,
                         absl::MakeConstSpan(bytes, message.payload.size()));
  if (message.returned != nullptr) *message.returned = false;
  return below_.Send(changed);
}

}  // namespace ringmaster
