#ifndef RINGMASTER_TESTS_COMMON_CODEC_REDUCER_CLUSTER_H_
#define RINGMASTER_TESTS_COMMON_CODEC_REDUCER_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/params/param_layout.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// All ranks of a run in one thread: each has a reducer, and every round is summed in rank order.
class ReducerCluster {
 public:
  using Arena = std::vector<float>;

  // Of the codec that `spec` names.
  ReducerCluster(const CodecSpec& spec, const ParamLayout& layout, int32_t ranks, uint64_t seed)
      : layout_(layout) {
    for (int32_t rank = 0; rank < ranks; ++rank)
      reducers_.push_back(*FindReducer(spec.name())->create(spec, layout_, seed));
  }
  // Of these, one for each rank.
  ReducerCluster(std::vector<std::unique_ptr<Reducer>> reducers, const ParamLayout& layout)
      : layout_(layout), reducers_(std::move(reducers)) {}

  // Sums the scaled gradients, one arena for each rank, in place. The buckets' rounds are mixed:
  // all buckets are under way at once.
  absl::Status Step(int64_t step, std::vector<Arena>* gradients) {
    std::vector<std::vector<absl::Span<float>>> rounds;  // by bucket and rank
    for (const Bucket& bucket : layout_.buckets()) {
      rounds.emplace_back();
      for (size_t rank = 0; rank < reducers_.size(); ++rank) {
        rounds.back().push_back(
            reducers_[rank]
                ->Begin(step, bucket.id,
                        absl::MakeSpan((*gradients)[rank]).subspan(bucket.begin, bucket.count))
                .floats);
      }
    }
    for (bool more = true; more;) {
      more = false;
      for (size_t bucket = 0; bucket < rounds.size(); ++bucket) {
        if (rounds[bucket][0].empty()) continue;
        summed_elements_ += rounds[bucket][0].size();
        SumInRankOrder(rounds[bucket]);
        for (size_t rank = 0; rank < reducers_.size(); ++rank) {
          const auto next = reducers_[rank]->Summed(static_cast<int32_t>(bucket));
          if (!next.ok()) return next.status();
          rounds[bucket][rank] = next->floats;
        }
        more = more || !rounds[bucket][0].empty();
      }
    }
    return absl::OkStatus();
  }

  Reducer& reducer(int32_t rank) { return *reducers_[rank]; }
  // Of all rounds so far, as one rank sees them.
  int64_t summed_elements() const { return summed_elements_; }

  // What the reducer of `rank` keeps under that name.
  std::vector<float> Kept(int32_t rank, const std::string& name) const {
    const State state = reducers_[rank]->Give();
    for (const State::Entry& entry : state.entries()) {
      if (entry.name == name) return std::get<std::vector<float>>(entry.value);
    }
    return {};
  }

 private:
  static void SumInRankOrder(const std::vector<absl::Span<float>>& of_ranks) {
    for (size_t i = 0; i < of_ranks[0].size(); ++i) {
      float sum = of_ranks[0][i];
      for (size_t rank = 1; rank < of_ranks.size(); ++rank) sum += of_ranks[rank][i];
      for (const absl::Span<float>& own : of_ranks) own[i] = sum;
    }
  }

  const ParamLayout layout_;
  std::vector<std::unique_ptr<Reducer>> reducers_;
  int64_t summed_elements_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CODEC_REDUCER_CLUSTER_H_
