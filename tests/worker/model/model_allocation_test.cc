#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "gtest/gtest.h"
#include "worker/kernels/cpu/cpu_library.h"
#include "worker/kernels/reference/reference_library.h"
#include "worker/model/model.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counts every allocation of the program.
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace ringmaster {
namespace {

// Allocations of one step after a first one, which may set a library up.
int64_t AllocationsOfAStep(const char* name, KernelLibrary& kernels) {
  ModelSpec spec;
  spec.set_name(name);
  spec.add_mlp_hidden(50);
  const auto model = CreateModel(spec, {{1, 28, 28, 10}, 4, 4096}, kernels);
  EXPECT_TRUE(model.ok()) << model.status();
  const int64_t count = (*model)->layout().count();
  std::vector<float> weights(count), gradients(count), features(4 * 28 * 28, 0.5f);
  const std::vector<int32_t> labels = {0, 1, 2, 3};
  (*model)->InitWeights(1, absl::MakeSpan(weights));
  int64_t before = 0;
  for (int step = 0; step < 2; ++step) {
    before = allocations.load();
    EXPECT_TRUE((*model)->Forward({features.data(), labels.data(), 4}, {weights.data(), 1, count}).ok());
    const absl::Status status = (*model)->Backward({weights.data(), 1, count}, {gradients.data(), 1, count},
                                                   [](const Bucket&) { return absl::OkStatus(); });
    EXPECT_TRUE(status.ok());
    EXPECT_TRUE((*model)->Score().ok());
  }
  return allocations.load() - before;
}

TEST(ModelAllocation, ACountedAllocationIsSeen) {
  const int64_t before = allocations.load();
  delete new int(1);
  std::unique_ptr<std::vector<int>> kept = std::make_unique<std::vector<int>>(3);
  EXPECT_GE(allocations.load() - before, 2);
}

TEST(ModelAllocation, AStepAllocatesNothing) {
  const auto cpu = CreateCpuLibrary();
  ASSERT_TRUE(cpu.ok()) << cpu.status();
  ReferenceLibrary reference;
  for (const char* name : {"lenet", "mlp", "cnn"}) {
    EXPECT_EQ(AllocationsOfAStep(name, **cpu), 0) << name << " on cpu";
    EXPECT_EQ(AllocationsOfAStep(name, reference), 0) << name << " on reference";
  }
}

}  // namespace
}  // namespace ringmaster
