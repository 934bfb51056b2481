#include "common/checkpoint/checkpoint.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/formats/atomic_file.h"

namespace ringmaster {
namespace {

#ifndef ABSL_IS_LITTLE_ENDIAN
#error "checkpoints are written as numbers lie in memory: little-endian"
#endif

// A line feed that a transfer as text would change.
constexpr absl::string_view kMagic = "RMCKPT\r\n";
constexpr uint32_t kVersion = 2;
constexpr size_t kChecksumBytes = sizeof(uint64_t);
// Magic, version and length.
constexpr size_t kPrefixBytes = 8 + sizeof(uint32_t) + sizeof(uint64_t);

enum class EntryKind : uint8_t { kFloats = 0, kIntegers = 1, kInteger = 2 };

absl::string_view BytesOf(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

// Where the parts of a file go, one after the other.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual absl::Status Add(absl::string_view bytes) = 0;
};

class Length final : public Sink {
 public:
  absl::Status Add(absl::string_view bytes) override {
    bytes_ += bytes.size();
    return absl::OkStatus();
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
};

// A file, and the checksum of what is in it so far.
class SummedFile final : public Sink {
 public:
  explicit SummedFile(AtomicFile& file) : file_(file) {}
  absl::Status Add(absl::string_view bytes) override {
    sum_.Add(bytes);
    return file_.Write(bytes.data(), bytes.size());
  }
  uint64_t Finish() { return sum_.Finish(); }

 private:
  AtomicFile& file_;
  FingerprintStream sum_;
};

template <typename Number>
absl::Status AddNumber(Number number, Sink* sink) {
  static_assert(std::is_arithmetic_v<Number>);
  return sink->Add(BytesOf(&number, sizeof(number)));
}

absl::Status AddText(absl::string_view text, Sink* sink) {
  RM_RETURN_IF_ERROR(AddNumber<uint64_t>(text.size(), sink));
  return sink->Add(text);
}

template <typename Number>
absl::Status AddNumbers(EntryKind kind, const std::vector<Number>& numbers, Sink* sink) {
  RM_RETURN_IF_ERROR(AddNumber(static_cast<uint8_t>(kind), sink));
  RM_RETURN_IF_ERROR(AddNumber<uint64_t>(numbers.size(), sink));
  return sink->Add(BytesOf(numbers.data(), numbers.size() * sizeof(Number)));
}

absl::Status AddValue(const State::Value& value, Sink* sink) {
  if (const auto* floats = std::get_if<std::vector<float>>(&value))
    return AddNumbers(EntryKind::kFloats, *floats, sink);
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&value))
    return AddNumbers(EntryKind::kIntegers, *integers, sink);
  RM_RETURN_IF_ERROR(AddNumber(static_cast<uint8_t>(EntryKind::kInteger), sink));
  return AddNumber(std::get<int64_t>(value), sink);
}

// All between the prefix and the checksum.
absl::Status AddBody(const Checkpoint& checkpoint, Sink* sink) {
  const CheckpointHeader& header = checkpoint.header;
  RM_RETURN_IF_ERROR(AddText(header.run, sink));
  RM_RETURN_IF_ERROR(AddNumber(header.inputs, sink));
  RM_RETURN_IF_ERROR(AddNumber(header.writer, sink));
  RM_RETURN_IF_ERROR(AddNumber(header.step, sink));
  RM_RETURN_IF_ERROR(AddNumber(header.nodes, sink));
  RM_RETURN_IF_ERROR(AddText(header.node, sink));
  RM_RETURN_IF_ERROR(AddText(checkpoint.report, sink));
  RM_RETURN_IF_ERROR(AddNumber<uint64_t>(checkpoint.state.entries().size(), sink));
  for (const State::Entry& entry : checkpoint.state.entries()) {
    RM_RETURN_IF_ERROR(AddText(entry.name, sink));
    RM_RETURN_IF_ERROR(AddValue(entry.value, sink));
  }
  return absl::OkStatus();
}

// Takes numbers and texts from the front of bytes that may hold anything.
class Source {
 public:
  explicit Source(absl::string_view bytes) : left_(bytes) {}

  template <typename Number>
  absl::Status Take(Number* number) {
    if (left_.size() < sizeof(Number)) return Missing(sizeof(Number));
    std::memcpy(number, left_.data(), sizeof(Number));
    left_.remove_prefix(sizeof(Number));
    return absl::OkStatus();
  }

  absl::Status TakeText(std::string* text) {
    uint64_t size = 0;
    RM_RETURN_IF_ERROR(Take(&size));
    if (size > left_.size()) return Missing(size);
    *text = std::string(left_.substr(0, size));
    left_.remove_prefix(size);
    return absl::OkStatus();
  }

  template <typename Number>
  absl::Status TakeNumbers(std::vector<Number>* numbers) {
    uint64_t count = 0;
    RM_RETURN_IF_ERROR(Take(&count));
    if (count > left_.size() / sizeof(Number)) return Missing(count);
    numbers->resize(count);
    if (count > 0) std::memcpy(numbers->data(), left_.data(), count * sizeof(Number));
    left_.remove_prefix(count * sizeof(Number));
    return absl::OkStatus();
  }

  size_t left() const { return left_.size(); }

 private:
  absl::Status Missing(uint64_t wanted) const {
    return absl::InvalidArgumentError(absl::StrCat(
        "it says that ", wanted, " elements follow where ", left_.size(), " bytes are left"));
  }

