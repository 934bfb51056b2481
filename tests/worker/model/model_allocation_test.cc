#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
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
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace ringmaster {
namespace {

// Allocations of one step after a first one, which may set a library up.
int64_t AllocationsOfAStep(const char* text, const SampleShape& shape, KernelLibrary& kernels) {
  ModelSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  const auto model = CreateModel(spec, {shape, 4, 4096}, kernels);
  EXPECT_TRUE(model.ok()) << model.status();
  const int64_t count = (*model)->layout().count();
  std::vector<float> weights(count), gradients(count), features(4 * shape.features(), 0.5f);
  const std::vector<int32_t> tokens(4 * shape.labels(), 1), labels(4 * shape.labels(), 3);
  (*model)->InitWeights(1, absl::MakeSpan(weights));
  int64_t before = 0;
  for (int step = 0; step < 2; ++step) {
    before = allocations.load();
    const BatchView batch{features.data(), labels.data(), 4, tokens.data(), true, 7};
    EXPECT_TRUE((*model)->Forward(batch, {weights.data(), 1, count}).ok());
    const absl::Status status =
        (*model)->Backward({weights.data(), 1, count}, {gradients.data(), 1, count},
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
  const SampleShape image{1, 28, 28, 10}, text{0, 0, 0, 11, 6};
  for (const char* spec :
       {"name: 'lenet'", "name: 'mlp' mlp_hidden: 50 dropout: 0.5", "name: 'cnn' dropout: 0.5",
        "name: 'resnet' resnet { blocks: 1 width: 4 norm: 'batch' }",
        "name: 'resnet' resnet { blocks: 1 width: 4 norm: 'group' groups: 2 }"}) {
    EXPECT_EQ(AllocationsOfAStep(spec, image, **cpu), 0) << spec << " on cpu";
    EXPECT_EQ(AllocationsOfAStep(spec, image, reference), 0) << spec << " on reference";
  }
  const char* transformer =
      "name: 'transformer' transformer { layers: 1 width: 8 heads: 2 } dropout: 0.5";
  EXPECT_EQ(AllocationsOfAStep(transformer, text, **cpu), 0) << "on cpu";
  EXPECT_EQ(AllocationsOfAStep(transformer, text, reference), 0) << "on reference";
}

}  // namespace
}  // namespace ringmaster
