#include "common/config/resolve.h"
#include "gtest/gtest.h"
#include "tests/worker/model/model_suite.h"
#include "worker/kernels/cpu/cpu_library.h"
#include "worker/kernels/reference/reference_library.h"
#include "worker/model/program_model.h"

namespace ringmaster {

INSTANTIATE_TEST_SUITE_P(Cpu, ModelTest,
                         ::testing::Values(KernelUnderTest{"cpu", CreateCpuLibrary}));
INSTANTIATE_TEST_SUITE_P(Reference, ModelTest,
                         ::testing::Values(KernelUnderTest{
                             "reference", [] {
                               return absl::StatusOr<std::unique_ptr<KernelLibrary>>(
                                   std::make_unique<ReferenceLibrary>());
                             }}));

namespace {

TEST(Models, EveryListedModelIsMade) {
  ReferenceLibrary reference;
  for (const ModelInfo& info : Models()) {
    RunSpec spec;
    spec.mutable_model()->set_name(info.name);
    if (spec.model().name() == kProgramModel) {
      // It has the tensors that it says.
      spec.mutable_model()->mutable_program()->add_tensors()->set_name("w");
    }
    const auto resolved = Resolve(spec, {"/data", 100});
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    const SampleShape shape = info.takes_texts ? kText : kMnist;
    const auto model = CreateModel(resolved->model(), {shape, 1, 1 << 20}, reference);
    EXPECT_TRUE(model.ok()) << info.name << ": " << model.status();
  }
}

}  // namespace
}  // namespace ringmaster
