#include <cmath>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Words = DeviceArray<double>;  // of 8 bytes: what encodings are aligned to

namespace {

constexpr EncodeKind kKinds[] = {EncodeKind::kFp16, EncodeKind::kBf16,   EncodeKind::kInt8,
                                 EncodeKind::kInt4, EncodeKind::kOnebit, EncodeKind::kTopk};
// Of the kinds with levels: an odd number, so that their whole numbers share bytes across blocks.
constexpr int64_t kBlock = 37;

int64_t EncodedBytes(const EncodeCall& call) {
  switch (call.kind) {
    case EncodeKind::kFp16:
    case EncodeKind::kBf16:
      return 2 * call.count;
    case EncodeKind::kInt8:
      return 4 * ((call.count + kBlock - 1) / kBlock) + call.count;
    case EncodeKind::kInt4:
      return 4 * ((call.count + kBlock - 1) / kBlock) + (call.count + 1) / 2;
    case EncodeKind::kOnebit:
      return 4 + (call.count + 7) / 8;
    case EncodeKind::kTopk:
      return 8 * call.kept;
  }
  return 0;
}

int64_t WordsOf(int64_t bytes) { return (bytes + 7) / 8; }

}  // namespace

// The reference encodes by the codecs themselves. Values of few magnitudes, so that topk has ties
// to break, and of many.
TEST_P(KernelOpTest, EncodeGivesTheCodecsBytesAndResidualToTheLastBit) {
  for (const EncodeKind kind : kKinds) {
    for (const int64_t count : {1, 7, 8, 33, 4095, 4096, 5001, 65537, 300007}) {
      for (const bool has_ties : {false, true}) {
        EncodeCall call;
        call.kind = kind;
        call.count = count;
        call.kept = kind == EncodeKind::kTopk ? (count + 9) / 10 : 0;
        call.block = kBlock;
        std::vector<float> gradient = RandomFloats(count), residual = RandomFloats(count);
        if (has_ties) {
          for (float& value : gradient) value = std::round(value * 3) / 4;
          for (float& value : residual) value = 0.0f;
        }
        for (const bool feeds_back : {false, true}) {
          std::vector<double> expected_words(WordsOf(EncodedBytes(call)), std::nan(""));
          std::memset(expected_words.data(), 0xFF, 8 * expected_words.size());
          std::vector<float> expected_residual = residual;
          EncodeCall on_host = call;
          on_host.gradient = gradient.data();
          on_host.residual = feeds_back ? expected_residual.data() : nullptr;
          on_host.out = reinterpret_cast<std::byte*>(expected_words.data());
          ASSERT_EQ(reference_.Run(on_host), absl::OkStatus());

          Floats device_gradient(kernels(), gradient, RandomOffset());
          Floats device_residual(kernels(), residual, RandomOffset());
          Words out = Words::Poisoned(kernels(), WordsOf(EncodedBytes(call)));
          Words scratch =
              Words::Poisoned(kernels(), WordsOf(kernels().encode_scratch_bytes(kind, count)));
          call.gradient = device_gradient.data();
          call.residual = feeds_back ? device_residual.data() : nullptr;
          call.out = reinterpret_cast<std::byte*>(out.data());
          call.scratch = reinterpret_cast<std::byte*>(scratch.data());
          ASSERT_EQ(kernels().Run(call), absl::OkStatus());
          const std::vector<double> words = out.Download();
          const std::string what =
              absl::StrCat("encode kind=", static_cast<int>(kind), " count=", count,
                           " feedback=", feeds_back, " ties=", has_ties);
          EXPECT_EQ(std::memcmp(words.data(), expected_words.data(), 8 * words.size()), 0) << what;
          const std::vector<float> left = device_residual.Download();
          EXPECT_EQ(std::memcmp(left.data(), expected_residual.data(), count * sizeof(float)), 0)
              << what;
          scratch.Download();
        }
      }
    }
  }
}

TEST_P(KernelOpTest, EncodeForgetsTheResidualOfWhatIsNotFinite) {
  constexpr int64_t kCount = 5001;
  for (const EncodeKind kind : kKinds) {
    std::vector<float> gradient = RandomFloats(kCount);
    gradient[4711] = kNan;
    Floats device_gradient(kernels(), gradient), residual(kernels(), RandomFloats(kCount));
    EncodeCall call;
    call.kind = kind;
    call.count = kCount;
    call.kept = kind == EncodeKind::kTopk ? 50 : 0;
    call.block = kBlock;
    Words out = Words::Poisoned(kernels(), WordsOf(EncodedBytes(call)));
    Words scratch =
        Words::Poisoned(kernels(), WordsOf(kernels().encode_scratch_bytes(kind, kCount)));
    call.gradient = device_gradient.data();
    call.residual = residual.data();
    call.out = reinterpret_cast<std::byte*>(out.data());
    call.scratch = reinterpret_cast<std::byte*>(scratch.data());
    ASSERT_EQ(kernels().Run(call), absl::OkStatus());
    EXPECT_EQ(residual.Download(), std::vector<float>(kCount, 0.0f))
        << "kind " << static_cast<int>(kind);
  }
}

TEST_P(KernelOpTest, EncodeRefusesWhatItCannotKeep) {
  EncodeCall call;
  EXPECT_TRUE(absl::IsInvalidArgument(kernels().Run(call)));
  call.count = 10;
  call.kind = EncodeKind::kTopk;
  EXPECT_TRUE(absl::IsInvalidArgument(kernels().Run(call)));
  call.kept = 11;
  EXPECT_TRUE(absl::IsInvalidArgument(kernels().Run(call)));
  call.kind = EncodeKind::kInt4;
  EXPECT_TRUE(absl::IsInvalidArgument(kernels().Run(call)));
}

}  // namespace ringmaster
