#ifndef RINGMASTER_TESTS_WORKER_KERNELS_OP_SUITE_H_
#define RINGMASTER_TESTS_WORKER_KERNELS_OP_SUITE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/worker/kernels/kernel_under_test.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {

// Every operation against the reference, with odd shapes, unaligned arrays, guards around them and
// poisoned outputs. A test program picks the suite up by linking :op_suite and writing
//   INSTANTIATE_TEST_SUITE_P(Cpu, KernelOpTest,
//                            ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
// --gtest_random_seed=N repeats a run; the seed is printed.
class KernelOpTest : public ::testing::TestWithParam<KernelUnderTest> {
 protected:
  void SetUp() override;

  // `count` numbers in [-1, 1).
  std::vector<float> RandomFloats(int64_t count);
  // 0 to 3 elements, to start an array at.
  int64_t RandomOffset() { return static_cast<int64_t>(random_.Below(4)); }

  // The arrays that an operation wrote.
  using Outputs = std::vector<std::vector<float>>;
  // Makes an operation on a library, with its arrays `offset` floats off their allocation.
  using Work = std::function<Outputs(KernelLibrary& kernels, int64_t offset)>;
  // What `work` gives on the library under test. Run again at other addresses it must give the same
  // bits.
  Outputs Repeat(const Work& work, const std::string& what);

  KernelLibrary& kernels() { return *kernels_; }
  ReferenceLibrary reference_;
  Random random_{0};

 private:
  std::unique_ptr<KernelLibrary> kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_KERNELS_OP_SUITE_H_
