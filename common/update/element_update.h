#ifndef RINGMASTER_COMMON_UPDATE_ELEMENT_UPDATE_H_
#define RINGMASTER_COMMON_UPDATE_ELEMENT_UPDATE_H_

#include "common/vecmath/adam_factors.h"

namespace ringmaster {

// What an update makes of one element, with the gradient g = clip * gradient + decay * weight.
//   statistic  weight = keep * weight + share * gradient
//   sgd        weight -= rate * g
//   momentum   first = momentum * first + g; weight -= rate * first
//   nesterov   the same `first`, but weight -= rate * (g + momentum * first)
//   adam       weight *= keep; then a step of Adam by `adam`, whose moments are `first` and
//   `second`
enum class UpdateKind { kStatistic, kSgd, kMomentum, kNesterov, kAdam };

// One update, by the numbers that are the same for all elements it is made of. Every operation on
// an element rounds once to float, wherever it is made, so that its bits are the same everywhere.
// Where `clip` is 1 nothing is multiplied by it, and where `decay` is 0 nothing is added, so that
// what is not finite stays what it is.
struct ElementUpdate {
  UpdateKind kind = UpdateKind::kSgd;
  float clip = 1;
  float decay = 0;
  float rate = 0;
  float momentum = 0;
  float keep = 1;
  float share = 0;
  AdamFactors adam;
};

// How many arrays of state an update reads and writes: `first`, and `second`.
constexpr int StateArraysOf(UpdateKind kind) {
  switch (kind) {
    case UpdateKind::kStatistic:
    case UpdateKind::kSgd:
      return 0;
    case UpdateKind::kMomentum:
    case UpdateKind::kNesterov:
      return 1;
    case UpdateKind::kAdam:
      break;
  }
  return 2;
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_UPDATE_ELEMENT_UPDATE_H_
