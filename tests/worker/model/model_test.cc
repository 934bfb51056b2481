#include "gtest/gtest.h"
#include "tests/worker/model/model_suite.h"
#include "worker/kernels/cpu/cpu_library.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {

INSTANTIATE_TEST_SUITE_P(Cpu, ModelTest, ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
INSTANTIATE_TEST_SUITE_P(Reference, ModelTest, ::testing::Values(KernelUnderTest{"reference", [] {
                           return absl::StatusOr<std::unique_ptr<KernelLibrary>>(std::make_unique<ReferenceLibrary>());
                         }}));

namespace {

TEST(Models, EveryListedModelIsMade) {
  ReferenceLibrary reference;
  for (const ModelInfo& info : Models()) {
    ModelSpec spec;
    spec.set_name(info.name);
    spec.add_mlp_hidden(8);
    const auto model = CreateModel(spec, {{1, 28, 28, 10}, 1, 1 << 20}, reference);
    EXPECT_TRUE(model.ok()) << info.name << ": " << model.status();
  }
}

}  // namespace
}  // namespace ringmaster
