#include "experiments/program/run/programs/description.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// Behind it: the bytes of a RunRecord with spec and fingerprint (their number first), and floats.
constexpr absl::string_view kMagic = "ringmaster program 1\n";

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.is_open() && !file.bad()) return bytes;
  return absl::NotFoundError(
      absl::StrCat("cannot read ", path, ", which the program says it is made of"));
}

std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string ShapeText(const TensorSpec& tensor) {
  return absl::StrCat("[", absl::StrJoin(tensor.shape(), ","), "]");
}

absl::Status CheckTensor(int i, const TensorSpec& own, const TensorSpec& expected) {
  if (own.name() != expected.name()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", i, " of this program is \"", own.name(), "\", and the spec has \"",
                     expected.name(), "\" there; all ranks train the same tensors in one order"));
  }
  if (std::equal(own.shape().begin(), own.shape().end(), expected.shape().begin(),
                 expected.shape().end())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "tensor \"", own.name(), "\" of this program has the shape ", ShapeText(own),
      ", and the spec has ", ShapeText(expected), "; all ranks train tensors of the same shapes"));
}

}  // namespace

std::string SerializeDescription(const ProgramDescription& description) {
  RunRecord record;
  *record.mutable_spec()->mutable_model()->mutable_program() = description.model;
  *record.mutable_spec()->mutable_data()->mutable_program() = description.data;
  record.add_reports()->mutable_inputs()->set_program(description.fingerprint);
  const std::string header = record.SerializeAsString();
  const auto size = static_cast<int64_t>(header.size());
  std::string bytes(kMagic);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
  bytes.append(header);
  bytes.append(reinterpret_cast<const char*>(description.weights.data()),
               description.weights.size() * sizeof(float));
  return bytes;
}

absl::StatusOr<ProgramDescription> ParseDescription(absl::string_view bytes) {
  const auto damaged = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("its description has ", bytes.size(), " bytes and is not whole"));
  };
  int64_t size = 0;
  const size_t start = kMagic.size() + sizeof(size);
  if (bytes.size() < start || bytes.substr(0, kMagic.size()) != kMagic) return damaged();
  std::memcpy(&size, bytes.data() + kMagic.size(), sizeof(size));
  if (size < 0 || static_cast<size_t>(size) > bytes.size() - start) return damaged();
  RunRecord record;
  if (!record.ParseFromArray(bytes.data() + start, static_cast<int>(size)) ||
      record.reports_size() != 1) {
    return damaged();
  }
  const absl::string_view floats = bytes.substr(start + size);
  ProgramDescription description;
  description.model = record.spec().model().program();
  description.data = record.spec().data().program();
  description.fingerprint = record.reports(0).inputs().program();
  description.weights.resize(floats.size() / sizeof(float));
  if (floats.size() % sizeof(float) != 0) return damaged();
  if (!floats.empty()) std::memcpy(description.weights.data(), floats.data(), floats.size());
  return description;
}

absl::StatusOr<std::string> FingerprintOfFiles(std::vector<std::string> paths) {
  std::vector<std::string> lines;
  for (const std::string& path : paths) {
    RM_ASSIGN_OR_RETURN(const std::string content, ReadWhole(path));
    lines.push_back(absl::StrCat(NameOf(path), " ", Sha256Hex(content)));
  }
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return Sha256Hex(absl::StrJoin(lines, "\n"));
}

absl::Status CheckDescription(const ProgramDescription& described, const RunSpec& spec) {
  const auto& own = described.model.tensors();
  const auto& expected = spec.model().program().tensors();
  for (int i = 0; i < std::min(own.size(), expected.size()); ++i)
    RM_RETURN_IF_ERROR(CheckTensor(i, own[i], expected[i]));
  if (own.size() != expected.size()) {
    const bool has_more = own.size() > expected.size();
    const TensorSpec& first = has_more ? own[expected.size()] : expected[own.size()];
    return absl::InvalidArgumentError(absl::StrCat(
        "this program trains ", own.size(), " tensors, and the spec has ", expected.size(), "; \"",
        first.name(), "\" is the first that only ", has_more ? "the program" : "the spec", " has"));
  }
  const ProgramDataSpec& data = spec.data().program();
  if (described.data.train_samples() == data.train_samples() &&
      described.data.test_samples() == data.test_samples()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "this program has ", described.data.train_samples(), " training and ",
      described.data.test_samples(), " test samples, and the spec has ", data.train_samples(),
      " and ", data.test_samples(), "; all ranks have the same data"));
}

}  // namespace ringmaster
