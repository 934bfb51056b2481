#include "worker/data/idx.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/data/data_file.h"

namespace ringmaster {
namespace {

constexpr uint32_t kImagesMagic = 2051;  // unsigned bytes, three dimensions
constexpr uint32_t kLabelsMagic = 2049;  // unsigned bytes, one dimension
constexpr int32_t kClasses = 10;
// Statistics of MNIST's training pixels; the field's customary figures.
constexpr float kPixelMean = 0.1307f;
constexpr float kPixelDeviation = 0.3081f;
// Larger images are no IDX set we know, but a damaged header.
constexpr uint32_t kMaxExtent = 4096;
constexpr char kRemedy[] = "run ./run once to fetch it, or point --data-dir at a folder that has it";

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// An open IDX file, positioned behind its header.
struct OpenIdx {
  File file;
  std::string path;
  std::vector<uint32_t> dimensions;  // [0] is the count of samples
};

absl::Status Damaged(absl::string_view path, absl::string_view found, absl::string_view expected) {
  return DamagedDataFile(path, found, expected, kRemedy);
}

uint32_t BigEndian(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

absl::Status CheckMagic(const std::string& path, const unsigned char* bytes, uint32_t magic) {
  if (bytes[0] == 0x1f && bytes[1] == 0x8b) {
    return Damaged(path, "a gzip file", absl::StrFormat("the uncompressed IDX file (magic number %d)", magic));
  }
  const uint32_t found = BigEndian(bytes);
  if (found == magic) return absl::OkStatus();
  return Damaged(path, absl::StrFormat("magic number %d", found),
                 absl::StrFormat("%d (IDX %s)", magic, magic == kImagesMagic ? "images" : "labels"));
}

// Opens `path` and checks everything that its header promises; `magic` decides the number of dimensions.
absl::StatusOr<OpenIdx> OpenChecked(const std::string& path, uint32_t magic) {
  RM_ASSIGN_OR_RETURN(const int64_t size, DataFileSize(path, kRemedy));
  OpenIdx idx{File(std::fopen(path.c_str(), "rb")), path, {}};
  if (idx.file == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("data file ", path, ": cannot be opened (", std::strerror(errno), "); ", kRemedy));
  }
  const size_t dimensions = magic == kImagesMagic ? 3 : 1;
  const size_t header_bytes = 4 * (1 + dimensions);
  std::array<unsigned char, 16> header{};
  if (std::fread(header.data(), 1, header_bytes, idx.file.get()) != header_bytes) {
    return Damaged(path, absl::StrCat(size, " bytes"),
                   absl::StrCat("at least the header's ", header_bytes, " bytes"));
  }
  RM_RETURN_IF_ERROR(CheckMagic(path, header.data(), magic));
  unsigned __int128 expected_bytes = 1;
  for (size_t d = 0; d < dimensions; ++d) {
    idx.dimensions.push_back(BigEndian(header.data() + 4 * (1 + d)));
    expected_bytes *= idx.dimensions.back();
    if (d > 0 && (idx.dimensions[d] == 0 || idx.dimensions[d] > kMaxExtent)) {
      return Damaged(path, absl::StrCat("an image extent of ", idx.dimensions[d]), absl::StrCat("1 to ", kMaxExtent));
    }
  }
  expected_bytes += header_bytes;
  if (idx.dimensions[0] == 0) return Damaged(path, "a count of 0 samples", "at least 1");
  if (expected_bytes != static_cast<unsigned __int128>(size)) {
    const bool short_file = static_cast<unsigned __int128>(size) < expected_bytes;
    return Damaged(path, absl::StrCat(size, " bytes (", short_file ? "truncated" : "oversized", ")"),
                   absl::StrCat(static_cast<uint64_t>(expected_bytes), " bytes for the ", idx.dimensions[0],
                                " samples that its header announces"));
  }
  return idx;
}

absl::StatusOr<std::vector<unsigned char>> ReadBody(const OpenIdx& idx, int64_t bytes) {
  std::vector<unsigned char> body(static_cast<size_t>(bytes));
  const size_t got = std::fread(body.data(), 1, body.size(), idx.file.get());
  if (got == body.size()) return body;
  return Damaged(idx.path, absl::StrCat("only ", got, " bytes behind its header"),
                 absl::StrCat(bytes, " readable bytes"));
}

struct OpenPair {
  OpenIdx images;
  std::vector<unsigned char> labels;  // all, checked
  IdxExtent extent;
};

absl::StatusOr<OpenPair> OpenBoth(const IdxPair& files) {
  OpenPair pair;
  RM_ASSIGN_OR_RETURN(pair.images, OpenChecked(files.images_path, kImagesMagic));
  RM_ASSIGN_OR_RETURN(const OpenIdx labels, OpenChecked(files.labels_path, kLabelsMagic));
  if (pair.images.dimensions[0] != labels.dimensions[0]) {
    return Damaged(files.labels_path, absl::StrCat(labels.dimensions[0], " labels"),
                   absl::StrCat(pair.images.dimensions[0], ", one for each image of ", files.images_path));
  }
  RM_ASSIGN_OR_RETURN(pair.labels, ReadBody(labels, labels.dimensions[0]));
  for (size_t i = 0; i < pair.labels.size(); ++i) {
    if (pair.labels[i] < kClasses) continue;
    return Damaged(files.labels_path, absl::StrFormat("label %d at sample %d", pair.labels[i], i),
                   absl::StrFormat("labels from 0 to %d", kClasses - 1));
  }
  pair.extent.count = pair.images.dimensions[0];
  pair.extent.shape = {1, static_cast<int32_t>(pair.images.dimensions[1]),
                       static_cast<int32_t>(pair.images.dimensions[2]), kClasses};
  return pair;
}

}  // namespace

IdxPair MnistTrainFiles(absl::string_view dir) {
  return {absl::StrCat(dir, "/train-images-idx3-ubyte"), absl::StrCat(dir, "/train-labels-idx1-ubyte")};
}

IdxPair MnistTestFiles(absl::string_view dir) {
  return {absl::StrCat(dir, "/t10k-images-idx3-ubyte"), absl::StrCat(dir, "/t10k-labels-idx1-ubyte")};
}

absl::StatusOr<IdxExtent> InspectIdx(const IdxPair& files) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files));
  return pair.extent;
}

absl::StatusOr<Samples> LoadIdx(const IdxPair& files, int64_t limit) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files));
  RM_CHECK(limit > 0 && limit <= pair.extent.count);
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> pixels,
                      ReadBody(pair.images, limit * pair.extent.shape.features()));
  Samples samples;
  samples.shape = pair.extent.shape;
  samples.labels.assign(pair.labels.begin(), pair.labels.begin() + limit);
  std::array<float, 256> normalized;
  for (int x = 0; x < 256; ++x) normalized[x] = (static_cast<float>(x) / 255.0f - kPixelMean) / kPixelDeviation;
  samples.features.resize(pixels.size());
  std::transform(pixels.begin(), pixels.end(), samples.features.begin(),
                 [&](unsigned char x) { return normalized[x]; });
  return samples;
}

}  // namespace ringmaster
