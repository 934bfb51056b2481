#include "common/codec/low_rank/orthogonalize.h"

#include <algorithm>
#include <cmath>

#include "common/base/check.h"

namespace ringmaster {
namespace {

// Sums go to this many lanes, element i to lane i % kLanes, and the lanes are added in their order:
// a fixed order that the compiler may keep in vectors.
constexpr int64_t kLanes = 8;

template <class Term>
double SumOf(int64_t length, Term term) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (; i < length; ++i) lanes[i % kLanes] += term(i);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

double Norm(absl::Span<const double> v) {
  return std::sqrt(SumOf(static_cast<int64_t>(v.size()), [v](int64_t i) { return v[i] * v[i]; }));
}

// Takes off what lies along `unit`, a vector of norm 1 or of zeros.
void TakeOff(absl::Span<const float> unit, absl::Span<double> v) {
  const double along = SumOf(static_cast<int64_t>(v.size()),
                             [v, unit](int64_t i) { return double{unit[i]} * v[i]; });
  for (size_t i = 0; i < v.size(); ++i) v[i] -= along * unit[i];
}

}  // namespace

void Orthogonalize(int64_t length, absl::Span<float> vectors, std::vector<double>* scratch) {
  RM_CHECK(length > 0 && static_cast<int64_t>(vectors.size()) % length == 0);
  if (static_cast<int64_t>(scratch->size()) < length) scratch->resize(length);
  const absl::Span<double> v = absl::MakeSpan(*scratch).first(length);
  for (size_t begin = 0; begin < vectors.size(); begin += length) {
    const absl::Span<float> own = vectors.subspan(begin, length);
    std::copy(own.begin(), own.end(), v.begin());
    const double before = Norm(v);
    for (int time = 0; time < 2; ++time) {
      for (size_t other = 0; other < begin; other += length)
        TakeOff(vectors.subspan(other, length), v);
    }
    const double left = Norm(v);
    const bool is_new = left > kDependentShare * before;
    for (int64_t i = 0; i < length; ++i) own[i] = is_new ? static_cast<float>(v[i] / left) : 0.0f;
  }
}

}  // namespace ringmaster
