#include "common/update/update_elements.h"

#include <array>
#include <cstddef>

#include "common/base/check.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// Elements that are worked on at once: what is kept between two loops over them stays in the first
// cache.
constexpr size_t kBlock = 1024;
using Block = std::array<float, kBlock>;

// clip * gradient + decay * weights: the gradient itself, or `*memory`.
absl::Span<const float> Direction(const ElementUpdate& update, absl::Span<const float> gradient,
                                  absl::Span<const float> weights, Block* memory) {
  const absl::Span<float> direction = absl::MakeSpan(*memory).first(gradient.size());
  if (update.decay != 0) {
    WeightedSum(update.clip, gradient, update.decay, weights, direction);
  } else if (update.clip != 1) {
    ScaleInto(update.clip, gradient, direction);
  } else {
    return gradient;
  }
  return direction;
}

void UpdateBlock(const ElementUpdate& update, const UpdatedElements& block) {
  Block direction, ahead_memory;
  const absl::Span<const float> g = Direction(update, block.gradient, block.weights, &direction);
  switch (update.kind) {
    case UpdateKind::kStatistic:
      return Blend(update.keep, update.share, block.gradient, block.weights);
    case UpdateKind::kSgd:
      return SubtractScaled(update.rate, g, block.weights);
    case UpdateKind::kMomentum:
      ScaleThenAdd(update.momentum, g, block.first);
      return SubtractScaled(update.rate, block.first, block.weights);
    case UpdateKind::kNesterov: {
      ScaleThenAdd(update.momentum, g, block.first);
      const absl::Span<float> ahead = absl::MakeSpan(ahead_memory).first(g.size());
      WeightedSum(1, g, update.momentum, block.first, ahead);
      return SubtractScaled(update.rate, ahead, block.weights);
    }
    case UpdateKind::kAdam:
      if (update.keep != 1) Scale(update.keep, block.weights);
      return AdamStep(update.adam, g, block.first, block.second, block.weights);
  }
}

}  // namespace

void UpdateElements(const ElementUpdate& update, const UpdatedElements& elements) {
  const int arrays = StateArraysOf(update.kind);
  const size_t count = elements.gradient.size();
  RM_CHECK(elements.weights.size() == count);
  RM_CHECK(arrays < 1 || elements.first.size() == count);
  RM_CHECK(arrays < 2 || elements.second.size() == count);
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const auto part = [begin](auto all) { return all.subspan(begin, kBlock); };
    UpdateBlock(update, {part(elements.gradient), part(elements.weights),
                         arrays < 1 ? absl::Span<float>() : part(elements.first),
                         arrays < 2 ? absl::Span<float>() : part(elements.second)});
  }
}

}  // namespace ringmaster
