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
#include "common/transport/shm/one_host.h"
#include "common/transport/shm/shm_fabric.h"
#include "common/transport/socket.h"
#include "common/transport/tcp/tcp_fabric.h"

namespace ringmaster {
namespace {

class AutoFabric : public Fabric {
 public:
  AutoFabric(const FabricOptions& options, Listener listener)
      : options_(options), endpoint_(listener.endpoint), listener_(std::move(listener)) {}

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
    const absl::Status one_host = ProveOneHost(absl::MakeSpan(joined.wires), membership, deadline);
    if (!one_host.ok() && !absl::IsFailedPrecondition(one_host)) return one_host;
    if (!one_host.ok())
      Log(LogLevel::kDebug, absl::StrCat("transport \"auto\" is tcp: ", one_host.message()));
    FabricOptions options = options_;
    options.name = one_host.ok() ? "shm" : "tcp";
    std::unique_ptr<Fabric> chosen =
        one_host.ok() ? CreateShmFabricOver(options, endpoint_, std::move(joined.wires))
                      : CreateTcpFabricOver(options, endpoint_, std::move(joined.wires));
    {
      absl::MutexLock lock(&mutex_);
      chosen_ = std::move(chosen);
      if (!aborted_.ok()) chosen_->Abort(aborted_);
    }
    return chosen_->Connect(processes, self, deadline);
  }

  Transport& transport(NodeId node) override { return chosen_->transport(node); }
  int64_t HeaderBytes(int64_t payload_bytes) const override {
    return chosen_->HeaderBytes(payload_bytes);
  }
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
  Listener listener_;  // until connected
  absl::Mutex mutex_;  // of an abort that comes while Connect chooses
  absl::Status aborted_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Fabric> chosen_;  // constant after Connect
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), options.name);
  return std::make_unique<AutoFabric>(options, *std::move(listener));
}

}  // namespace ringmaster
