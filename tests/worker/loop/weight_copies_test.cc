#include "worker/loop/weight_copies.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/late_device.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

TEST(WeightCopies, WhereTheKernelsWorkOnTheHostNothingIsCopied) {
  const auto kernels = CreateKernelLibrary("reference", 0);
  ASSERT_TRUE(kernels.ok());
  const std::vector<float> weights(250, 3.0f);
  const auto copies = WeightCopies::Create(**kernels, 250);
  ASSERT_TRUE(copies.ok()) << copies.status();
  EXPECT_EQ((*copies)->ForKernels(WeightsView::OnHost(weights, 0))->data, weights.data());
  EXPECT_EQ((*copies)->ForHost(WeightsView::OnHost(weights, 0))->data(), weights.data());
}

// Three parts, so that the first's memory is used again.
TEST(WeightCopies, ALargeArenaGoesUpInPartsAndItsHostMemoryIsFreeAtOnce) {
  LateDevice device;
  std::vector<float> weights(5 << 19);
  const auto copies = WeightCopies::Create(device, static_cast<int64_t>(weights.size()));
  ASSERT_TRUE(copies.ok()) << copies.status();
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i);
  const std::vector<float> sent = weights;
  const auto on_device = (*copies)->ForKernels(WeightsView::OnHost(weights, 1));
  ASSERT_TRUE(on_device.ok()) << on_device.status();
  std::fill(weights.begin(), weights.end(), -1.0f);
  EXPECT_TRUE(std::equal(sent.begin(), sent.end(), on_device->data));
  // Of the same version nothing is copied again.
  on_device->data[0] = 7.0f;
  ASSERT_TRUE((*copies)->ForKernels(WeightsView::OnHost(weights, 1)).ok());
  EXPECT_EQ(on_device->data[0], 7.0f);
  ASSERT_TRUE((*copies)->ForKernels(WeightsView::OnHost(weights, 2)).ok());
  EXPECT_EQ(on_device->data[0], -1.0f);
}

TEST(WeightCopies, OtherWeightsOfTheSameVersionAreCopiedToo) {
  LateDevice device;
  const std::vector<float> mine(10, 1.0f), average(10, 2.0f);
  const auto copies = WeightCopies::Create(device, 10);
  ASSERT_TRUE(copies.ok()) << copies.status();
  for (const std::vector<float>* weights : {&mine, &average, &mine}) {
    const auto on_device = (*copies)->ForKernels(WeightsView::OnHost(*weights, 0));
    ASSERT_TRUE(on_device.ok()) << on_device.status();
    EXPECT_EQ(on_device->data[9], weights->back());
  }
}

TEST(WeightCopies, WeightsOfADeviceAreUsedThereAndCopiedForTheHost) {
  LateDevice device;
  auto memory = device.Allocate(10 * sizeof(float));
  ASSERT_TRUE(memory.ok());
  std::fill_n(memory->floats(), 10, 5.0f);
  const WeightsView weights{{memory->floats(), 1, 10, Place::kDevice}, 0};
  const auto copies = WeightCopies::Create(device, 10);
  ASSERT_TRUE(copies.ok()) << copies.status();
  EXPECT_EQ((*copies)->ForKernels(weights)->data, memory->floats());
  const auto on_host = (*copies)->ForHost(weights);
  ASSERT_TRUE(on_host.ok()) << on_host.status();
  EXPECT_NE(on_host->data(), memory->floats());
  EXPECT_EQ(std::vector<float>(on_host->begin(), on_host->end()), std::vector<float>(10, 5.0f));
}

}  // namespace
}  // namespace ringmaster
