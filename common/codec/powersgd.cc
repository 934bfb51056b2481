#include "common/codec/powersgd.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/codec/low_rank/low_rank_loops.h"
#include "common/codec/low_rank/orthogonalize.h"
#include "common/codec/powersgd_oracle.h"
#include "common/codec/reducer.h"
#include "common/codec/stream.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

// A tensor as a matrix, and where it lies.
struct Matrix {
  int32_t param = 0;  // of the layout
  int64_t begin = 0;  // in its bucket
  LowRankShape shape;
  int64_t kept_begin = 0;  // of its elements among those of all matrices
  int64_t p_begin = 0;     // of P in its bucket's first round
  int64_t q_begin = 0;     // of Q among those of all matrices

  int64_t count() const { return static_cast<int64_t>(shape.rows * shape.columns); }
  int64_t p_count() const { return static_cast<int64_t>(shape.rank * shape.rows); }
  int64_t q_count() const { return static_cast<int64_t>(shape.rank * shape.columns); }
};

// What goes as it is: elements of the bucket, and their place in its first round.
struct Rest {
  Range range;
  int64_t at = 0;
};

// How one bucket is summed.
struct BucketPlan {
  std::vector<Matrix> matrices;
  std::vector<Rest> rests;
  int64_t count = 0;        // elements of the bucket
  int64_t first_count = 0;  // elements of the first round; of a bucket without matrices, its own
  int64_t q_begin = 0;      // among those of all buckets
  int64_t q_count = 0;
};

// Whether the tensor is sent by factors; `shape` is then its matrix.
bool HasFactors(const CodecSpec& spec, const Param& param, LowRankShape* shape) {
  if (param.shape.size() < 2 || param.count < spec.min_tensor_elements()) return false;
  const int64_t rows = param.shape[0];
  const int64_t columns = rows == 0 ? 0 : param.count / rows;
  if (spec.rank() * (rows + columns) >= param.count) return false;
  shape->rows = static_cast<size_t>(rows);
  shape->columns = static_cast<size_t>(columns);
  shape->rank = static_cast<size_t>(spec.rank());
  return true;
}

// P of all matrices first, then the rests.
void PlaceRests(const ParamLayout& layout, const Bucket& bucket, BucketPlan* plan) {
  plan->first_count = 0;
  for (Matrix& matrix : plan->matrices) {
    matrix.p_begin = plan->first_count;
    plan->first_count += matrix.p_count();
  }
  size_t next = 0;
  for (size_t i = 0; i < layout.params().size(); ++i) {
    const Param& param = layout.params()[i];
    if (param.begin < bucket.begin || param.begin >= bucket.end()) continue;
    if (next < plan->matrices.size() && plan->matrices[next].param == static_cast<int32_t>(i)) {
      ++next;
      continue;
    }
    plan->rests.push_back({{param.begin - bucket.begin, param.count}, plan->first_count});
    plan->first_count += param.count;
  }
}

// Of one bucket; kept_begin and q_begin count from 0.
BucketPlan PlanBucket(const CodecSpec& spec, const ParamLayout& layout, const Bucket& bucket) {
  BucketPlan plan;
  plan.count = bucket.count;
  int64_t kept = 0;
  for (size_t i = 0; i < layout.params().size(); ++i) {
    const Param& param = layout.params()[i];
    if (param.begin < bucket.begin || param.begin >= bucket.end()) continue;
    RM_CHECK(param.begin + param.count <= bucket.end());  // whole tensors
    Matrix matrix;
    if (!HasFactors(spec, param, &matrix.shape)) continue;
    matrix.param = static_cast<int32_t>(i);
    matrix.begin = param.begin - bucket.begin;
    matrix.kept_begin = kept;
    matrix.q_begin = plan.q_count;
    kept += matrix.count();
    plan.q_count += matrix.q_count();
    plan.matrices.push_back(matrix);
  }
  PlaceRests(layout, bucket, &plan);
  return plan;
}

// Of all buckets.
struct ArenaPlan {
  std::vector<BucketPlan> buckets;
  int64_t kept_count = 0;
  int64_t q_count = 0;
};

