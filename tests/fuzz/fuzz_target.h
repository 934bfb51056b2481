#ifndef RINGMASTER_TESTS_FUZZ_FUZZ_TARGET_H_
#define RINGMASTER_TESTS_FUZZ_FUZZ_TARGET_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ringmaster {

// One parser or decoder, given what anybody may send or leave in a file. Each target defines both.
// The fuzzer (fuzz_main.cc) invents inputs; ./test tries known ones and changes of them
// (replay_test.cc).

// Inputs that are right, made by whoever writes them in the product.
std::vector<std::string> Seeds();

// Whether the input is taken. Ends the program (RM_CHECK) where what was taken is not what the
// parser promises. Any input; must return soon, and take memory in proportion to the input.
bool TryInput(absl::string_view input);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_FUZZ_FUZZ_TARGET_H_
