#ifndef RINGMASTER_COMMON_FORMATS_SAFETENSORS_H_
#define RINGMASTER_COMMON_FORMATS_SAFETENSORS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

// .safetensors files, written with float32 tensors: 8 bytes with the header's length, the header
// (JSON: name -> dtype, shape, data_offsets; "__metadata__": strings), then the tensors' bytes
// without gaps. Source: the format's description at github.com/huggingface/safetensors.

// A longer header is refused, as other readers do.
inline constexpr int64_t kSafetensorsHeaderBytesMax = 100'000'000;

// A tensor to write; borrows its values.
struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  absl::Span<const float> values;
};

// A tensor read.
struct LoadedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
  std::string dtype = "F32";  // of the file: F16 and BF16 have been converted, exactly
};

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::vector<LoadedTensor> tensors;  // in the order of their bytes
  // names of the batch counters of PyTorch's batch norms, which are not read
  std::vector<std::string> counters;
};

// Writes the tensors in their order, atomically (AtomicFile). Each has as many values as its shape
// says; names are unique, UTF-8, and none is "__metadata__".
absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, std::string>& metadata,
                              absl::Span<const NamedTensor> tensors);

// Reads a file and trusts nothing in it. InvalidArgument names the file, the tensor and what is
// wrong: a header beyond the file or kSafetensorsHeaderBytesMax, text that is no JSON object,
// duplicate names, unknown fields, another dtype than F32, F16 and BF16 (but for int64 scalars
// called num_batches_tracked, which are left out), a shape that overflows or does not fit its
// bytes, offsets that overlap, leave a gap or pass the end, a value that is not finite. NotFound:
// no such file. Memory is in proportion to the file. Thread-safe.
absl::StatusOr<Safetensors> ReadSafetensors(const std::string& path);

// What its header says: the tensors have no values. Otherwise as ReadSafetensors.
absl::StatusOr<Safetensors> ReadSafetensorsHeader(const std::string& path);

// Where the `count` values of a tensor go, its other fields known: a span of that length, which
// outlives the reading. One within the tensor's own `values`, for those that have no other place.
using TensorPlace = std::function<absl::Span<float>(LoadedTensor* tensor, int64_t count)>;

// As ReadSafetensors, with the values at their places. After an error these have been written to.
absl::StatusOr<Safetensors> ReadSafetensorsTo(const std::string& path, const TensorPlace& place);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_FORMATS_SAFETENSORS_H_