ArenaPlan PlanArena(const CodecSpec& spec, const ParamLayout& layout) {
  ArenaPlan arena;
  for (const Bucket& bucket : layout.buckets()) {
    BucketPlan plan = PlanBucket(spec, layout, bucket);
    plan.q_begin = arena.q_count;
    for (Matrix& matrix : plan.matrices) {
      matrix.kept_begin += arena.kept_count;
      matrix.q_begin += arena.q_count;
    }
    for (const Matrix& matrix : plan.matrices) arena.kept_count += matrix.count();
    arena.q_count += plan.q_count;
    arena.buckets.push_back(std::move(plan));
  }
  return arena;
}

bool IsWarmUp(const CodecSpec& spec, int64_t step) { return step < spec.warmup_steps(); }

bool AllFinite(absl::Span<const float> values) {
  // A sum of zeros unless some value is not finite, in lanes that the compiler keeps in vectors.
  constexpr size_t kLanes = 16;
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane] * 0.0f;
  }
  for (; i < values.size(); ++i) lanes[0] += values[i] * 0.0f;
  return std::all_of(lanes, lanes + kLanes, [](float lane) { return lane == 0.0f; });
}

class Powersgd : public Reducer {
 public:
  Powersgd(const CodecSpec& spec, const ParamLayout& layout, uint64_t run_seed)
      : spec_(spec),
        decay_(spec.has_feedback_decay() ? static_cast<float>(spec.feedback_decay()) : 1.0f),
        run_seed_(run_seed),
        loops_(BestLowRankLoops()),
        plan_(PlanArena(spec, layout)),
        residual_(spec.error_feedback() ? plan_.kept_count : 0),
        q_(plan_.q_count),
        own_q_(spec.error_feedback() ? plan_.q_count : 0),
        work_(layout.buckets().size()) {
    for (size_t bucket = 0; bucket < work_.size(); ++bucket) {
      const BucketPlan& plan = plan_.buckets[bucket];
      if (!plan.matrices.empty()) work_[bucket].first.resize(plan.first_count);
      for (const Matrix& matrix : plan.matrices) {
        for (size_t k = 0; k < matrix.shape.rank; ++k) Draw(0, matrix, k);
      }
    }
  }

  ReducerRound Begin(int64_t step, int32_t bucket, absl::Span<float> gradient) override {
    const BucketPlan& plan = plan_.buckets[bucket];
    Work& work = work_[bucket];
    RM_CHECK(work.round == Round::kNone);
    RM_CHECK(static_cast<int64_t>(gradient.size()) == plan.count);
    work.step = step;
    work.gradient = gradient;
    if (plan.matrices.empty() || IsWarmUp(spec_, step)) {
      work.round = Round::kWhole;
      return {gradient, /*is_last=*/true};
    }
    work.round = Round::kFirst;
    for (const Matrix& matrix : plan.matrices) {
      const float* const own = gradient.data() + matrix.begin;
      float* const p = work.first.data() + matrix.p_begin;
      if (residual_.empty()) {
        loops_.project(matrix.shape, own, QOf(matrix), p);
      } else {
        loops_.project_corrected(matrix.shape, own, decay_, ResidualOf(matrix), QOf(matrix), p);
      }
    }
    for (const Rest& rest : plan.rests) {
      const absl::Span<const float> from = gradient.subspan(rest.range.begin, rest.range.count);
      std::copy(from.begin(), from.end(), work.first.begin() + rest.at);
    }
    return {absl::MakeSpan(work.first), /*is_last=*/false};
  }

  absl::StatusOr<ReducerRound> Summed(int32_t bucket) override {
    Work& work = work_[bucket];
    switch (std::exchange(work.round, Round::kNone)) {
      case Round::kFirst:
        if (!AllFinite(work.first)) return NotFinite(work.step, bucket);
        work.round = Round::kSecond;
        return ReducerRound{AfterFirst(bucket), /*is_last=*/true};
      case Round::kSecond:
        if (!AllFinite(QsOf(bucket))) return NotFinite(work.step, bucket);
        AfterSecond(bucket);
        return ReducerRound();
      case Round::kWhole:
        if (!AllFinite(work.gradient)) return NotFinite(work.step, bucket);
        return ReducerRound();
      case Round::kNone:
        break;
    }
    RM_CHECK(false);  // nothing was begun
    return ReducerRound();
  }

