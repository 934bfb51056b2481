#include "common/collective/hierarchical.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringmaster {
namespace {

// A ring of `size` members among which a rank is `place`. Block b of what they sum is the
// `block_chunks` chunks from first_chunk + b * block_chunks on.
struct RingOf {
  int32_t place = 0;
  int32_t size = 1;
  int32_t first_rank = 0;
  int32_t rank_stride = 1;
  int32_t first_chunk = 0;
  int32_t block_chunks = 1;
};

class StepList {
 public:
  // A member ends with the sum of block place + 1, and with partial sums of others.
  void AddReduceScatter(const RingOf& ring) {
    for (int32_t k = 0; k < ring.size - 1; ++k, ++round_) {
      Add(ring, Step::Op::kSend, 1, ring.place - k);
      Add(ring, Step::Op::kReceiveAdd, -1, ring.place - k - 1);
    }
  }

  // Block place + 1 of each member goes to all.
  void AddAllGather(const RingOf& ring) {
    for (int32_t k = 0; k < ring.size - 1; ++k, ++round_) {
      Add(ring, Step::Op::kSend, 1, ring.place + 1 - k);
      Add(ring, Step::Op::kReceive, -1, ring.place - k);
    }
  }

  std::vector<Step> Take() { return std::move(steps_); }

 private:
  static int32_t Around(int32_t index, int32_t size) { return (index % size + size) % size; }

  void Add(const RingOf& ring, Step::Op op, int32_t to, int32_t block) {
    const int32_t peer = Around(ring.place + to, ring.size);
    steps_.push_back({op, ring.first_rank + peer * ring.rank_stride,
                      ring.first_chunk + Around(block, ring.size) * ring.block_chunks,
                      ring.block_chunks, round_});
  }

  int32_t round_ = 0;
  std::vector<Step> steps_;
};

class Hierarchical : public Schedule {
 public:
  explicit Hierarchical(int32_t group_size) : group_size_(group_size) {}

  absl::string_view name() const override { return "hierarchical"; }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    const int32_t size = group_size_ == 0 ? DefaultGroupSize(ranks) : group_size_;
    RM_CHECK(ranks % size == 0);
    const int32_t groups = ranks / size;
    RingOf inside;
    inside.place = rank % size;
    inside.size = size;
    inside.first_rank = rank - inside.place;
    inside.block_chunks = groups;
    RingOf across;
    across.place = rank / size;
    across.size = groups;
    across.first_rank = inside.place;
    across.rank_stride = size;
    across.first_chunk = (inside.place + 1) % size * groups;
    StepList steps;
    steps.AddReduceScatter(inside);
    steps.AddReduceScatter(across);
    steps.AddAllGather(across);
    steps.AddAllGather(inside);
    return steps.Take();
  }

 private:
  const int32_t group_size_;
};

}  // namespace

std::unique_ptr<Schedule> CreateHierarchical(int32_t group_size) {
  RM_CHECK(group_size >= 0);
  return std::make_unique<Hierarchical>(group_size);
}

int32_t DefaultGroupSize(int32_t ranks) {
  RM_CHECK(ranks > 0);
  int32_t size = 1;
  while (ranks % size != 0 || int64_t{size} * size < ranks) ++size;
  return size;
}

absl::Status CheckGroupSize(int32_t group_size, int32_t ranks) {
  if (group_size > 0 && ranks % group_size == 0) return absl::OkStatus();
  std::vector<int32_t> divisors;
  for (int32_t size = 1; size <= ranks; ++size) {
    if (ranks % size == 0) divisors.push_back(size);
  }
  return absl::InvalidArgumentError(absl::StrCat("groups of ", group_size, " do not divide ", ranks,
                                                 " ranks; use one of ",
                                                 absl::StrJoin(divisors, ", ")));
}

}  // namespace ringmaster
