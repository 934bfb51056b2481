#include "common/machine/process_name.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr size_t kShortNameBytes = 15;

// The memory of the command line's words, one behind the other, which the kernel reads for
// /proc/PID/cmdline.
struct Words {
  char* begin = nullptr;
  size_t size = 0;
};
Words words;

}  // namespace

void LendArguments(int argc, char** argv) {
  if (argc < 1) return;
  char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end = argv[i] + std::strlen(argv[i]) + 1;
  words = {argv[0], static_cast<size_t>(end - argv[0])};
}

void RenameProcess(const std::string& title, const std::string& short_name) {
  // By the main thread's file whichever thread calls: prctl would name the calling one.
  std::ofstream(absl::StrCat("/proc/self/task/", getpid(), "/comm"))
      << short_name.substr(0, kShortNameBytes);
  if (words.size < 2) return;
  const size_t length = std::min(title.size(), words.size - 2);
  std::memset(words.begin, 0, words.size);
  std::memcpy(words.begin, title.data(), length);
  // Where the last byte is not zero the kernel takes the words for one title, which ends at the
  // first zero.
  words.begin[words.size - 1] = ' ';
}

}  // namespace ringmaster
