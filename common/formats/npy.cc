#include "common/formats/npy.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr char kMagic[] = "\x93NUMPY\x01";  // and a zero byte, the minor version
constexpr size_t kPreamble = 10;            // magic, version, length of the header
constexpr size_t kAlignment = 64;

struct TypeName {
  NpyType type;
  const char* descr;
};
constexpr TypeName kTypes[] = {
    {NpyType::kInt32, "<i4"}, {NpyType::kInt64, "<i8"}, {NpyType::kFloat32, "<f4"}};

const char* DescrOf(NpyType type) {
  for (const TypeName& name : kTypes) {
    if (name.type == type) return name.descr;
  }
  RM_CHECK(false);
  return "";
}

// The dictionary, up to where padding begins.
std::string Dictionary(NpyType type, const std::vector<int64_t>& shape) {
  return absl::StrCat("{'descr': '", DescrOf(type), "', 'fortran_order': False, 'shape': (",
                      absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
}

std::string Header(NpyType type, const std::vector<int64_t>& shape) {
  std::string dictionary = Dictionary(type, shape);
  const size_t unpadded = kPreamble + dictionary.size() + 1;
  dictionary.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dictionary.push_back('\n');
  RM_CHECK(dictionary.size() <= 0xffff);
  std::string header(kMagic, 7);
  header.push_back('\0');
  header.push_back(static_cast<char>(dictionary.size() & 0xff));
  header.push_back(static_cast<char>(dictionary.size() >> 8));
  return header + dictionary;
}

int64_t CountOf(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) {
    RM_CHECK(extent >= 0 && !__builtin_mul_overflow(count, extent, &count));
  }
  return count;
}

absl::Status Malformed(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", what, "; expected a .npy file of version 1.0 with <i4, <i8 or <f4 in C order"));
}

// Type and shape from a header's dictionary in the form in which Dictionary writes it.
bool ParseDictionary(absl::string_view text, NpyArray* array) {
  const size_t open = text.find('('), close = text.find(')');
  if (open == absl::string_view::npos || close == absl::string_view::npos || close < open)
    return false;
  for (const absl::string_view extent :
       absl::StrSplit(text.substr(open + 1, close - open - 1), ',', absl::SkipWhitespace())) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(extent, &value) || value < 0) return false;
    array->shape.push_back(value);
  }
  for (const TypeName& name : kTypes) {
    array->type = name.type;
    if (absl::StartsWith(text, Dictionary(name.type, array->shape))) return true;
  }
  return false;
}

}  // namespace

int64_t BytesOf(NpyType type) { return type == NpyType::kInt64 ? 8 : 4; }

absl::StatusOr<std::unique_ptr<NpyWriter>> NpyWriter::Create(const std::string& path, NpyType type,
                                                             const std::vector<int64_t>& shape) {
  RM_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  const std::string header = Header(type, shape);
  RM_RETURN_IF_ERROR(file->Write(header.data(), header.size()));
  return std::unique_ptr<NpyWriter>(new NpyWriter(type, CountOf(shape), std::move(file)));
}

absl::Status NpyWriter::Append(NpyType type, const void* values, size_t count) {
  RM_CHECK(type == type_);
  if (static_cast<int64_t>(count) > left_) {
    return absl::InvalidArgumentError(
        absl::StrCat(".npy: ", count, " elements more, and the shape has room for ", left_));
  }
  left_ -= static_cast<int64_t>(count);
  return file_->Write(values, count * BytesOf(type));
}

absl::Status NpyWriter::Finish() {
  if (left_ > 0)
    return absl::InvalidArgumentError(
        absl::StrCat(".npy: ", left_, " elements of the shape are missing"));
  return file_->Commit();
}

absl::StatusOr<NpyArray> ReadNpy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::stringstream stream;
  stream << file.rdbuf();
  const std::string bytes = stream.str();
  if (bytes.size() < kPreamble || bytes.compare(0, 8, std::string(kMagic, 7) + '\0') != 0) {
    return Malformed(path, "no preamble of that version");
  }
  const size_t length =
      static_cast<uint8_t>(bytes[8]) | static_cast<size_t>(static_cast<uint8_t>(bytes[9])) << 8;
  if (bytes.size() < kPreamble + length) return Malformed(path, "ends within its header");
  NpyArray array;
  if (!ParseDictionary(absl::string_view(bytes).substr(kPreamble, length), &array)) {
    return Malformed(path, "another header");
  }
  int64_t expected = BytesOf(array.type);
  for (const int64_t extent : array.shape) {
    if (__builtin_mul_overflow(expected, extent, &expected))
      return Malformed(path, "a shape that overflows");
  }
  array.bytes = bytes.substr(kPreamble + length);
  if (static_cast<int64_t>(array.bytes.size()) != expected) {
    return Malformed(path, absl::StrCat(array.bytes.size(),
                                        " bytes of elements where the shape says ", expected));
  }
  return array;
}

}  // namespace ringmaster
