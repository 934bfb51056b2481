#include "worker/data/idx.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/data/data_file.h"
#include "worker/data/pixel_values.h"

namespace ringmaster {
namespace {

constexpr uint32_t kImagesMagic = 2051;     // unsigned bytes, three dimensions
constexpr uint32_t kLabelsMagic = 2049;     // unsigned bytes, one dimension
constexpr uint32_t kLabelRowsMagic = 3074;  // numbers of 32 bits, two dimensions: QMNIST's
constexpr int32_t kSmallClasses = 10;       // a set of fewer classes may lack any of them
constexpr int64_t kReadAtOnce = int64_t{1} << 20;
// Larger images are no IDX set we know, but a damaged header.
constexpr uint32_t kMaxExtent = 4096;
constexpr DataRemedy kRemedy = {
    "point --data-dir at a folder that has it",
    "put a sound copy in its place, or point --data-dir at a folder that has one"};

// An open IDX file, positioned behind its header.
struct OpenIdx {
  DataFile file;
  std::string path;
  uint32_t magic = 0;
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

// What a file of that kind begins with.
struct IdxKind {
  const char* what;
  std::vector<uint32_t> magics;  // the usual one first
};

int64_t DimensionCount(uint32_t magic) { return magic & 0xff; }
int64_t ElementBytes(uint32_t magic) { return magic == kLabelRowsMagic ? 4 : 1; }

absl::StatusOr<uint32_t> ReadMagic(const std::string& path, const IdxKind& kind, DataFile* file) {
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> bytes, file->Read(4));
  const uint32_t found = BigEndian(bytes.data());
  if (std::count(kind.magics.begin(), kind.magics.end(), found) > 0) return found;
  return Damaged(path, absl::StrFormat("magic number %d", found),
                 absl::StrCat(absl::StrJoin(kind.magics, " or "), " (IDX ", kind.what, ")"));
}

// The dimensions behind a header's magic number.
absl::StatusOr<std::vector<uint32_t>> ReadDimensions(const std::string& path, uint32_t magic,
                                                     DataFile* file) {
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> header,
                      file->Read(4 * DimensionCount(magic)));
  std::vector<uint32_t> dimensions;
  for (int64_t d = 0; d < DimensionCount(magic); ++d) {
    dimensions.push_back(BigEndian(header.data() + 4 * d));
    if (d > 0 && (dimensions[d] == 0 || dimensions[d] > kMaxExtent)) {
      return Damaged(path,
                     absl::StrCat(magic == kImagesMagic ? "an image extent of " : "label rows of ",
                                  dimensions[d]),
                     absl::StrCat("1 to ", kMaxExtent));
    }
  }
  if (dimensions[0] == 0) return Damaged(path, "a count of 0 samples", "at least 1");
  return dimensions;
}

// Opens `plain_path`, or its twin in gzip, and checks everything that its header promises; the
// magic number decides the number of dimensions and the size of an element.
absl::StatusOr<OpenIdx> OpenChecked(const std::string& plain_path, const IdxKind& kind) {
  const std::string path = PlainOrCompressed(plain_path);
  RM_ASSIGN_OR_RETURN(DataFile file, DataFile::Open(path, kRemedy));
  RM_ASSIGN_OR_RETURN(const uint32_t magic, ReadMagic(path, kind, &file));
  RM_ASSIGN_OR_RETURN(std::vector<uint32_t> dimensions, ReadDimensions(path, magic, &file));
  unsigned __int128 body_bytes = static_cast<unsigned __int128>(ElementBytes(magic));
  for (const uint32_t extent : dimensions) body_bytes *= extent;
  RM_RETURN_IF_ERROR(file.ExpectSize(
      body_bytes + 4 * (1 + dimensions.size()),
      absl::StrCat(" for the ", dimensions[0], " samples that its header announces")));
  return OpenIdx{std::move(file), path, magic, std::move(dimensions),
                 static_cast<int64_t>(body_bytes)};
}

// All labels of the file, to its end. A number that no class can have is an error.
absl::StatusOr<std::vector<int32_t>> ReadLabels(OpenIdx* labels) {
  RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> body, labels->file.Read(labels->body_bytes));
  RM_RETURN_IF_ERROR(labels->file.ExpectEnd());
  if (labels->magic == kLabelsMagic) return std::vector<int32_t>(body.begin(), body.end());
  const int64_t row_bytes = 4 * int64_t{labels->dimensions[1]};
  std::vector<int32_t> values;
  for (int64_t i = 0; i < labels->dimensions[0]; ++i) {
    values.push_back(static_cast<int32_t>(BigEndian(body.data() + i * row_bytes)));
    if (values.back() >= 0) continue;
    return Damaged(labels->path, absl::StrCat("label ", values.back(), " at sample ", i),
                   "labels from 0 on");
  }
  return values;
}

