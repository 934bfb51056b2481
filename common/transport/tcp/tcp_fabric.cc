#include "common/transport/tcp/tcp_fabric.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/handshake.h"
#include "common/transport/polling_fabric.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/tcp_links.h"

namespace ringmaster {
namespace {

class TcpFabric : public PollingFabric {
 public:
  TcpFabric(const FabricOptions& options, Listener listener)
      : TcpFabric(options, std::move(listener.endpoint), std::vector<Wire>()) {
    listener_ = std::move(listener.fd);
  }
  TcpFabric(const FabricOptions& options, std::string endpoint, std::vector<Wire> wires)
      : PollingFabric(options, options.wait == "spin"),
        endpoint_(std::move(endpoint)),
        joined_(std::move(wires)),
        links_(options.segment_bytes,
               {[this](int32_t process, const FrameHeader& header) {
                  return BeginFrame(process, header);
                },
                [this](int32_t process, const absl::Status& why) { Break(process, why); }}) {}

  ~TcpFabric() override { StopPolling(); }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    std::vector<Wire> wires = std::move(joined_);
    if (wires.empty()) {
      RM_ASSIGN_OR_RETURN(
          Joined joined,
          JoinProcesses(listener_.get(),
                        {"tcp", options().credentials, options().segment_bytes, processes, self,
                         /*stream_port=*/0, [this] { return aborted(); }},
                        deadline));
      wires = std::move(joined.wires);
    }
    // All who may come have come.
    Fd closed = std::move(listener_);
    RM_RETURN_IF_ERROR(links_.Open(std::move(wires)));
    StartPolling("tcp-helper");
    return Connected();
  }

  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return kFrameHeaderBytes * FrameCount(payload_bytes, options().segment_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    links_.Send(process, message);
  }

  void OnAbort() override { links_.DropSends(); }

  void OnForget(int32_t process) override { links_.Forget(process); }

  bool Look() override { return links_.Look(); }

  void Nap(absl::Duration limit, absl::FunctionRef<void()> over) override {
    TcpLinks::Events events;
    const int count = links_.Await(limit, &events);
    over();
    links_.Serve(absl::MakeSpan(events).first(count));
  }

  void Rouse() override { links_.Rouse(); }

 private:
  void Break(int32_t process, const absl::Status& status) {
    ConnectionEnded(Annotate(status, absl::StrCat("tcp: connection to ", Describe(process))));
  }

  Fd listener_;  // until connected; none where the sockets are given
  const std::string endpoint_;
  std::vector<Wire> joined_;  // by process, until Connect takes them; empty: it connects itself
  TcpLinks links_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateTcpFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "tcp");
  return std::make_unique<TcpFabric>(options, *std::move(listener));
}

std::unique_ptr<Fabric> CreateTcpFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires) {
  return std::make_unique<TcpFabric>(options, std::move(endpoint), std::move(wires));
}

}  // namespace ringmaster
