#include "common/transport/inproc/inproc_fabric.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"

namespace ringmaster {
namespace {

class InprocFabric : public FabricBase {
 public:
  explicit InprocFabric(const FabricOptions& options) : FabricBase(options) {}

  std::string endpoint() const override { return ""; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    if (processes.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("transport \"inproc\" with ", processes.size(),
                       " processes: it joins the nodes of one; use \"auto\""));
    }
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    return Connected();
  }

  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override { return 0; }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override { RM_CHECK(false); }
  void OnAbort() override {}
  void OnForget(int32_t process) override { RM_CHECK(false); }
};

}  // namespace

std::unique_ptr<Fabric> CreateInprocFabric(const FabricOptions& options) {
  return std::make_unique<InprocFabric>(options);
}

}  // namespace ringmaster
