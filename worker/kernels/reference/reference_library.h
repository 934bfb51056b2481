#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_

#include <string>

#include "worker/kernels/host_library.h"

namespace ringmaster {

// The oracle of the other libraries: plain loops, sums in double. Stateless; any thread, any number
// at once.
class ReferenceLibrary final : public HostLibrary {
 public:
  absl::string_view name() const override { return "reference"; }
  std::string target() const override { return "reference"; }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override;

 protected:
  absl::Status Make(const Operation& operation) override;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_