  // The arrays "residual", of the elements of all matrices (with error feedback), and "q".
  State Give() const override {
    State state;
    if (spec_.error_feedback()) state.AddFloats("residual", residual_);
    state.AddFloats("q", q_);
    return state;
  }
  int64_t state_bytes() const override {
    const size_t residual = spec_.error_feedback() ? residual_.size() : 0;
    return static_cast<int64_t>((residual + q_.size()) * sizeof(float));
  }

  absl::Status Take(const State& state) override {
    std::vector<StateSlot> slots = {{"q", absl::MakeSpan(q_)}};
    if (spec_.error_feedback()) slots.push_back({"residual", absl::MakeSpan(residual_)});
    return state.CopyTo(slots);
  }

 private:
  enum class Round { kNone, kWhole, kFirst, kSecond };

  // A bucket under way, or a place for it.
  struct Work {
    Round round = Round::kNone;  // whose sum is awaited
    int64_t step = 0;
    absl::Span<float> gradient;
    std::vector<float> first;  // [first_count]
  };

  float* QOf(const Matrix& matrix) { return q_.data() + matrix.q_begin; }
  float* OwnQOf(const Matrix& matrix) { return own_q_.data() + matrix.q_begin; }
  float* ResidualOf(const Matrix& matrix) { return residual_.data() + matrix.kept_begin; }
  absl::Span<float> QsOf(int32_t bucket) {
    const BucketPlan& plan = plan_.buckets[bucket];
    return absl::MakeSpan(q_).subspan(plan.q_begin, plan.q_count);
  }

  // Column k of the Q with which the matrix begins `step`: the same on all ranks.
  void Draw(int64_t step, const Matrix& matrix, size_t k) {
    const CodecStream stream = BucketStream(run_seed_, {step, 0}, matrix.param);
    Random random(MixSeed(stream.SharedSeed(), k));
    float* const column = QOf(matrix) + k * matrix.shape.columns;
    for (size_t j = 0; j < matrix.shape.columns; ++j) column[j] = random.Normal();
  }

  absl::Span<float> AfterFirst(int32_t bucket) {
    const BucketPlan& plan = plan_.buckets[bucket];
    Work& work = work_[bucket];
    for (const Matrix& matrix : plan.matrices) {
      const absl::Span<float> p =
          absl::MakeSpan(work.first).subspan(matrix.p_begin, matrix.p_count());
      Orthogonalize(static_cast<int64_t>(matrix.shape.rows), p, &scratch_);
      const float* const own =
          residual_.empty() ? work.gradient.data() + matrix.begin : ResidualOf(matrix);
      loops_.project_back(matrix.shape, own, p.data(), QOf(matrix));
    }
    const absl::Span<float> qs = QsOf(bucket);
    if (!own_q_.empty()) std::copy(qs.begin(), qs.end(), own_q_.begin() + plan.q_begin);
    return qs;
  }

  void AfterSecond(int32_t bucket) {
    const BucketPlan& plan = plan_.buckets[bucket];
    Work& work = work_[bucket];
    for (const Matrix& matrix : plan.matrices) {
      const float* const p = work.first.data() + matrix.p_begin;
      if (!residual_.empty()) loops_.subtract(matrix.shape, p, OwnQOf(matrix), ResidualOf(matrix));
      loops_.multiply(matrix.shape, p, QOf(matrix), work.gradient.data() + matrix.begin);
      for (size_t k = 0; k < matrix.shape.rank; ++k) {
        const float* const column = QOf(matrix) + k * matrix.shape.columns;
        const bool is_zero = std::all_of(column, column + matrix.shape.columns,
                                         [](float value) { return value == 0.0f; });
        if (is_zero) Draw(work.step + 1, matrix, k);
      }
    }
    for (const Rest& rest : plan.rests) {
      std::copy_n(work.first.begin() + rest.at, rest.range.count,
                  work.gradient.begin() + rest.range.begin);
    }
  }

  absl::Status NotFinite(int64_t step, int32_t bucket) const {
    return absl::InvalidArgumentError(absl::StrCat("codec \"powersgd\" step=", step, " bucket=",
                                                   bucket, ": a sum over the ranks is not finite"));
  }

