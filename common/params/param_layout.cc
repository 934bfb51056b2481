#include "common/params/param_layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/fingerprint.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

std::vector<Bucket> CutBuckets(int64_t count, int64_t bucket_elements) {
  std::vector<Bucket> buckets;
  for (int64_t begin = 0; begin < count; begin += bucket_elements) {
    const int32_t id = static_cast<int32_t>(buckets.size());
    buckets.push_back({id, begin, std::min(bucket_elements, count - begin)});
  }
  return buckets;
}

std::vector<Bucket> WholeTensorBuckets(absl::Span<const Param> params, int64_t bucket_elements) {
  std::vector<Bucket> buckets;
  for (const Param& param : params) {
    if (param.count == 0) continue;
    if (buckets.empty() || buckets.back().count >= bucket_elements) {
      buckets.push_back({static_cast<int32_t>(buckets.size()), param.begin, 0});
    }
    buckets.back().count += param.count;
  }
  return buckets;
}

}  // namespace

BucketLayout BucketLayoutOf(const TrainingSpec& training) {
  return training.bucket_layout() == TrainingSpec::WHOLE_TENSORS ? BucketLayout::kWholeTensors
                                                                 : BucketLayout::kCut;
}

ParamLayout::ParamLayout(std::vector<Param> params, int64_t bucket_elements,
                         BucketLayout bucket_layout)
    : params_(std::move(params)) {
  RM_CHECK(bucket_elements > 0);
  std::string identity;
  for (Param& param : params_) {
    param.begin = count_;
    param.count = 1;
    for (int64_t extent : param.shape) param.count *= extent;
    count_ += param.count;
    absl::StrAppend(&identity, param.name, "[", absl::StrJoin(param.shape, ","), "]",
                    param.statistic ? "~" : "");
    if (!param.statistic || param.count == 0) continue;
    if (!statistics_.empty() && statistics_.back().end() == param.begin) {
      statistics_.back().count += param.count;
    } else {
      statistics_.push_back({param.begin, param.count});
    }
  }
  const bool whole = bucket_layout == BucketLayout::kWholeTensors;
  buckets_ =
      whole ? WholeTensorBuckets(params_, bucket_elements) : CutBuckets(count_, bucket_elements);
  absl::StrAppend(&identity, "|", bucket_elements, whole ? "|whole" : "");
  fingerprint_ = Fingerprint64(identity);
}

absl::Span<const BucketLayoutInfo> BucketLayouts() {
  static constexpr BucketLayoutInfo kLayouts[] = {
      {"CUT", "buckets of training.bucket_bytes, which cut tensors: the default"},
      {"WHOLE_TENSORS", "buckets of whole tensors, of training.bucket_bytes or more together"},
  };
  return kLayouts;
}

}  // namespace ringmaster