  absl::string_view left_;
};

absl::Status TakeEntry(Source* source, std::set<std::string>* names, State* state) {
  std::string name;
  RM_RETURN_IF_ERROR(source->TakeText(&name));
  if (name.empty() || !names->insert(name).second)
    return absl::InvalidArgumentError("an entry of the state has no name, or that of another");
  uint8_t kind = 0;
  RM_RETURN_IF_ERROR(source->Take(&kind));
  switch (static_cast<EntryKind>(kind)) {
    case EntryKind::kFloats: {
      std::vector<float> floats;
      RM_RETURN_IF_ERROR(source->TakeNumbers(&floats));
      state->AddFloats(name, floats);
      return absl::OkStatus();
    }
    case EntryKind::kIntegers: {
      std::vector<int64_t> integers;
      RM_RETURN_IF_ERROR(source->TakeNumbers(&integers));
      state->AddIntegers(name, integers);
      return absl::OkStatus();
    }
    case EntryKind::kInteger: {
      int64_t integer = 0;
      RM_RETURN_IF_ERROR(source->Take(&integer));
      state->AddInteger(name, integer);
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("an entry of the state is of kind ", kind, ", which nobody knows"));
}

absl::StatusOr<Checkpoint> ParseBody(absl::string_view body) {
  Source source(body);
  Checkpoint checkpoint;
  CheckpointHeader& header = checkpoint.header;
  RM_RETURN_IF_ERROR(source.TakeText(&header.run));
  RM_RETURN_IF_ERROR(source.Take(&header.inputs));
  RM_RETURN_IF_ERROR(source.Take(&header.writer));
  RM_RETURN_IF_ERROR(source.Take(&header.step));
  RM_RETURN_IF_ERROR(source.Take(&header.nodes));
  RM_RETURN_IF_ERROR(source.TakeText(&header.node));
  RM_RETURN_IF_ERROR(source.TakeText(&checkpoint.report));
  uint64_t entries = 0;
  RM_RETURN_IF_ERROR(source.Take(&entries));
  std::set<std::string> names;
  for (uint64_t entry = 0; entry < entries; ++entry)
    RM_RETURN_IF_ERROR(TakeEntry(&source, &names, &checkpoint.state));
  if (source.left() > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.left(), " bytes follow the last entry of its state"));
  }
  return checkpoint;
}

// Whether a file of `size` bytes begins, `prefix`, like a whole checkpoint of that length.
absl::Status CheckPrefix(absl::string_view prefix, uint64_t size) {
  if (prefix.substr(0, kMagic.size()) != kMagic.substr(0, prefix.size()) || prefix.empty())
    return absl::InvalidArgumentError("it is no checkpoint: it does not begin like one");
  if (size < kPrefixBytes + kChecksumBytes) {
    return absl::DataLossError(
        absl::StrCat("it was cut off: it has ", size, " bytes, fewer than any checkpoint"));
  }
  uint32_t version = 0;
  std::memcpy(&version, prefix.data() + kMagic.size(), sizeof(version));
  if (version != kVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it has version ", version, " of the format, and this program knows ", kVersion));
  }
  uint64_t length = 0;
  std::memcpy(&length, prefix.data() + kMagic.size() + sizeof(version), sizeof(length));
  if (length == size) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(size < length ? "it was cut off" : "something was added to it", ": it has ",
                   size, " bytes and says that it has ", length));
}

// What stands between the prefix and the checksum, of a file that begins as it should.
absl::StatusOr<absl::string_view> CheckSum(absl::string_view bytes) {
  uint64_t stored = 0;
  std::memcpy(&stored, bytes.data() + bytes.size() - kChecksumBytes, kChecksumBytes);
  bytes.remove_suffix(kChecksumBytes);
  const uint64_t own = Fingerprint64(bytes);
  if (own != stored) {
    return absl::DataLossError(absl::StrFormat(
        "it is torn, or bytes of it were changed: their checksum is %016x, and it says %016x", own,
        stored));
  }
  bytes.remove_prefix(kPrefixBytes);
  return bytes;
}

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  // Before it is opened: a pipe would wait for who writes.
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return SystemError(errno, "cannot read it");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("it is no file");
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) return SystemError(errno, "cannot read it");
  const auto size = static_cast<size_t>(info.st_size);
  std::string bytes(std::min(size, kPrefixBytes), '\0');
  if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
    return SystemError(errno, "cannot read it");
  RM_RETURN_IF_ERROR(CheckPrefix(bytes, size));
  bytes.resize(size);
  const size_t left = size - kPrefixBytes;
  if (std::fread(bytes.data() + kPrefixBytes, 1, left, file.get()) != left)
    return SystemError(errno, "cannot read it");
  return bytes;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint) {
  Length body;
  RM_RETURN_IF_ERROR(AddBody(checkpoint, &body));
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  SummedFile sink(*file);
  RM_RETURN_IF_ERROR(sink.Add(kMagic));
  RM_RETURN_IF_ERROR(AddNumber(kVersion, &sink));
  RM_RETURN_IF_ERROR(AddNumber<uint64_t>(kPrefixBytes + body.bytes() + kChecksumBytes, &sink));
  RM_RETURN_IF_ERROR(AddBody(checkpoint, &sink));
  const uint64_t checksum = sink.Finish();
  RM_RETURN_IF_ERROR(file->Write(&checksum, sizeof(checksum)));
  return file->Commit();
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  const auto read = [&path]() -> absl::StatusOr<Checkpoint> {
    RM_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(path));
    RM_ASSIGN_OR_RETURN(const absl::string_view body, CheckSum(bytes));
    return ParseBody(body);
  };
  absl::StatusOr<Checkpoint> checkpoint = read();
  if (!checkpoint.ok()) return Annotate(checkpoint.status(), absl::StrCat("checkpoint ", path));
  return checkpoint;
}

}  // namespace ringmaster
