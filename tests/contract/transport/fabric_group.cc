#include "tests/contract/transport/fabric_group.h"

#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/security/certificates.h"
#include "common/transport/auto_fabric.h"
#include "common/transport/mixed_fabric.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

constexpr char kShaped[] = "shaped_";
constexpr char kTls[] = "tls_";
constexpr char kHosts[] = "hosts";
constexpr char kMixedNear[] = "mixed_near";
constexpr char kMixedFar[] = "mixed_far";

}  // namespace

std::vector<std::string> TransportsUnderTest() {
  std::vector<std::string> names;
  for (const TransportInfo& info : Transports()) names.push_back(info.name);
  for (const std::string& name : ProcessTransports()) names.push_back(absl::StrCat(kShaped, name));
  for (const char* const name : {"grpc", "tcp"}) names.push_back(absl::StrCat(kTls, name));
  for (const std::string& name : HostTransports()) names.push_back(name);
  return names;
}

std::vector<std::string> HostTransports() {
  return {kHosts, kMixedNear, kMixedFar, absl::StrCat(kTls, kMixedFar)};
}

bool SharesMemory(const std::string& name, int32_t process, int32_t other) {
  if (name == kHosts || name == kMixedNear) return process / 2 == other / 2;
  if (absl::EndsWith(name, kMixedFar)) return process % 2 == other % 2;
  return name == "shm" || name == "auto";
}

absl::StatusOr<std::unique_ptr<Fabric>> CreateTestFabric(const FabricOptions& options) {
  const std::string name = options.name;
  if (name != kHosts && name != kMixedNear && name != kMixedFar) return CreateFabric(options);
  return CreateAutoFabric(
      options, [name](AutoChoice choice) -> absl::StatusOr<std::unique_ptr<Fabric>> {
        std::vector<bool> shares_memory;
        for (size_t i = 0; i < choice.wires.size(); ++i) {
          shares_memory.push_back(
              SharesMemory(name, choice.membership.self, static_cast<int32_t>(i)));
        }
        if (name == kHosts) return FabricForPairs(std::move(choice), std::move(shares_memory));
        FabricOptions mixed = choice.options;
        mixed.name = "shm+tcp";
        return CreateMixedFabricOver(mixed, choice.endpoint, std::move(choice.wires),
                                     std::move(shares_memory));
      });
}

std::shared_ptr<const TlsIdentity> TestIdentity() {
  static const auto* const identity = new std::shared_ptr<const TlsIdentity>(
      *TlsIdentity::Of(*MakeCertificates(CertificateOptions())));
  return *identity;
}

void SetTransport(const std::string& name, FabricOptions* options) {
  absl::string_view below = name;
  if (absl::ConsumePrefix(&below, kShaped)) {
    NetworkShape shape;
    shape.rate = 4e9;
    shape.latency = absl::Microseconds(20);
    shape.jitter = absl::Microseconds(30);
    options->network = shape;
  }
  if (absl::ConsumePrefix(&below, kTls)) options->credentials.tls = TestIdentity();
  options->name = std::string(below);
}

absl::StatusOr<FabricGroup> JoinFabrics(FabricOptions options,
                                        const std::vector<int>& workers_by_process) {
  FabricGroup group;
  int32_t rank = 0;
  for (const int workers : workers_by_process) {
    if (options.name != "inproc" || group.processes.empty()) {
      RM_ASSIGN_OR_RETURN(std::unique_ptr<Fabric> fabric, CreateTestFabric(options));
      group.processes.push_back({fabric->endpoint(), {}});
      group.fabrics.push_back(std::move(fabric));
    }
    for (int i = 0; i < workers; ++i) {
      group.processes.back().nodes.push_back(Worker(rank++));
      group.homes.push_back(static_cast<int32_t>(group.fabrics.size()) - 1);
    }
  }
  std::vector<absl::Status> statuses(group.fabrics.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < group.fabrics.size(); ++i) {
    threads.emplace_back(
        [&, i] { statuses[i] = group.fabrics[i]->Connect(group.processes, i, Soon()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) RM_RETURN_IF_ERROR(status);
  return group;
}

}  // namespace ringmaster
