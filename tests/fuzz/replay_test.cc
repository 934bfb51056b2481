// A fuzz target tries its seeds, the inputs that a fuzzer has found worth keeping (a text file, one
// in hexadecimal digits a line), and thousands of small changes of both, the same ones every time.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

constexpr int kChangesAnInput = 200;
constexpr size_t kCutsMost = 100;  // of an input: its beginnings

// Of the file that RINGMASTER_FUZZ_KEPT names.
std::vector<std::string> Kept() {
  std::vector<std::string> inputs;
  std::ifstream file(std::getenv("RINGMASTER_FUZZ_KEPT"));
  EXPECT_TRUE(file.is_open());
  for (std::string line; std::getline(file, line);) {
    EXPECT_TRUE(line.size() % 2 == 0 &&
                line.find_first_not_of("0123456789abcdef") == std::string::npos)
        << line;
    inputs.push_back(absl::HexStringToBytes(line));
  }
  return inputs;
}

// A few bytes of `input` changed, left out, doubled or taken from `other`.
std::string Changed(const std::string& input, const std::string& other, Random& random) {
  std::string changed = input;
  const auto below = [&random](size_t count) {
    return static_cast<size_t>(random.Below(static_cast<uint64_t>(std::max<size_t>(1, count))));
  };
  for (size_t changes = 1 + below(3); changes > 0; --changes) {
    const size_t at = below(changed.size());
    const size_t length = std::min(changed.size() - at, 1 + below(8));
    switch (below(5)) {
      case 0:
        if (!changed.empty()) changed[at] = static_cast<char>(changed[at] ^ (1 << below(8)));
        break;
      case 1:
        if (!changed.empty()) changed[at] = static_cast<char>(below(2) == 0 ? 0xff : below(256));
        break;
      case 2:
        changed.erase(at, length);
        break;
      case 3:
        changed.insert(at, changed.substr(at, length));
        break;
      default:
        changed.insert(at, other.substr(below(other.size()), 1 + below(16)));
        break;
    }
  }
  return changed;
}

TEST(Replay, SeedsAreTaken) {
  ASSERT_FALSE(Seeds().empty());
  for (const std::string& seed : Seeds())
    EXPECT_TRUE(TryInput(seed)) << absl::CHexEscape(seed.substr(0, 200));
}

TEST(Replay, NoChangeOfAnInputEndsTheProgram) {
  std::vector<std::string> inputs = Seeds();
  for (std::string& kept : Kept()) inputs.push_back(std::move(kept));
  Random random(1);
  int64_t taken = 0, tried = 0;
  for (const std::string& input : inputs) {
    for (size_t cut = 0; cut < std::min(input.size(), kCutsMost); ++cut, ++tried)
      taken += TryInput(absl::string_view(input).substr(0, cut));
    for (int i = 0; i < kChangesAnInput; ++i, ++tried) {
      const std::string& other = inputs[random.Below(inputs.size())];
      taken += TryInput(Changed(input, other, random));
    }
  }
  EXPECT_LT(taken, tried);  // something is refused
}

}  // namespace
}  // namespace ringmaster
