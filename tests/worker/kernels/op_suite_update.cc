#include <string>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;

namespace {

constexpr UpdateKind kKinds[] = {UpdateKind::kStatistic, UpdateKind::kSgd, UpdateKind::kMomentum,
                                 UpdateKind::kNesterov, UpdateKind::kAdam};

// With and without what an optimizer may leave out.
std::vector<ElementUpdate> UpdatesOf(UpdateKind kind) {
  ElementUpdate plain;
  plain.kind = kind;
  plain.rate = 0.1f;
  plain.momentum = 0.9f;
  plain.share = 0.1f;
  plain.adam = {0.9f, 0.1f, 0.999f, 0.001f, 3.1622777f, 1e-8f, 0.05f};
  if (kind == UpdateKind::kStatistic) {
    plain.keep = 0.9f;
    return {plain};
  }
  ElementUpdate clipped = plain, decayed = plain, both = plain;
  clipped.clip = 0.3f;
  decayed.decay = 0.01f;
  both.clip = 0.7f;
  both.decay = 0.001f;
  both.keep = kind == UpdateKind::kAdam ? 0.99f : 1.0f;
  return {plain, clipped, decayed, both};
}

}  // namespace

// Several updates one after the other, so that each works on the state of the one before.
TEST_P(KernelOpTest, UpdatesOfWeightsAndStateHaveTheReferencesBits) {
  for (const UpdateKind kind : kKinds) {
    const int arrays = StateArraysOf(kind);
    for (const int64_t count : {0, 1, 7, 64, 1031, 65537}) {
      std::vector<float> weights = RandomFloats(count);
      std::vector<float> first(weights.size()), second(weights.size());
      const auto offset = [this] { return RandomOffset(); };
      Floats device_weights(kernels(), weights, offset()), device_first(kernels(), first, offset()),
          device_second(kernels(), second, offset());
      for (const ElementUpdate& update : UpdatesOf(kind)) {
        std::vector<float> gradient = RandomFloats(count);
        if (count > 60) gradient[3] = 0, gradient[5] = -0.0f, gradient[9] = 1e-40f;
        Floats device_gradient(kernels(), gradient, offset());
        const std::string what = absl::StrCat("update kind=", static_cast<int>(kind),
                                              " count=", count, " clip=", update.clip);
        ASSERT_EQ(
            kernels().Run(UpdateCall{update, count, device_gradient.data(), device_weights.data(),
                                     arrays > 0 ? device_first.data() : nullptr,
                                     arrays > 1 ? device_second.data() : nullptr}),
            absl::OkStatus());
        ASSERT_EQ(reference_.Run(UpdateCall{update, count, gradient.data(), weights.data(),
                                            arrays > 0 && count > 0 ? first.data() : nullptr,
                                            arrays > 1 && count > 0 ? second.data() : nullptr}),
                  absl::OkStatus());
        EXPECT_TRUE(SameBits(device_weights.Download(), weights)) << what;
        EXPECT_TRUE(SameBits(device_first.Download(), first)) << what;
        EXPECT_TRUE(SameBits(device_second.Download(), second)) << what;
      }
    }
  }
}

// What is not finite stays so, and spoils no element beside it.
TEST_P(KernelOpTest, UpdatesByWhatIsNotFiniteHaveTheReferencesValues) {
  ElementUpdate update;
  update.rate = 0.5f;
  std::vector<float> gradient = RandomFloats(9), weights = RandomFloats(9);
  gradient[2] = kNan;
  gradient[4] = std::numeric_limits<float>::infinity();
  Floats device_gradient(kernels(), gradient), device_weights(kernels(), weights);
  ASSERT_EQ(kernels().Run(UpdateCall{update, 9, device_gradient.data(), device_weights.data()}),
            absl::OkStatus());
  ASSERT_EQ(reference_.Run(UpdateCall{update, 9, gradient.data(), weights.data()}),
            absl::OkStatus());
  ExpectSame(device_weights.Download(), weights, "update by what is not finite");
}

}  // namespace ringmaster
