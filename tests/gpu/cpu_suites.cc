// The suites on the library "cpu", for a check of the check where there is no GPU.

#include "gtest/gtest.h"
#include "tests/worker/kernels/op_suite.h"
#include "tests/worker/model/model_suite.h"
#include "worker/kernels/cpu/cpu_library.h"

namespace ringmaster {

INSTANTIATE_TEST_SUITE_P(Cpu, KernelOpTest,
                         ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
INSTANTIATE_TEST_SUITE_P(Cpu, ModelTest,
                         ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));

}  // namespace ringmaster
