#include "common/formats/safetensors.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/formats/atomic_file.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

using Json = nlohmann::json;

constexpr char kMetadata[] = "__metadata__";
constexpr size_t kLengthBytes = 8;
constexpr int64_t kFloatBytes = sizeof(float);
// PyTorch's batch norms count their batches in such a tensor; nothing that is computed here depends
// on it.
constexpr char kCounter[] = "num_batches_tracked";
constexpr char kCounterType[] = "I64";
constexpr int64_t kCounterBytes = 8;
// A zip archive, as torch.save makes.
constexpr char kZipMagic[] = "PK\x03\x04";
// The header is an object of objects of arrays.
constexpr int kDepthMax = 3;

// Where a tensor's bytes lie, from the end of the header on.
struct Entry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A name from a file that may hold anything, fit for a message.
std::string Quoted(absl::string_view name) {
  constexpr size_t kShown = 80;
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, kShown)),
                      name.size() > kShown ? "...\"" : "\"");
}

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status BadTensor(absl::string_view name, absl::string_view what) {
  return Bad(absl::StrCat("tensor ", Quoted(name), ": ", what));
}

// Bytes of an element; 0: not read.
int64_t BytesOfType(absl::string_view dtype) {
  if (dtype == "F32") return kFloatBytes;
  return dtype == "F16" || dtype == "BF16" ? 2 : 0;
}

bool IsCounter(const Entry& entry) {
  const absl::string_view name = entry.name;
  return entry.dtype == kCounterType &&
         (name == kCounter || absl::EndsWith(name, absl::StrCat(".", kCounter)));
}

// The element type's bits to a float's, exactly: bfloat16 is the upper half of a float.
void FromBfloat16(absl::Span<const uint16_t> in, absl::Span<float> out) {
  for (size_t i = 0; i < in.size(); ++i) {
    const uint32_t bits = uint32_t{in[i]} << 16;
    memcpy(&out[i], &bits, sizeof(bits));
  }
}

// Parses the header; refuses what nlohmann's parser lets pass: names that come twice, and depth
// without limit.
absl::StatusOr<Json> ParseObject(absl::string_view text) {
  std::vector<std::set<std::string>> names(kDepthMax + 2);
  std::string duplicate;
  bool too_deep = false;
  bool twice = false;
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDepthMax) {
      too_deep = true;
      return false;
    }
    if (event == Json::parse_event_t::object_start) names[depth + 1].clear();
    if (event == Json::parse_event_t::key &&
        !names[depth].insert(parsed.get<std::string>()).second && !twice) {
      twice = true;
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  if (text.empty() || text.front() != '{') return Bad("the header does not begin with \"{\"");
  Json json = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (too_deep) return Bad("the header is nested deeper than any of the format");
  if (twice) return Bad(absl::StrCat("the header has the name ", Quoted(duplicate), " twice"));
  if (!json.is_object()) return Bad("the header is no JSON object");
  return json;
}

