#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/kernels/cpu/cpu_library.h"

namespace ringmaster {
namespace {

// BUILD runs this with ONEDNN_MAX_CPU_ISA=AVX2, on machines with AVX-512 too.
TEST(CpuLibraryHeldToAvx2, OneDnnAndTheLoopsFollowOneSetting) {
  auto kernels = CreateCpuLibrary();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  EXPECT_TRUE(absl::EndsWith((*kernels)->target(), " avx2, loops avx2")) << (*kernels)->target();
}

}  // namespace
}  // namespace ringmaster
