#include "common/transport/shm/shm_fabric.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/one_host.h"
#include "common/transport/shm/shm_links.h"
#include "common/transport/socket.h"

namespace ringmaster {
namespace {

class ShmFabric : public FabricBase {
 public:
  ShmFabric(const FabricOptions& options, Listener listener)
      : ShmFabric(options, std::move(listener.endpoint), std::vector<Wire>()) {
    listener_ = std::move(listener.fd);
  }
  ShmFabric(const FabricOptions& options, std::string endpoint, std::vector<Wire> wires)
      : FabricBase(options),
        endpoint_(std::move(endpoint)),
        joined_(std::move(wires)),
        links_(options.wait == "spin",
               {[this](int32_t process, NodeId from, NodeId to) {
                  return Recipient(process, from, to);
                },
                [this](int32_t process, const absl::Status& why) { Break(process, why); },
                /*look_elsewhere=*/nullptr}) {}

  ~ShmFabric() override { links_.Close(); }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    const Membership membership = {"shm",
                                   {options().credentials.token, /*tls=*/nullptr},
                                   options().segment_bytes,
                                   processes,
                                   self,
                                   /*stream_port=*/0,
                                   [this] { return aborted(); }};
    if (joined_.empty()) RM_RETURN_IF_ERROR(JoinOneHost(membership, deadline));
    RM_RETURN_IF_ERROR(links_.Open(std::move(joined_), membership, deadline));
    return Connected();
  }

  // One descriptor a message. What the pool needs beside it depends on where the payload lies, and
  // is not counted.
  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return sizeof(Descriptor);
  }

  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) override {
    return links_.AllocateExchange(size_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    links_.Send(process, message);
  }
  void OnPost(int32_t process, NodeId from, NodeId to, const Tag& tag) override {
    links_.OnPost(process, from, to, tag);
  }
  void ReturnLoan(int32_t process, const Loan& loan) override { links_.Return(process, loan); }
  void OnChange() override { links_.Ring(); }
  void OnAbort() override { links_.DropSends(); }
  void OnForget(int32_t process) override { links_.Forget(process); }
  absl::StatusOr<int> WaitForAny(Matcher& matcher, absl::Span<const OpId> ops,
                                 MonotonicTime deadline) override {
    return links_.Wait(matcher, ops, deadline);
  }

 private:
  absl::Status JoinOneHost(const Membership& membership, MonotonicTime deadline) {
    RM_ASSIGN_OR_RETURN(Joined joined, JoinProcesses(listener_.get(), membership, deadline));
    joined_ = std::move(joined.wires);
    // All who may come have come.
    Fd closed = std::move(listener_);
    const absl::Status proved = ProveOneHost(absl::MakeSpan(joined_), membership, deadline);
    if (!absl::IsFailedPrecondition(proved)) return proved;
    return absl::FailedPreconditionError(
        absl::StrCat("transport \"shm\": ", proved.message(),
                     "; use transport \"tcp\", or \"auto\", which finds out"));
  }

  void Break(int32_t process, const absl::Status& status) {
    ConnectionEnded(Annotate(status, absl::StrCat("shm: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected; none where the sockets are given
  const std::string endpoint_;
  std::vector<Wire> joined_;  // by process, until Connect takes them; empty: it connects itself
  ShmLinks links_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateShmFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "shm");
  return std::make_unique<ShmFabric>(options, *std::move(listener));
}

std::unique_ptr<Fabric> CreateShmFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires) {
  return std::make_unique<ShmFabric>(options, std::move(endpoint), std::move(wires));
}

}  // namespace ringmaster
