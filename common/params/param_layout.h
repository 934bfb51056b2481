#ifndef RINGMASTER_COMMON_PARAMS_PARAM_LAYOUT_H_
#define RINGMASTER_COMMON_PARAMS_PARAM_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/base/partition.h"

namespace ringmaster {

class TrainingSpec;

// One parameter tensor in the arena.
struct Param {
  std::string name;            // "conv1.weight", as PyTorch would name it
  std::vector<int64_t> shape;  // linear [out, in], conv [out, in, kh, kw], bias [out]
  int64_t begin = 0;           // element of the arena
  int64_t count = 0;
  // A running statistic (of batch norm), not a trained weight: what travels as its gradient is the
  // batch's value, averaged over the workers like any gradient, and the update is running = 0.9 *
  // running + 0.1 * value.
  bool statistic = false;
};

// A slice of the arena that is exchanged as one unit.
struct Bucket {
  int32_t id = 0;
  int64_t begin = 0;  // elements of the arena
  int64_t count = 0;
  int64_t end() const { return begin + count; }
};

// What a bucket holds.
enum class BucketLayout {
  kCut,          // `bucket_elements`, the last one the rest; tensors are cut where a bucket ends
  kWholeTensors  // as many tensors as it takes to hold `bucket_elements` at least, the last one
                 // those that are left; an element's bucket is that of its whole tensor
};
// What training.bucket_layout asks for. Pure.
BucketLayout BucketLayoutOf(const TrainingSpec& training);

// One flat arena for all parameters, laid out in the order in which backward finishes them (last
// layer first) and divided into buckets, which have an element at least and are ready once backward
// has passed their ends. Immutable after construction; thread-safe.
class ParamLayout {
 public:
  // `params` in the order backward finishes them, with name, shape and `statistic` set; begin and
  // count are filled in here.
  ParamLayout(std::vector<Param> params, int64_t bucket_elements,
              BucketLayout bucket_layout = BucketLayout::kCut);

  absl::Span<const Param> params() const { return params_; }
  absl::Span<const Bucket> buckets() const { return buckets_; }
  // Elements of the whole arena.
  int64_t count() const { return count_; }
  // The elements that are running statistics: in ascending order, not overlapping, neighbours
  // joined. Mostly none.
  absl::Span<const Range> statistics() const { return statistics_; }
  // Of names, shapes, kinds and buckets: equal on all ranks of a run.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  std::vector<Param> params_;
  std::vector<Bucket> buckets_;
  std::vector<Range> statistics_;
  int64_t count_ = 0;
  uint64_t fingerprint_ = 0;
};

// The layouts of buckets, for `list`.
struct BucketLayoutInfo {
  const char* name;  // as training.bucket_layout has it
  const char* summary;
};
absl::Span<const BucketLayoutInfo> BucketLayouts();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_PARAMS_PARAM_LAYOUT_H_
