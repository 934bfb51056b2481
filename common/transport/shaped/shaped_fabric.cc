#include "common/transport/shaped/shaped_fabric.h"

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/network/flow_network.h"
#include "common/transport/shaped/network_card.h"
#include "common/transport/shaped/shaped_transport.h"
#include "common/transport/shm/host_proof.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {
namespace {

// No bucket: names the message that says where the network's memory is.
constexpr int32_t kMeetingBucket = -1;

// What the first process tells the others; travels as it lies in memory.
struct Meeting {
  HostProof::Offer proof;
  Segment::Name memory;
};

Tag MeetingTag() { return {MessageKind::kDrain, 0, kMeetingBucket, 0}; }

class ShapedFabric : public Fabric, private NetworkEntrance {
 public:
  ShapedFabric(std::unique_ptr<Fabric> below, const NetworkShape& shape)
      : shape_(shape), below_(std::move(below)) {}
  // Notices go through the transports below: they end first.
  ~ShapedFabric() override { card_.reset(); }

  std::string endpoint() const override { return below_->endpoint(); }
  std::string name() const override { return below_->name(); }
  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return below_->HeaderBytes(peer, payload_bytes);
  }
  std::string WireTo(NodeId peer) const override { return below_->WireTo(peer); }
  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) override {
    return below_->AllocateExchange(size_bytes);
  }
  void Abort(const absl::Status& why) override { below_->Abort(why); }
  // The process may have played the network's memory at that moment.
  void Forget(int32_t process) override {
    Abort(absl::UnavailableError(absl::StrCat(
        "process ", process, " is lost, and a shaped network does not outlive a process of it")));
  }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(below_->Connect(processes, self, deadline));
    std::vector<std::vector<NodeId>> nodes;
    for (const ProcessAddress& process : processes) nodes.push_back(process.nodes);
    RM_ASSIGN_OR_RETURN(const NetworkPlan plan, PlanNetwork(shape_, nodes));
    for (int32_t process = 0; process < plan.processes(); ++process) {
      for (const NodeId& node : nodes[process]) process_of_[node] = process;
    }
    self_ = self;
    for (const NodeId& node : processes[self].nodes) {
      nodes_[node] = std::make_unique<ShapedTransport>(below_->transport(node),
                                                       static_cast<NetworkEntrance&>(*this));
    }
    absl::StatusOr<Segment> segment =
        self == 0 ? ShareMemory(plan, processes, deadline) : FindMemory(processes, deadline);
    RM_RETURN_IF_ERROR(Annotate(segment.status(), "shaped network"));
    card_ = std::make_unique<NetworkCard>(
        plan, self, *std::move(segment), [this](const FlowNetwork::Notice& notice) {
          nodes_.at(notice.has_left ? notice.message.from : notice.message.to)->Tell(notice);
        });
    return absl::OkStatus();
  }

  Transport& transport(NodeId node) override {
    const auto found = nodes_.find(node);
    RM_CHECK(found != nodes_.end());
    return *found->second;
  }

 private:
  bool Crosses(NodeId peer) const override {
    const auto found = process_of_.find(peer);
    return found != process_of_.end() && found->second != self_;
  }

  absl::Status Start(const FlowNetwork::Message& message, Nanoseconds now) override {
    return card_->Start(process_of_.at(message.to), message, now);
  }

  // The first process makes the network's memory and says to the others where it is, with the proof
  // that it is on their host.
  absl::StatusOr<Segment> ShareMemory(const NetworkPlan& plan,
                                      const std::vector<ProcessAddress>& processes,
                                      MonotonicTime deadline) {
    const int64_t bytes = NetworkCard::SegmentBytes(plan);
    RM_ASSIGN_OR_RETURN(Segment segment, Segment::Create("ringmaster-network", bytes));
    NetworkCard::Initialize(segment);
    RM_ASSIGN_OR_RETURN(HostProof proof, HostProof::Create());
    proof_.emplace(std::move(proof));
    const Meeting meeting = {proof_->offer(), segment.name()};
    Transport& transport = below_->transport(processes[0].nodes[0]);
    const auto payload =
        absl::MakeConstSpan(reinterpret_cast<const std::byte*>(&meeting), sizeof(meeting));
    for (size_t process = 1; process < processes.size(); ++process) {
      RM_ASSIGN_OR_RETURN(const OpId op,
                          transport.Send({processes[process].nodes[0], MeetingTag(), payload}));
      RM_RETURN_IF_ERROR(transport.Wait(op, deadline));
    }
    return segment;
  }

  absl::StatusOr<Segment> FindMemory(const std::vector<ProcessAddress>& processes,
                                     MonotonicTime deadline) {
    Meeting meeting;
    Transport& transport = below_->transport(processes[self_].nodes[0]);
    const auto out = absl::MakeSpan(reinterpret_cast<std::byte*>(&meeting), sizeof(meeting));
    RM_ASSIGN_OR_RETURN(const OpId op,
                        transport.Receive({processes[0].nodes[0], MeetingTag(), out}));
    RM_RETURN_IF_ERROR(transport.Wait(op, deadline));
    RM_RETURN_IF_ERROR(Annotate(
        HostProof::Check(meeting.proof),
        "a network is emulated between processes of one host, and process 0 is not on this one"));
    return Segment::Open(meeting.memory, /*writable=*/true);
  }

  const NetworkShape shape_;
  // Constant after Connect.
  int32_t self_ = -1;
  absl::flat_hash_map<NodeId, int32_t> process_of_;
  std::unique_ptr<Fabric> below_;
  absl::flat_hash_map<NodeId, std::unique_ptr<ShapedTransport>> nodes_;
  std::optional<HostProof> proof_;  // of the first process, as long as others may look at it
  std::unique_ptr<NetworkCard> card_;
};

}  // namespace

std::unique_ptr<Fabric> CreateShapedFabric(std::unique_ptr<Fabric> below,
                                           const NetworkShape& shape) {
  return std::make_unique<ShapedFabric>(std::move(below), shape);
}

}  // namespace ringmaster