absl::Status ParseMetadata(const Json& json, std::map<std::string, std::string>* metadata) {
  if (!json.is_object()) return Bad("__metadata__ is no object of strings");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string())
      return Bad(absl::StrCat("__metadata__: ", Quoted(key), " is no string"));
    (*metadata)[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

absl::StatusOr<Entry> ParseEntry(const std::string& name, const Json& json, uint64_t data_bytes) {
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    return BadTensor(name, "expected exactly dtype, shape and data_offsets");
  }
  if (!json["dtype"].is_string()) return BadTensor(name, "dtype is no string");
  Entry entry;
  entry.name = name;
  entry.dtype = json["dtype"].get<std::string>();
  const int64_t element_bytes = IsCounter(entry) ? kCounterBytes : BytesOfType(entry.dtype);
  if (element_bytes == 0) {
    return BadTensor(
        name,
        absl::StrCat("dtype ", Quoted(entry.dtype),
                     "; expected F32, F16 or BF16: convert it before it is saved (in PyTorch: "
                     "tensor.float()), or leave it out if it is no weight"));
  }
  if (!json["shape"].is_array()) return BadTensor(name, "shape is no list");
  uint64_t bytes = static_cast<uint64_t>(element_bytes);
  bool overflow = false;
  bool empty = false;
  for (const Json& extent : json["shape"]) {
    if (!extent.is_number_unsigned())
      return BadTensor(name, "shape holds something else than whole numbers from 0");
    const uint64_t value = extent.get<uint64_t>();
    if (value > INT64_MAX) return BadTensor(name, "a shape with more elements than can be counted");
    empty = empty || value == 0;
    overflow = overflow || (value != 0 && __builtin_mul_overflow(bytes, value, &bytes));
    entry.shape.push_back(static_cast<int64_t>(value));
  }
  if (overflow) return BadTensor(name, "a shape with more elements than can be counted");
  if (empty) bytes = 0;
  if (IsCounter(entry) && bytes != kCounterBytes)
    return BadTensor(name, "a batch counter that is not one number");
  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    return BadTensor(name, "data_offsets are not two whole numbers from 0");
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return BadTensor(name, absl::StrCat("data_offsets [", entry.begin, ", ", entry.end, ") of ",
                                        data_bytes, " bytes of tensors in the file"));
  }
  if (entry.end - entry.begin != bytes) {
    return BadTensor(name,
                     absl::StrCat("shape [", absl::StrJoin(entry.shape, ", "), "] takes ", bytes,
                                  " bytes, data_offsets give ", entry.end - entry.begin));
  }
  return entry;
}

// All entries in the order of their bytes, which cover `data_bytes` exactly.
absl::StatusOr<std::vector<Entry>> ParseHeader(absl::string_view text, uint64_t data_bytes,
                                               Safetensors* file) {
  RM_ASSIGN_OR_RETURN(const Json json, ParseObject(text));
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadata) {
      RM_RETURN_IF_ERROR(ParseMetadata(value, &file->metadata));
      continue;
    }
    RM_ASSIGN_OR_RETURN(Entry entry, ParseEntry(name, value, data_bytes));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      return BadTensor(
          entry.name,
          absl::StrCat("begins at byte ", entry.begin, ", and the tensors before it end at ",
                       covered, ": tensors ", entry.begin < covered ? "overlap" : "leave a gap"));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return Bad(
        absl::StrCat("the tensors end at byte ", covered, " of ", data_bytes, " in the file"));
  }
  return entries;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Reads exactly `size` bytes.
absl::Status ReadExactly(std::FILE* file, void* out, size_t size) {
  if (size == 0 || std::fread(out, 1, size, file) == size) return absl::OkStatus();
  return Bad("it ends before it should; is somebody still writing it?");
}

// Reads the values of `tensor`, whose bytes come next, to `values`.
absl::Status ReadValues(std::FILE* file, const LoadedTensor& tensor, absl::Span<float> values) {
  if (tensor.dtype == "F32") {
    RM_RETURN_IF_ERROR(ReadExactly(file, values.data(), values.size() * kFloatBytes));
  } else {
    std::vector<uint16_t> halves(values.size());
    RM_RETURN_IF_ERROR(ReadExactly(file, halves.data(), halves.size() * sizeof(uint16_t)));
    (tensor.dtype == "F16" ? FromFloat16 : FromBfloat16)(halves, values);
  }
  const size_t at = FirstNotFinite(values);
  if (at == values.size()) return absl::OkStatus();
  return BadTensor(tensor.name,
                   absl::StrCat("element ", at, " is ", values[at], ", no finite number"));
}

