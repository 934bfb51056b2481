#include "tests/fuzz/scratch_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace ringmaster {

ScratchFolder::ScratchFolder() {
  const std::string parent = std::filesystem::temp_directory_path();
  path_ = absl::StrCat(parent, "/fuzz-XXXXXX");
  RM_CHECK(mkdtemp(path_.data()) != nullptr);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ScratchFolder::Write(absl::string_view name, absl::string_view bytes) const {
  std::string path = absl::StrCat(path_, "/", name);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  RM_CHECK(file.good());
  return path;
}

std::string ScratchFolder::Read(absl::string_view name) const {
  std::ifstream file(absl::StrCat(path_, "/", name), std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const ScratchFolder& Scratch() {
  static const ScratchFolder folder;
  return folder;
}

}  // namespace ringmaster
