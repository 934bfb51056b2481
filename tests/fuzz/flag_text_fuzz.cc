// What flags and axes name: networks, racks, addresses, computing.

#include "common/base/check.h"
#include "common/base/host_port.h"
#include "common/config/network_text.h"
#include "experiments/study/simulate/compute_text.h"
#include "proto/run_spec.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {

std::vector<std::string> Seeds() {
  return {"1gbit,50us,20us",
          "100mbit,5ms,racks:2:100mbit:1ms:first",
          "8x8,uplink=10gbit,latency=50us,servers=first",
          "[::1]:29500",
          "job-0.example:29500",
          "lognormal(20ms,0.3)",
          "measured"};
}

bool TryInput(absl::string_view input) {
  RunSpec spec;
  bool is_taken = ReadNetwork(input, spec.mutable_transport()).ok();
  RunSpec racks;
  is_taken = ReadRackGrid(input, &racks).ok() || is_taken;
  const absl::StatusOr<HostPort> address = HostPort::Parse(input);
  if (address.ok()) {
    const absl::StatusOr<HostPort> again = HostPort::Parse(address->ToString());
    RM_CHECK(again.ok() && *again == *address);
  }
  const absl::StatusOr<StepCompute> compute = ParseStepCompute(input);
  if (compute.ok()) {
    const absl::StatusOr<StepCompute> again = ParseStepCompute(ToText(*compute));
    RM_CHECK(again.ok() && ToText(*again) == ToText(*compute));
  }
  return is_taken || address.ok() || compute.ok();
}

}  // namespace ringmaster