// How many classes the labels are of.
absl::StatusOr<int32_t> CountClasses(const std::string& path, const std::vector<int32_t>& labels,
                                     const IdxClasses& classes) {
  const auto largest = std::max_element(labels.begin(), labels.end());
  const int64_t sample = largest - labels.begin();
  if (classes.count) {
    if (*largest < *classes.count) return *classes.count;
    const auto first = std::find_if(labels.begin(), labels.end(),
                                    [&](int32_t label) { return label >= *classes.count; });
    return Damaged(path, absl::StrCat("label ", *first, " at sample ", first - labels.begin()),
                   absl::StrCat("labels from 0 to ", *classes.count - 1, classes.reason));
  }
  const size_t filled = std::set<int32_t>(labels.begin(), labels.end()).size();
  if (*largest < kSmallClasses || static_cast<size_t>(*largest) < 2 * filled) return *largest + 1;
  return Damaged(path,
                 absl::StrCat("label ", *largest, " at sample ", sample, ", but only ", filled,
                              " different labels"),
                 absl::StrCat("samples of most classes (if it is right, set data.classes=",
                              int64_t{*largest} + 1, ")"));
}

struct OpenPair {
  OpenIdx images;
  std::vector<int32_t> labels;  // all, checked
  IdxExtent extent;
};

absl::StatusOr<OpenPair> OpenBoth(const IdxPair& files, const IdxClasses& classes) {
  RM_ASSIGN_OR_RETURN(OpenIdx images, OpenChecked(files.images_path, {"images", {kImagesMagic}}));
  RM_ASSIGN_OR_RETURN(OpenIdx labels,
                      OpenChecked(files.labels_path, {"labels", {kLabelsMagic, kLabelRowsMagic}}));
  if (images.dimensions[0] != labels.dimensions[0]) {
    return Damaged(labels.path, absl::StrCat(labels.dimensions[0], " labels"),
                   absl::StrCat(images.dimensions[0], ", one for each image of ", images.path));
  }
  RM_ASSIGN_OR_RETURN(std::vector<int32_t> values, ReadLabels(&labels));
  RM_ASSIGN_OR_RETURN(const int32_t count, CountClasses(labels.path, values, classes));
  IdxExtent extent;
  extent.count = images.dimensions[0];
  extent.shape = {1, static_cast<int32_t>(images.dimensions[1]),
                  static_cast<int32_t>(images.dimensions[2]), count};
  return OpenPair{std::move(images), std::move(values), extent};
}

// Of the pixels read so far and all that follow.
absl::StatusOr<PixelStatistics> StatisticsOf(absl::Span<const unsigned char> read, int64_t left,
                                             DataFile* file) {
  PixelSums sums;
  sums.Add(read);
  while (left > 0) {
    RM_ASSIGN_OR_RETURN(const std::vector<unsigned char> more,
                        file->Read(std::min(left, kReadAtOnce)));
    sums.Add(more);
    left -= static_cast<int64_t>(more.size());
  }
  return sums.Statistics();
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

absl::StatusOr<IdxExtent> InspectIdx(const IdxPair& files, const IdxClasses& classes) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files, classes));
  return pair.extent;
}

absl::StatusOr<Samples> LoadIdx(const IdxPair& files, const IdxWanted& wanted) {
  RM_ASSIGN_OR_RETURN(OpenPair pair, OpenBoth(files, wanted.classes));
  RM_CHECK(wanted.limit > 0 && wanted.limit <= pair.extent.count && wanted.statistics != nullptr);
  const int64_t bytes = wanted.limit * pair.extent.shape.features();
  Samples samples;
  samples.shape = pair.extent.shape;
  samples.labels = std::move(pair.labels);
  samples.labels.resize(wanted.limit);
  if (wanted.part == DatasetPart::kLabels) return samples;
  DataFile& file = pair.images.file;
  RM_ASSIGN_OR_RETURN(samples.pixels, file.Read(bytes));
  int64_t left = pair.images.body_bytes - bytes;
  if (wanted.statistics->empty()) {
    RM_ASSIGN_OR_RETURN(const PixelStatistics own, StatisticsOf(samples.pixels, left, &file));
    wanted.statistics->push_back(own);
    left = 0;
  }
  RM_RETURN_IF_ERROR(file.ExpectEnd(left));
  samples.pixel_values = PixelValues(*wanted.statistics);
  return samples;
}

}  // namespace ringmaster
