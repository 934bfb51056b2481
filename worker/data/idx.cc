#include "worker/data/idx.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/data/data_file.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {
namespace {

constexpr uint32_t kImagesMagic = 2051;  // unsigned bytes, three dimensions
constexpr uint32_t kLabelsMagic = 2049;  // unsigned bytes, one dimension
constexpr int32_t kClasses = 10;
// Statistics of MNIST's training pixels; the field's customary figures.
constexpr PixelStatistics kStatistics{0.1307f, 0.3081f};
// Larger images are no IDX set we know, but a damaged header.
constexpr uint32_t kMaxExtent = 4096;
constexpr DataRemedy kRemedy = {
    "point --data-dir at a folder that has it",
    "put a sound copy in its place, or point --data-dir at a folder that has one"};

// An open IDX file, positioned behind its header.
struct OpenIdx {
  DataFile file;
  std::string path;
  std::vector<uint32_t> dimensions;  // [0] is the count of samples
  int64_t body_bytes = 0;
};

absl::Status Damaged(absl::string_view path, absl::string_view found, absl::string_view expected) {
  return DamagedDataFile(path, found, expected, kRemedy.damaged);
}

uint32_t BigEndian(const unsigned char* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 |
         uint32_t{bytes[3]};
}

// `path`, or its twin in gzip where that is all there is.
std::string PlainOrCompressed(const std::string& path) {
  const std::string compressed = absl::StrCat(path, ".gz");
  const bool only_compressed = absl::IsNotFound(DataFileSize(path, kRemedy).status()) &&
                               DataFileSize(compressed, kRemedy).ok();
  return only_compressed ? compressed : path;
}

// The dimensions behind a header's magic number.
absl::StatusOr<std::vector<uint32_t>> ReadDimensions(const std::string& path, uint32_t magic,
                                                     DataFile* file) {
  const size_t count = magic == kImagesMagic ? 3 : 1;
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> header,
                      file->Read(static_cast<int64_t>(4 * (1 + count))));
  const uint32_t found = BigEndian(header.data());
  if (found != magic) {
    return Damaged(
        path, absl::StrFormat("magic number %d", found),
        absl::StrFormat("%d (IDX %s)", magic, magic == kImagesMagic ? "images" : "labels"));
  }
  std::vector<uint32_t> dimensions;
  for (size_t d = 0; d < count; ++d) {
    dimensions.push_back(BigEndian(header.data() + 4 * (1 + d)));
    if (d > 0 && (dimensions[d] == 0 || dimensions[d] > kMaxExtent)) {
      return Damaged(path, absl::StrCat("an image extent of ", dimensions[d]),
                     absl::StrCat("1 to ", kMaxExtent));
    }
  }
  if (dimensions[0] == 0) return Damaged(path, "a count of 0 samples", "at least 1");
  return dimensions;
}

// Opens `plain_path`, or its twin in gzip, and checks everything that its header promises; `magic`
// decides the number of dimensions.
absl::StatusOr<OpenIdx> OpenChecked(const std::string& plain_path, uint32_t magic) {
  const std::string path = PlainOrCompressed(plain_path);
  RM_ASSIGN_OR_RETURN(DataFile file, DataFile::Open(path, kRemedy));
  RM_ASSIGN_OR_RETURN(std::vector<uint32_t> dimensions, ReadDimensions(path, magic, &file));
  unsigned __int128 body_bytes = 1;
  for (const uint32_t extent : dimensions) body_bytes *= extent;
  RM_RETURN_IF_ERROR(file.ExpectSize(
      body_bytes + 4 * (1 + dimensions.size()),
      absl::StrCat(" for the ", dimensions[0], " samples that its header announces")));
  return OpenIdx{std::move(file), path, std::move(dimensions), static_cast<int64_t>(body_bytes)};
}

struct OpenPair {
  OpenIdx images;
  std::vector<unsigned char> labels;  // all, checked
  IdxExtent extent;
};

absl::StatusOr<OpenPair> OpenBoth(const IdxPair& files) {
  RM_ASSIGN_OR_RETURN(OpenIdx images, OpenChecked(files.images_path, kImagesMagic));
  RM_ASSIGN_OR_RETURN(OpenIdx labels, OpenChecked(files.labels_path, kLabelsMagic));
  if (images.dimensions[0] != labels.dimensions[0]) {
    return Damaged(labels.path, absl::StrCat(labels.dimensions[0], " labels"),
                   absl::StrCat(images.dimensions[0], ", one for each image of ", images.path));
  }
  RM_ASSIGN_OR_RETURN(std::vector<unsigned char> values, labels.file.Read(labels.body_bytes));
  RM_RETURN_IF_ERROR(labels.file.ExpectEnd());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < kClasses) continue;
    return Damaged(labels.path, absl::StrFormat("label %d at sample %d", values[i], i),
                   absl::StrFormat("labels from 0 to %d", kClasses - 1));
  }
  IdxExtent extent;
  extent.count = images.dimensions[0];
  extent.shape = {1, static_cast<int32_t>(images.dimensions[1]),
                  static_cast<int32_t>(images.dimensions[2]), kClasses};
  return OpenPair{std::move(images), std::move(values), extent};
}

}  // namespace

IdxPair MnistTrainFiles(absl::string_view dir) {
  return {absl::StrCat(dir, "/train-images-idx3-ubyte"),
          absl::StrCat(dir, "/train-labels-idx1-ubyte")};
}

IdxPair MnistTestFiles(absl::string_view dir) {
  return {absl::StrCat(dir, "/t10k-images-idx3-ubyte"),
          absl::StrCat(dir, "/t10k-labels-idx1-ubyte")};
}

absl::StatusOr<IdxExtent> InspectIdx(const IdxPair& files) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files));
  return pair.extent;
}

absl::StatusOr<Samples> LoadIdx(const IdxPair& files, int64_t limit, DatasetPart part) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files));
  RM_CHECK(limit > 0 && limit <= pair.extent.count);
  const int64_t bytes = limit * pair.extent.shape.features();
  Samples samples;
  samples.shape = pair.extent.shape;
  samples.labels.assign(pair.labels.begin(), pair.labels.begin() + limit);
  if (part == DatasetPart::kLabels) return samples;
  RM_ASSIGN_OR_RETURN(samples.pixels, pair.images.file.Read(bytes));
  RM_RETURN_IF_ERROR(pair.images.file.ExpectEnd(pair.images.body_bytes - bytes));
  samples.pixel_values = PixelValues({kStatistics});
  return samples;
}

}  // namespace ringmaster