  const CodecSpec spec_;
  const float decay_;
  const uint64_t run_seed_;
  const LowRankLoops& loops_;
  const ArenaPlan plan_;
  std::vector<float> residual_;  // M between its two products, what is left of it between steps
  std::vector<float> q_;
  std::vector<float> own_q_;  // Q as it was before the sum
  std::vector<Work> work_;    // by bucket
  std::vector<double> scratch_;
};

absl::StatusOr<std::unique_ptr<Reducer>> Create(const CodecSpec& spec, const ParamLayout& layout,
                                                uint64_t run_seed) {
  return std::unique_ptr<Reducer>(std::make_unique<Powersgd>(spec, layout, run_seed));
}

std::vector<int64_t> RoundElements(const CodecSpec& spec, const ParamLayout& layout,
                                   const Bucket& bucket, int64_t step) {
  if (IsWarmUp(spec, step)) return {bucket.count};
  const BucketPlan plan = PlanBucket(spec, layout, bucket);
  if (plan.matrices.empty()) return {bucket.count};
  return {plan.first_count, plan.q_count};
}

int64_t MemoryBytes(const CodecSpec& spec, const ParamLayout& layout) {
  const ArenaPlan arena = PlanArena(spec, layout);
  int64_t floats = arena.q_count;
  if (spec.error_feedback()) floats += arena.kept_count + arena.q_count;
  for (const BucketPlan& plan : arena.buckets)
    floats += plan.matrices.empty() ? 0 : plan.first_count;
  return floats * kFloatBytes;
}

bool HasWholeTensors(const ParamLayout& layout) {
  size_t bucket = 0;
  for (const Param& param : layout.params()) {
    while (param.begin >= layout.buckets()[bucket].end()) ++bucket;
    if (param.begin + param.count > layout.buckets()[bucket].end()) return false;
  }
  return true;
}

// A rank at which nothing shrinks is a mistake; above the sides of some tensors it is not.
absl::Status Check(const CodecSpec& spec, const ParamLayout& layout) {
  if (!HasWholeTensors(layout)) {
    return absl::InvalidArgumentError(
        "codec \"powersgd\" works on whole tensors, and buckets cut them; use "
        "training.bucket_layout=WHOLE_TENSORS");
  }
  const Param* largest = nullptr;
  int64_t most = 0;  // the largest rank at which that tensor shrinks
  for (const Param& param : layout.params()) {
    if (param.shape.size() < 2 || param.count < spec.min_tensor_elements()) continue;
    const int64_t sides = param.shape[0] + param.count / param.shape[0];
    const int64_t rank = (param.count - 1) / sides;
    if (rank <= most) continue;
    most = rank;
    largest = &param;
  }
  if (spec.rank() <= most) return absl::OkStatus();
  const std::string advice = most == 0 ? "use codec \"none\" or \"fp16\""
                                       : absl::StrCat("expected at most ", most, ", where \"",
                                                      largest->name, "\" is the last to shrink");
  return absl::InvalidArgumentError(absl::StrCat("codec.rank = ", spec.rank(),
                                                 ": with so large a rank no tensor of this model "
                                                 "is larger than its two factors, so nothing is "
                                                 "compressed; ",
                                                 advice));
}

constexpr ReducerDefinition kReducer = {Create, RoundElements, MemoryBytes, Check,
                                        &kPowersgdOracle};

constexpr CodecTraits Traits() {
  CodecTraits traits;
  traits.feedback_by_default = true;
  traits.is_random = true;
  traits.in_rounds = true;
  return traits;
}

constexpr CodecOption kOptions[] = {{RM_CODEC_FIELD(rank),
                                     /*default_value=*/4,
                                     /*above=*/0,
                                     /*most=*/1 << 20,
                                     "the vectors of either factor of a matrix",
                                     {1, 2}}};

}  // namespace

constexpr CodecDefinition kPowersgdCodec = {
    {"powersgd",
     "two factors of rank `rank` in place of every matrix, found by power iteration and summed in "
     "two rounds",
     Traits(), /*oracle=*/nullptr, kOptions},
    /*create=*/nullptr,
    /*create_memory=*/nullptr,
    &kReducer};

}  // namespace ringmaster
