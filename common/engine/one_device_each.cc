#include "common/engine/one_device_each.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr char kWhy[] =
    "NCCL takes one rank a GPU, since the kernels of two ranks on one would wait for each other "
    "for ever";
constexpr char kInstead[] =
    "collective \"cuda_ipc\", which sums in the memory of a GPU that all ranks share, or \"ring\", "
    "\"mpi\" or \"gloo\", which sum on the host";

}  // namespace

absl::Status CheckOneDeviceEach(absl::Span<const std::string> devices) {
  for (size_t rank = 1; rank < devices.size(); ++rank) {
    for (size_t other = 0; other < rank; ++other) {
      if (devices[rank] != devices[other]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("ranks ", other, " and ", rank, " are both on ", devices[rank], ": ", kWhy,
                       "; give each a GPU of its own (--device), or use ", kInstead));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOneDeviceEach(const DeviceDemand& demand) {
  const int there = demand.devices > demand.first_device ? demand.devices - demand.first_device : 0;
  if (demand.ranks <= there) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "collective \"nccl\" with ", demand.ranks, " workers on this machine, on the GPUs from ",
      demand.first_device, " on: it shows ", demand.devices, ", and ", kWhy, "; use ",
      there > 0 ? absl::StrCat("--workers ", there, ", or ") : std::string(), kInstead));
}

}  // namespace ringmaster
