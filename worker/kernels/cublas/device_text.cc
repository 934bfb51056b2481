#include "worker/kernels/cublas/device_text.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ringmaster {
namespace {

constexpr int kCapabilityMajorMin = 8;

}  // namespace

absl::StatusOr<std::string> TargetOf(const DeviceFacts& facts) {
  if (facts.capability_major < kCapabilityMajorMin) {
    return absl::UnavailableError(
        absl::StrCat("cuda device ", facts.device, " (", facts.name, ") has compute capability ",
                     facts.capability_major, ".", facts.capability_minor, ", the kernels need ",
                     kCapabilityMajorMin, ".0; use another device or the kernel library \"cpu\""));
  }
  return absl::StrCat("sm_", facts.capability_major, facts.capability_minor, " ", facts.name);
}

std::string DescriptionOf(const DeviceFacts& facts) {
  std::string text =
      absl::StrFormat("device %d: %s, compute capability %d.%d, %.1f GiB, %d multiprocessors",
                      facts.device, facts.name, facts.capability_major, facts.capability_minor,
                      static_cast<double>(facts.memory_bytes) / (1 << 30), facts.multiprocessors);
  if (facts.capability_major < kCapabilityMajorMin) {
    absl::StrAppend(&text, " (below ", kCapabilityMajorMin, ".0: the kernels cannot run on it)");
  }
  return text;
}

}  // namespace ringmaster
