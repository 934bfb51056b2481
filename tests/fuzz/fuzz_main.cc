// A fuzz target as libFuzzer calls it. With RINGMASTER_FUZZ_SEEDS=FOLDER in its environment it
// leaves the target's seeds there, a file each, and ends.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const char* const folder = std::getenv("RINGMASTER_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : ringmaster::Seeds()) {
    std::ofstream file(folder + std::string("/seed-") + std::to_string(number++), std::ios::binary);
    if (!file.write(seed.data(), static_cast<std::streamsize>(seed.size()))) {
      std::fprintf(stderr, "cannot write to %s\n", folder);
      std::exit(1);
    }
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringmaster::TryInput(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