absl::StatusOr<Safetensors> ReadOpen(std::FILE* file, uint64_t file_bytes,
                                     const TensorPlace* place) {
  unsigned char length_bytes[kLengthBytes];
  if (file_bytes < kLengthBytes)
    return Bad(absl::StrCat("a file of ", file_bytes, " bytes, the header's length takes 8"));
  RM_RETURN_IF_ERROR(ReadExactly(file, length_bytes, kLengthBytes));
  if (memcmp(length_bytes, kZipMagic, sizeof(kZipMagic) - 1) == 0) {
    return Bad(
        "a zip archive, as torch.save writes; expected .safetensors: in PyTorch, "
        "safetensors.torch.save_file(model.state_dict(), path)");
  }
  uint64_t header_bytes = 0;
  for (size_t i = kLengthBytes; i-- > 0;) header_bytes = header_bytes << 8 | length_bytes[i];
  if (header_bytes > kSafetensorsHeaderBytesMax) {
    return Bad(absl::StrCat("a header of ", header_bytes, " bytes, at most ",
                            kSafetensorsHeaderBytesMax, " are read"));
  }
  if (header_bytes > file_bytes - kLengthBytes) {
    return Bad(absl::StrCat("a header of ", header_bytes, " bytes in a file of ", file_bytes,
                            "; it is cut short"));
  }
  std::string header(header_bytes, '\0');
  RM_RETURN_IF_ERROR(ReadExactly(file, header.data(), header_bytes));
  Safetensors result;
  RM_ASSIGN_OR_RETURN(std::vector<Entry> entries,
                      ParseHeader(header, file_bytes - kLengthBytes - header_bytes, &result));
  for (Entry& entry : entries) {
    if (IsCounter(entry)) {
      std::vector<char> passed(entry.end - entry.begin);
      if (place != nullptr) RM_RETURN_IF_ERROR(ReadExactly(file, passed.data(), passed.size()));
      result.counters.push_back(std::move(entry.name));
      continue;
    }
    LoadedTensor tensor{std::move(entry.name), std::move(entry.shape), {}, std::move(entry.dtype)};
    if (place != nullptr) {
      const uint64_t count = (entry.end - entry.begin) / BytesOfType(tensor.dtype);
      RM_RETURN_IF_ERROR(ReadValues(file, tensor, (*place)(&tensor, static_cast<int64_t>(count))));
    }
    result.tensors.push_back(std::move(tensor));
  }
  return result;
}

}  // namespace

absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, std::string>& metadata,
                              absl::Span<const NamedTensor> tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  int64_t begin = 0;
  for (const NamedTensor& tensor : tensors) {
    int64_t count = 1;
    for (const int64_t extent : tensor.shape) count *= extent;
    RM_CHECK(count == static_cast<int64_t>(tensor.values.size()) && !header.contains(tensor.name));
    const int64_t end = begin + count * kFloatBytes;
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  // Padding keeps the tensors aligned, for readers that map the file.
  text.append((8 - text.size() % 8) % 8, ' ');
  char length_bytes[kLengthBytes];
  for (size_t i = 0; i < kLengthBytes; ++i)
    length_bytes[i] = static_cast<char>(text.size() >> 8 * i);
  RM_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  RM_RETURN_IF_ERROR(file->Write(length_bytes, kLengthBytes));
  RM_RETURN_IF_ERROR(file->Write(text.data(), text.size()));
  for (const NamedTensor& tensor : tensors) {
    RM_RETURN_IF_ERROR(file->Write(tensor.values.data(), tensor.values.size() * kFloatBytes));
  }
  return file->Commit();
}

namespace {

absl::StatusOr<Safetensors> ReadFile(const std::string& path, const TensorPlace* place) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
  struct stat info {};
  if (file == nullptr || fstat(fileno(file.get()), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (!S_ISREG(info.st_mode)) return Bad(absl::StrCat(path, ": no regular file"));
  absl::StatusOr<Safetensors> result =
      ReadOpen(file.get(), static_cast<uint64_t>(info.st_size), place);
  if (!result.ok())
    return Annotate(result.status(), absl::StrCat(path, " is no weights file that can be used"));
  return result;
}

}  // namespace

absl::StatusOr<Safetensors> ReadSafetensors(const std::string& path) {
  return ReadSafetensorsTo(path, [](LoadedTensor* tensor, int64_t count) {
    tensor->values.resize(count);
    return absl::MakeSpan(tensor->values);
  });
}

absl::StatusOr<Safetensors> ReadSafetensorsHeader(const std::string& path) {
  return ReadFile(path, nullptr);
}

absl::StatusOr<Safetensors> ReadSafetensorsTo(const std::string& path, const TensorPlace& place) {
  return ReadFile(path, &place);
}

}  // namespace ringmaster
