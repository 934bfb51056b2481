#ifndef RINGMASTER_TESTS_WORKER_KERNELS_KERNEL_UNDER_TEST_H_
#define RINGMASTER_TESTS_WORKER_KERNELS_KERNEL_UNDER_TEST_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// A kernel library that a parametrized suite is run on.
struct KernelUnderTest {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<KernelLibrary>>()> create;
  // What this machine lacks for it: its tests are skipped and say so. Empty: nothing.
  std::string missing = "";
};
inline void PrintTo(const KernelUnderTest& kernel, std::ostream* out) { *out << kernel.name; }

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_KERNELS_KERNEL_UNDER_TEST_H_
