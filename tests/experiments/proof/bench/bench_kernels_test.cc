#include "experiments/proof/bench/bench_kernels.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/kernels/registry.h"

namespace ringmaster {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

absl::StatusOr<std::vector<KernelRow>> Measure(const KernelBench& bench,
                                               const std::function<bool()>& interrupted) {
  auto kernels = CreateKernelLibrary("cpu", 0);
  if (!kernels.ok()) return kernels.status();
  std::vector<KernelRow> rows;
  const absl::Status status = RunKernelBench(bench, **kernels, interrupted,
                                             [&](const KernelRow& row) { rows.push_back(row); });
  if (!status.ok()) return status;
  return rows;
}

KernelBench Small() {
  KernelBench bench = {kMebibyte, 3, 64, 2, 32};
  bench.transformer = {2, 32, 2, 16, 3};
  return bench;
}

TEST(BenchKernels, SharesAreOfTheCopyAndOfTheProductsAlone) {
  const auto rows = Measure(Small(), [] { return false; });
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_GT(rows->size(), 15u);
  const KernelRow& copy = rows->front();
  EXPECT_EQ(copy.name, "copy");
  EXPECT_EQ(copy.goal, 0);
  std::set<std::string> names;
  for (size_t i = 0; i < rows->size(); ++i) {
    const KernelRow& row = (*rows)[i];
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " comes twice";
    EXPECT_GT(row.ms, 0) << row.name;
    EXPECT_EQ(row.is_bytes, i + 4 < rows->size()) << row.name;
    if (row.is_bytes) {
      EXPECT_DOUBLE_EQ(row.share, row.rate / copy.rate) << row.name;
    }
  }
  // A copy reads and writes the array once; relu too, and add reads one more.
  const std::map<std::string, double> arrays = {
      {"copy", 2}, {"relu", 2}, {"add", 3}, {"embedding", 1}, {"softmax and cross-entropy", 2}};
  for (const KernelRow& row : *rows) {
    const auto found = arrays.find(row.name);
    if (found == arrays.end()) continue;
    EXPECT_DOUBLE_EQ(row.rate, found->second * kMebibyte / row.ms / 1e6) << row.name;
  }
  // 64-64-64-10 on 32 samples: two directions of the first layer, three of the others.
  const KernelRow& products = (*rows)[rows->size() - 4];
  const KernelRow& step = (*rows)[rows->size() - 3];
  EXPECT_EQ(step.name, "mlp step");
  EXPECT_NEAR(products.rate,
              2.0 * 32 * (2 * 64 * 64 + 3 * 64 * 64 + 3 * 64 * 10) / products.ms / 1e6, 1e-9);
  EXPECT_DOUBLE_EQ(step.share, products.ms / step.ms);
  EXPECT_EQ(step.goal, 0.9);
}

// 3 texts of 16 symbols: 12 times 32 x 32 weights a layer and a head for 256 symbols, in three
// directions; attention multiplies each row six times with a context.
TEST(BenchKernels, ATransformersStepHasItsLinearLayersAndItsAttention) {
  KernelBench bench = Small();
  bench.steps_only = true;
  const auto rows = Measure(bench, [] { return false; });
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 4u);
  const KernelRow& products = (*rows)[2];
  const KernelRow& step = (*rows)[3];
  EXPECT_EQ(step.name, "transformer step");
  const double linear = 6.0 * 48 * (2 * 12 * 32 * 32 + 32 * 256),
               attention = 12.0 * 48 * 16 * 32 * 2;
  EXPECT_NEAR(products.rate, linear / products.ms / 1e6, 1e-9);
  EXPECT_NEAR(step.rate, (linear + attention) / step.ms / 1e6, 1e-9);
  EXPECT_DOUBLE_EQ(step.share, products.ms / step.ms);
  EXPECT_EQ(step.goal, 0);
}

TEST(BenchKernels, AnInterruptEndsIt) {
  int asked = 0;
  const auto rows = Measure(Small(), [&] { return ++asked > 10; });
  EXPECT_TRUE(absl::IsCancelled(rows.status())) << rows.status();
}

}  // namespace
}  // namespace ringmaster
