#include "absl/strings/str_cat.h"
#include "tests/worker/kernels/comparisons.h"
#include "tests/worker/kernels/device_array.h"
#include "tests/worker/kernels/op_suite.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Ints = DeviceArray<int32_t>;

namespace {

struct EmbeddingCase {
  int64_t rows, context, width, vocabulary;
  bool same_tokens = false;
};

// Fewer rows than positions, positions that are met unevenly often, tokens without a row.
std::vector<EmbeddingCase> EmbeddingCases() {
  return {{1, 1, 1, 1},        {6, 4, 7, 3},         {3, 5, 16, 300}, {128, 64, 33, 17},
          {1024, 64, 32, 256}, {64, 16, 9, 5, true}, {0, 3, 4, 2}};
}

std::string Describe(const EmbeddingCase& sizes) {
  return absl::StrCat("embedding rows=", sizes.rows, " context=", sizes.context,
                      " width=", sizes.width, " vocabulary=", sizes.vocabulary);
}

std::vector<int32_t> Tokens(const EmbeddingCase& sizes, Random* random) {
  std::vector<int32_t> tokens(sizes.rows);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random->Below(sizes.vocabulary));
  if (sizes.same_tokens) tokens.assign(sizes.rows, static_cast<int32_t>(sizes.vocabulary - 1));
  return tokens;
}

}  // namespace

TEST_P(KernelOpTest, EmbeddingGivesTheReferencesValues) {
  for (const EmbeddingCase& sizes : EmbeddingCases()) {
    const std::vector<int32_t> tokens = Tokens(sizes, &random_);
    const std::vector<float> token_table = RandomFloats(sizes.vocabulary * sizes.width);
    const std::vector<float> position_table = RandomFloats(sizes.context * sizes.width);
    const Work operation = [&](KernelLibrary& kernels, int64_t offset) {
      Ints device_tokens(kernels, tokens, offset);
      Floats of_tokens(kernels, token_table, offset),
          of_positions(kernels, position_table, 2 * offset);
      Floats output = Floats::Poisoned(kernels, sizes.rows * sizes.width, offset);
      EXPECT_EQ(kernels.Run(EmbeddingCall{sizes.rows, sizes.context, sizes.width, sizes.vocabulary,
                                          device_tokens.data(), of_tokens.data(),
                                          of_positions.data(), output.data()}),
                absl::OkStatus());
      return Outputs{output.Download()};
    };
    ExpectSame(Repeat(operation, Describe(sizes))[0], operation(reference_, 0)[0], Describe(sizes));
  }
}

// As many additions as rows have the token, and one more to what is there: at most one rounding a
// row.
TEST_P(KernelOpTest, EmbeddingGradientAgreesWithTheReferenceAndAddsOnlyWhereAsked) {
  for (const EmbeddingCase& sizes : EmbeddingCases()) {
    for (const bool accumulate : {false, true}) {
      const std::string what = absl::StrCat(Describe(sizes), " accumulate=", accumulate);
      const std::vector<int32_t> tokens = Tokens(sizes, &random_);
      const std::vector<float> gradient = RandomFloats(sizes.rows * sizes.width);
      const std::vector<float> before =
          accumulate ? RandomFloats(sizes.vocabulary * sizes.width)
                     : std::vector<float>(sizes.vocabulary * sizes.width, kNan);
      const auto gather = [&](const std::vector<float>& of, const std::vector<float>& there) {
        return [&tokens, sizes, accumulate, of, there](KernelLibrary& kernels, int64_t offset) {
          Ints device_tokens(kernels, tokens, offset);
          Floats output_gradient(kernels, of, offset), token_gradient(kernels, there, 2 * offset);
          Floats position_gradient = Floats::Poisoned(kernels, sizes.context * sizes.width, offset);
          EXPECT_EQ(kernels.Run(EmbeddingGradientCall{sizes.rows, sizes.context, sizes.width,
                                                      sizes.vocabulary, device_tokens.data(),
                                                      output_gradient.data(), token_gradient.data(),
                                                      position_gradient.data(), accumulate}),
                    absl::OkStatus());
          return Outputs{token_gradient.Download(), position_gradient.Download()};
        };
      };
      const Work operation = gather(gradient, before);
      const Outputs actual = Repeat(operation, what), expected = operation(reference_, 0);
      const Outputs scale = gather(Absolute(gradient), Absolute(before))(reference_, 0);
      for (const size_t i : {0, 1}) {
        ExpectWithin(actual[i], expected[i], scale[i],
                     static_cast<double>(sizes.rows + 1) * kRounding, what);
      }
    }
  }
}

}  // namespace ringmaster
