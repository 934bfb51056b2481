#include "experiments/proof/bench/bench_turns.h"

#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric.h"

namespace ringmaster {
namespace {

constexpr double kSecondsOfContender = 0.5;
constexpr int64_t kIterationsMin = 10;
constexpr int64_t kIterationsMax = 2000;

}  // namespace

int64_t BenchIterations(double round_seconds, size_t contenders) {
  const double wanted = kSecondsOfContender * static_cast<double>(contenders) / round_seconds;
  return static_cast<int64_t>(std::clamp<double>(wanted, kIterationsMin, kIterationsMax));
}

absl::Status TakeSlowest(CollectiveExecutor& executor, int64_t step, std::vector<double>* seconds) {
  std::vector<std::vector<double>> others(executor.ranks());
  std::vector<absl::Span<std::byte>> received(executor.ranks());
  for (int32_t other = 0; other < executor.ranks(); ++other) {
    if (other == executor.rank()) continue;
    others[other].resize(seconds->size());
    received[other] = {reinterpret_cast<std::byte*>(others[other].data()),
                       seconds->size() * sizeof(double)};
  }
  const absl::Span<const std::byte> own(reinterpret_cast<const std::byte*>(seconds->data()),
                                        seconds->size() * sizeof(double));
  RM_RETURN_IF_ERROR(executor.AllGather(step, 0, own, absl::MakeSpan(received)));
  for (const std::vector<double>& other : others) {
    for (size_t i = 0; i < other.size(); ++i) (*seconds)[i] = std::max((*seconds)[i], other[i]);
  }
  return absl::OkStatus();
}

absl::Status CheckBenchTransports(const std::vector<std::string>& names) {
  RM_RETURN_IF_ERROR(CheckBenchNames("--transport", names, Transports()));
  for (const std::string& name : names) {
    if (name != "inproc") continue;
    return absl::InvalidArgumentError(
        "--transport \"inproc\" does not leave its process, and here every rank is a process of "
        "its own; use shm");
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
