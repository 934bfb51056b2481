#include "common/collective/double_binary_tree.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace ringmaster {
namespace {

constexpr int32_t kHalves = 2;
constexpr int32_t kNobody = -1;

// One node's place in a tree whose nodes are numbered in order.
struct Place {
  int32_t parent = kNobody;
  std::vector<int32_t> children;
  int32_t depth = 0;  // of the root 0
};

// Where node `node` of a tree of `nodes` hangs: goes down from the root to it.
Place PlaceOf(int32_t node, int32_t nodes) {
  const auto root_of = [](int32_t begin, int32_t count) {
    return count == 1 ? begin : begin + (count / 2 | 1);
  };
  Place place;
  int32_t begin = 0, count = nodes;
  for (;;) {
    const int32_t root = root_of(begin, count);
    const int32_t left = root - begin;
    const int32_t right = count - left - 1;
    if (node == root) {
      if (left > 0) place.children.push_back(root_of(begin, left));
      if (right > 0) place.children.push_back(root_of(root + 1, right));
      return place;
    }
    place.parent = root;
    ++place.depth;
    count = node < root ? left : right;
    begin = node < root ? begin : root + 1;
  }
}

// Edges from the root to the deepest leaf.
int32_t DepthOfTree(int32_t nodes) {
  int32_t depth = 0;
  while (nodes >> (depth + 1) > 0) ++depth;
  return depth;
}

class DoubleBinaryTree : public Schedule {
 public:
  absl::string_view name() const override { return "double_binary_tree"; }
  int32_t chunks(int32_t) const override { return kHalves; }

  // Two children and a parent in each tree.
  int32_t senders_max(int32_t ranks) const override { return std::min(ranks - 1, 3 * kHalves); }

  std::vector<Step> StepsOf(int32_t rank, int32_t ranks) const override {
    RM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
    std::vector<Step> steps;
    const int32_t depth = DepthOfTree(ranks);
    for (int32_t half = 0; half < kHalves; ++half) {
      // The node that a rank is, and back.
      const auto swap = [&](int32_t index, int32_t shift) {
        if (half == 0) return index;
        return ranks % 2 == 0 ? ranks - 1 - index : (index + ranks + shift) % ranks;
      };
      const Place place = PlaceOf(swap(rank, -1), ranks);
      const int32_t up = depth - place.depth;  // the round in which it sends to its parent
      // After a round of its own, so that no sum is the answer to a message of the round before it
      // (PlanOp::answer): memory lent in one tree would wait for sends that memory lent in the
      // other holds up.
      const int32_t down = depth + 1 + place.depth;
      for (const int32_t child : place.children) {
        steps.push_back({Step::Op::kReceiveAdd, swap(child, 1), half, 1, up - 1});
        steps.push_back({Step::Op::kSend, swap(child, 1), half, 1, down});
      }
      if (place.parent == kNobody) continue;
      steps.push_back({Step::Op::kSend, swap(place.parent, 1), half, 1, up});
      steps.push_back({Step::Op::kReceive, swap(place.parent, 1), half, 1, down - 1});
    }
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) {
      const auto order = [](const Step& step) {
        return std::make_tuple(step.round, step.op, step.chunk_begin, step.peer);
      };
      return order(a) < order(b);
    });
    return steps;
  }
};

}  // namespace

std::unique_ptr<Schedule> CreateDoubleBinaryTree() { return std::make_unique<DoubleBinaryTree>(); }

}  // namespace ringmaster
