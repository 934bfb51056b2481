#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Ints = DeviceArray<int32_t>;

// Exponentials good to 4 units in the last place of arguments that are themselves rounded once
// (relative to the spread of the logits), and a sum of `classes` terms.
TEST_P(KernelOpTest, SoftmaxCrossEntropyAgreesWithTheReference) {
  for (const auto& [rows, classes] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 2}, {32, 10}, {7, 1000}}) {
    for (const float spread : {0.0f, 1.0f, 30.0f, 5000.0f}) {
      const std::string what =
          absl::StrCat("softmax rows=", rows, " classes=", classes, " spread=", spread);
      std::vector<float> logits = RandomFloats(rows * classes);
      for (float& logit : logits) logit *= spread;
      std::vector<int32_t> labels(rows);
      for (int32_t& label : labels) label = static_cast<int32_t>(random_.Below(classes));
      std::vector<float> loss(rows), correct(rows), gradient(rows * classes);
      Floats device_logits(kernels(), logits, RandomOffset());
      Ints device_labels(kernels(), labels, RandomOffset());
      Floats device_loss = Floats::Poisoned(kernels(), rows),
             device_correct = Floats::Poisoned(kernels(), rows);
      Floats device_gradient = Floats::Poisoned(kernels(), rows * classes, RandomOffset());
      const float scale = 1.0f / static_cast<float>(rows);
      ASSERT_EQ(kernels().Run(SoftmaxCrossEntropyCall{
                    rows, classes, device_logits.data(), device_labels.data(), device_loss.data(),
                    device_correct.data(), device_gradient.data(), scale}),
                absl::OkStatus());
      ASSERT_EQ(reference_.Run(SoftmaxCrossEntropyCall{rows, classes, logits.data(), labels.data(),
                                                       loss.data(), correct.data(), gradient.data(),
                                                       scale}),
                absl::OkStatus());
      const double relative = (2.0 * spread + static_cast<double>(classes) + 16.0) * kRounding;
      ExpectWithin(device_loss.Download(), loss, std::vector<float>(rows, 1.0f + 2.0f * spread),
                   relative, what);
      ExpectSame(device_correct.Download(), correct, what);
      ExpectWithin(device_gradient.Download(), gradient, std::vector<float>(rows * classes, scale),
                   2.0 * relative, what);
    }
  }
}

TEST_P(KernelOpTest, SoftmaxCrossEntropyWithoutAGradientGivesTheSameLoss) {
  const std::vector<float> logits = RandomFloats(5 * 10);
  Floats device_logits(kernels(), logits);
  Ints labels(kernels(), {0, 3, 9, 1, 1});
  Floats loss = Floats::Poisoned(kernels(), 5), loss_alone = Floats::Poisoned(kernels(), 5);
  Floats correct = Floats::Poisoned(kernels(), 5), gradient = Floats::Poisoned(kernels(), 50);
  SoftmaxCrossEntropyCall call{
      5,   10, device_logits.data(), labels.data(), loss.data(), correct.data(), gradient.data(),
      0.2f};
  ASSERT_EQ(kernels().Run(call), absl::OkStatus());
  call.row_loss = loss_alone.data();
  call.gradient = nullptr;
  ASSERT_EQ(kernels().Run(call), absl::OkStatus());
  EXPECT_TRUE(SameBits(loss.Download(), loss_alone.Download()));
}

}  // namespace ringmaster
