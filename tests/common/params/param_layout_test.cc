#include "common/params/param_layout.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

std::vector<Param> ParamsOf(const std::vector<int64_t>& counts) {
  std::vector<Param> params;
  for (const int64_t count : counts) {
    Param param;
    param.name = absl::StrCat("tensor", params.size());
    param.shape = {count};
    params.push_back(param);
  }
  return params;
}

std::vector<int64_t> BucketCounts(const ParamLayout& layout) {
  std::vector<int64_t> counts;
  for (const Bucket& bucket : layout.buckets()) counts.push_back(bucket.count);
  return counts;
}

ParamLayout Whole(const std::vector<int64_t>& counts, int64_t bucket_elements) {
  return ParamLayout(ParamsOf(counts), bucket_elements, BucketLayout::kWholeTensors);
}

using Counts = std::vector<int64_t>;

TEST(ParamLayout, CutsTensorsWhereABucketEnds) {
  EXPECT_EQ(BucketCounts(ParamLayout(ParamsOf({7, 5}), 4)), (Counts{4, 4, 4}));
  EXPECT_EQ(BucketCounts(ParamLayout(ParamsOf({7, 3}), 4)), (Counts{4, 4, 2}));
}

TEST(ParamLayout, WholeTensorsFillABucketToItsSizeAndTheRestIsTheLast) {
  EXPECT_EQ(BucketCounts(Whole({2, 2, 3, 9, 1}, 4)), (Counts{4, 12, 1}));
  EXPECT_EQ(BucketCounts(Whole({100}, 4)), (Counts{100}));
  EXPECT_EQ(BucketCounts(Whole({1, 1}, 4)), (Counts{2}));
}

TEST(ParamLayout, WithoutAnElementThereIsNoBucket) {
  EXPECT_EQ(BucketCounts(Whole({0, 0}, 4)), Counts());
  EXPECT_EQ(BucketCounts(Whole({0, 4, 0, 4, 0}, 4)), (Counts{4, 4}));
  EXPECT_EQ(BucketCounts(ParamLayout(ParamsOf({0}), 4)), Counts());
}

TEST(ParamLayout, EveryTensorLiesInExactlyOneBucketOfWholeTensors) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    Counts counts(1 + random.Below(12));
    for (int64_t& count : counts) count = static_cast<int64_t>(random.Below(30));
    const auto bucket_elements = static_cast<int64_t>(1 + random.Below(40));
    const ParamLayout layout = Whole(counts, bucket_elements);
    SCOPED_TRACE(absl::StrCat("round ", round, ", buckets of ", bucket_elements));
    int64_t begin = 0;
    for (size_t i = 0; i < layout.buckets().size(); ++i) {
      const Bucket& bucket = layout.buckets()[i];
      EXPECT_EQ(bucket.id, static_cast<int32_t>(i));
      EXPECT_EQ(bucket.begin, begin);  // one after the other, in the order of the arena
      EXPECT_GT(bucket.count, 0);
      if (i + 1 < layout.buckets().size()) {
        EXPECT_GE(bucket.count, bucket_elements);
      }
      begin = bucket.end();
    }
    EXPECT_EQ(begin, layout.count());
    for (const Param& param : layout.params()) {
      int holders = 0;
      for (const Bucket& bucket : layout.buckets()) {
        const bool overlaps =
            param.begin < bucket.end() && bucket.begin < param.begin + param.count;
        if (param.count == 0 || !overlaps) continue;
        EXPECT_TRUE(bucket.begin <= param.begin && param.begin + param.count <= bucket.end())
            << param.name;
        ++holders;
      }
      EXPECT_EQ(holders, param.count == 0 ? 0 : 1) << param.name;
    }
  }
}

TEST(ParamLayout, RanksWithAnotherLayoutOfBucketsHaveAnotherFingerprint) {
  // The same buckets, by chance, under both.
  EXPECT_EQ(BucketCounts(Whole({4, 4}, 4)), BucketCounts(ParamLayout(ParamsOf({4, 4}), 4)));
  EXPECT_NE(Whole({4, 4}, 4).fingerprint(), ParamLayout(ParamsOf({4, 4}), 4).fingerprint());
}

TEST(ParamLayout, TheListNamesTheValuesOfTheSpecsField) {
  EXPECT_EQ(BucketLayouts().size(), static_cast<size_t>(TrainingSpec::BucketLayout_ARRAYSIZE));
  for (const BucketLayoutInfo& info : BucketLayouts()) {
    TrainingSpec::BucketLayout value;
    EXPECT_TRUE(TrainingSpec::BucketLayout_Parse(info.name, &value)) << info.name;
  }
}

TEST(ParamLayout, TheSpecsFieldSaysWhatABucketHolds) {
  TrainingSpec training;
  EXPECT_EQ(BucketLayoutOf(training), BucketLayout::kCut);
  training.set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  EXPECT_EQ(BucketLayoutOf(training), BucketLayout::kWholeTensors);
}

}  // namespace
}  // namespace ringmaster
