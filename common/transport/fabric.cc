#include "common/transport/fabric.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/transport/auto_fabric.h"
#include "common/transport/grpc/grpc_fabric.h"
#include "common/transport/inproc/inproc_fabric.h"
#include "common/transport/shaped/shaped_fabric.h"
#include "common/transport/shm/shm_fabric.h"
#include "common/transport/tcp/tcp_fabric.h"

namespace ringmaster {
namespace {

struct Entry {
  TransportInfo info;
  absl::StatusOr<std::unique_ptr<Fabric>> (*create)(const FabricOptions& options);
};

const Entry kEntries[] = {
    {{"auto", "shm between processes that prove that they are on one host, tcp between all others"},
     [](const FabricOptions& options) { return CreateAutoFabric(options); }},
    {{"grpc", "one gRPC stream a pair of processes, payloads outside protobuf"}, CreateGrpcFabric},
    {{"inproc", "copies between the threads of one process"},
     [](const FabricOptions& options) -> absl::StatusOr<std::unique_ptr<Fabric>> {
       return CreateInprocFabric(options);
     }},
    {{"shm", "shared memory between the processes of one host"}, CreateShmFabric},
    {{"tcp", "plain sockets, one connection a pair of processes"}, CreateTcpFabric},
};

constexpr int64_t kSegmentBytesMax = 64 << 20;

absl::Status CheckOptions(const FabricOptions& options) {
  if (options.segment_bytes <= 0 || options.segment_bytes % 4 != 0 ||
      options.segment_bytes > kSegmentBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("transport \"", options.name, "\": segment_bytes is ", options.segment_bytes,
                     ", expected a multiple of 4 from 4 to ", kSegmentBytesMax));
  }
  if (options.wait != "sleep" && options.wait != "spin") {
    return absl::InvalidArgumentError(absl::StrCat("transport \"", options.name, "\": wait is \"",
                                                   options.wait,
                                                   "\", expected \"sleep\" or \"spin\""));
  }
  if (options.early_bytes_limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("transport \"", options.name, "\": early_bytes_limit is ",
                     options.early_bytes_limit, ", expected 0 or more"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Span<const TransportInfo> Transports() {
  static const auto* const infos = [] {
    auto* list = new std::vector<TransportInfo>;
    for (const Entry& entry : kEntries) list->push_back(entry.info);
    return list;
  }();
  return *infos;
}

absl::StatusOr<std::unique_ptr<Fabric>> CreateFabric(const FabricOptions& options) {
  for (const Entry& entry : kEntries) {
    if (options.name != entry.info.name) continue;
    const absl::Status status = CheckOptions(options);
    if (!status.ok()) return status;
    if (!options.network.has_value()) return entry.create(options);
    RM_ASSIGN_OR_RETURN(std::unique_ptr<Fabric> fabric, entry.create(options));
    return CreateShapedFabric(std::move(fabric), *options.network);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("transport \"", options.name, "\" is unknown; ",
                   KnownWordsText(options.name, RegistryNames(Transports()))));
}

}  // namespace ringmaster
