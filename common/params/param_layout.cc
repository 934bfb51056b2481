#include "common/params/param_layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/fingerprint.h"

namespace ringmaster {

ParamLayout::ParamLayout(std::vector<Param> params, int64_t bucket_elements) : params_(std::move(params)) {
  RM_CHECK(bucket_elements > 0);
  std::string identity;
  for (Param& param : params_) {
    param.begin = count_;
    param.count = 1;
    for (int64_t extent : param.shape) param.count *= extent;
    count_ += param.count;
    absl::StrAppend(&identity, param.name, "[", absl::StrJoin(param.shape, ","), "]", param.statistic ? "~" : "");
    if (!param.statistic || param.count == 0) continue;
    if (!statistics_.empty() && statistics_.back().end() == param.begin) {
      statistics_.back().count += param.count;
    } else {
      statistics_.push_back({param.begin, param.count});
    }
  }
  for (int64_t begin = 0; begin < count_; begin += bucket_elements) {
    const int32_t id = static_cast<int32_t>(buckets_.size());
    buckets_.push_back({id, begin, std::min(bucket_elements, count_ - begin)});
  }
  absl::StrAppend(&identity, "|", bucket_elements);
  fingerprint_ = Fingerprint64(identity);
}

}  // namespace ringmaster
