#include "tests/worker/kernels/op_suite.h"

#include <cstdio>
#include <utility>

#include "tests/worker/kernels/comparisons.h"

namespace ringmaster {

void KernelOpTest::SetUp() {
  const uint64_t seed = 1 + GTEST_FLAG_GET(random_seed);
  std::printf("seed: --gtest_random_seed=%llu\n", static_cast<unsigned long long>(seed - 1));
  random_ = Random(seed);
  if (!GetParam().missing.empty()) GTEST_SKIP() << GetParam().missing;
  auto kernels = GetParam().create();
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  kernels_ = *std::move(kernels);
}

std::vector<float> KernelOpTest::RandomFloats(int64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = 2.0f * random_.Uniform() - 1.0f;
  return values;
}

KernelOpTest::Outputs KernelOpTest::Repeat(const Work& work, const std::string& what) {
  const Outputs outputs = work(kernels(), RandomOffset());
  const Outputs again = work(kernels(), 1 + RandomOffset());
  EXPECT_EQ(outputs.size(), again.size()) << what;
  for (size_t i = 0; i < outputs.size() && i < again.size(); ++i) {
    EXPECT_TRUE(SameBits(outputs[i], again[i]))
        << what << ": output " << i << " differs when repeated";
  }
  return outputs;
}

}  // namespace ringmaster
