#include "common/transport/auto_fabric.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/membership.h"
#include "common/transport/mixed_fabric.h"
#include "common/transport/shm/one_host.h"
#include "common/transport/shm/shm_fabric.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/tcp_fabric.h"

namespace ringmaster {
namespace {

class AutoFabric : public Fabric {
 public:
  AutoFabric(const FabricOptions& options, Listener listener, ChooseFabric choose)
      : options_(options),
        endpoint_(listener.endpoint),
        choose_(std::move(choose)),
        listener_(std::move(listener)) {}

  std::string endpoint() const override { return endpoint_; }
  std::string name() const override { return chosen_ == nullptr ? options_.name : chosen_->name(); }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    RM_CHECK(chosen_ == nullptr);
    RM_RETURN_IF_ERROR(CheckProcesses(processes, self));
    const Membership membership = {options_.name,
                                   options_.credentials,
                                   options_.segment_bytes,
                                   processes,
                                   self,
                                   /*stream_port=*/0,
                                   [this] {
                                     absl::MutexLock lock(&mutex_);
                                     return aborted_;
                                   }};
    RM_ASSIGN_OR_RETURN(Joined joined, JoinProcesses(listener_.fd.get(), membership, deadline));
    // All who may come have come.
    Fd closed = std::move(listener_.fd);
    RM_ASSIGN_OR_RETURN(
        std::unique_ptr<Fabric> chosen,
        choose_({options_, endpoint_, std::move(joined.wires), membership, deadline}));
    {
      absl::MutexLock lock(&mutex_);
      chosen_ = std::move(chosen);
      if (!aborted_.ok()) chosen_->Abort(aborted_);
    }
    return chosen_->Connect(processes, self, deadline);
  }

  Transport& transport(NodeId node) override { return chosen_->transport(node); }
  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return chosen_->HeaderBytes(peer, payload_bytes);
  }
  std::string WireTo(NodeId peer) const override { return chosen_->WireTo(peer); }
  absl::StatusOr<Buffer> AllocateExchange(int64_t size_bytes) override {
    return chosen_->AllocateExchange(size_bytes);
  }

  void Abort(const absl::Status& why) override {
    RM_CHECK(!why.ok());
    absl::MutexLock lock(&mutex_);
    if (chosen_ != nullptr) {
      chosen_->Abort(why);
    } else if (aborted_.ok()) {
      aborted_ = why;
    }
  }

  void Forget(int32_t process) override { chosen_->Forget(process); }

 private:
  const FabricOptions options_;
  const std::string endpoint_;
  const ChooseFabric choose_;
  Listener listener_;  // until connected
  absl::Mutex mutex_;  // of an abort that comes while Connect chooses
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Fabric> chosen_;  // constant after Connect
};

absl::StatusOr<std::unique_ptr<Fabric>> ChooseByHosts(AutoChoice choice) {
  RM_ASSIGN_OR_RETURN(const std::vector<absl::Status> pairs,
                      ProvePairs(absl::MakeSpan(choice.wires), choice.membership, choice.deadline));
  std::vector<bool> shares_memory;
  for (const absl::Status& pair : pairs) {
    shares_memory.push_back(pair.ok());
    if (!pair.ok())
      Log(LogLevel::kDebug, absl::StrCat("transport \"auto\" is tcp to one: ", pair.message()));
  }
  return FabricForPairs(std::move(choice), std::move(shares_memory));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> FabricForPairs(AutoChoice choice,
                                                       std::vector<bool> shares_memory) {
  int64_t near = 0, far = 0;
  for (int32_t process = 0; process < static_cast<int32_t>(shares_memory.size()); ++process) {
    if (process != choice.membership.self) ++(shares_memory[process] ? near : far);
  }
  FabricOptions options = choice.options;
  options.name = far == 0 ? "shm" : near == 0 ? "tcp" : "shm+tcp";
  if (far == 0) return CreateShmFabricOver(options, choice.endpoint, std::move(choice.wires));
  if (near == 0) return CreateTcpFabricOver(options, choice.endpoint, std::move(choice.wires));
  return CreateMixedFabricOver(options, choice.endpoint, std::move(choice.wires),
                               std::move(shares_memory));
}

absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options,
                                                         ChooseFabric choose) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), options.name);
  return std::make_unique<AutoFabric>(options, *std::move(listener), std::move(choose));
}

absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options) {
  return CreateAutoFabric(options, ChooseByHosts);
}

}  // namespace ringmaster
