#include "experiments/proof/bench/bench_reducer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/params/param_layout.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSecondsInAll = 0.2;
constexpr int64_t kFloatBytes = sizeof(float);

double MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

// One matrix, and a vector of what is left of the size.
ParamLayout LayoutOf(int64_t count) {
  const auto rows = static_cast<int64_t>(std::sqrt(static_cast<double>(count)));
  std::vector<Param> params(1);
  params[0].name = "matrix";
  params[0].shape = {rows, count / rows};
  if (count % rows > 0) {
    params.emplace_back();
    params[1].name = "rest";
    params[1].shape = {count % rows};
  }
  return ParamLayout(std::move(params), count, BucketLayout::kWholeTensors);
}

class Bench {
 public:
  Bench(std::unique_ptr<Reducer> reducer, int64_t count)
      : reducer_(std::move(reducer)), in_(count), out_(count), copy_(count) {
    Random random(7);
    for (float& value : in_) value = 1e-3f * random.Normal();
  }

  // One step; times are added where they are wanted.
  absl::Status Step(CodecResult* result) {
    out_ = in_;
    sums_bytes_ = 0;
    ReducerRound round;
    Timed(result, 0, [&] { round = reducer_->Begin(step_, 0, absl::MakeSpan(out_)); });
    while (!round.floats.empty()) {
      sums_bytes_ += static_cast<int64_t>(round.floats.size()) * kFloatBytes;
      absl::StatusOr<ReducerRound> next;
      Timed(result, round.is_last ? 2 : 1, [&] { next = reducer_->Summed(0); });
      RM_RETURN_IF_ERROR(next.status());
      round = *next;
    }
    ++step_;
    return absl::OkStatus();
  }

  // What came and was kept, less the average and what is kept now: of the matrix alone.
  absl::Status Check(const std::string& name) {
    const std::vector<float> before = Residual();
    RM_RETURN_IF_ERROR(Step(nullptr));
    const std::vector<float> after = Residual();
    for (size_t i = 0; i < after.size(); ++i) {
      const double came = double{before[i]} + in_[i];
      const double found = double{out_[i]} + after[i];
      const double scale = std::fabs(came) + std::fabs(out_[i]) + 1e-3;
      if (std::fabs(came - found) <= 1e-5 * scale) continue;
      return absl::DataLossError(absl::StrCat("codec \"", name, "\": of element ", i, ", ", came,
                                              ", ", out_[i], " is the average and ", after[i],
                                              " is kept"));
    }
    return absl::OkStatus();
  }

  bool remembers() const { return !Residual().empty(); }
  int64_t sums_bytes() const { return sums_bytes_; }

 private:
  template <class What>
  void Timed(CodecResult* result, size_t operation, const What& what) {
    const Clock::time_point copy_begin = Clock::now();
    std::memcpy(copy_.data(), in_.data(), in_.size() * sizeof(float));
    const double copy_us = MicrosecondsSince(copy_begin);
    const Clock::time_point begin = Clock::now();
    what();
    const double us = MicrosecondsSince(begin);
    if (result == nullptr) return;
    result->operations[operation].copy_us.push_back(copy_us);
    result->operations[operation].times_us.push_back(us);
  }

  std::vector<float> Residual() const {
    const State state = reducer_->Give();
    for (const State::Entry& entry : state.entries()) {
      if (entry.name == "residual") return std::get<std::vector<float>>(entry.value);
    }
    return {};
  }

  const std::unique_ptr<Reducer> reducer_;
  std::vector<float> in_, out_, copy_;
  int64_t step_ = 0;
  int64_t sums_bytes_ = 0;
};

}  // namespace

absl::StatusOr<CodecResult> MeasureReducer(const std::string& name, const CodecSpec& spec,
                                           int64_t size_bytes, int64_t iterations) {
  const ReducerDefinition& definition = *FindReducer(name);
  const ParamLayout layout = LayoutOf(size_bytes / kFloatBytes);
  RM_ASSIGN_OR_RETURN(auto reducer, definition.create(spec, layout, /*run_seed=*/1));
  Bench bench(std::move(reducer), layout.count());
  CodecResult result{name, size_bytes, 0, {}};
  for (const char* operation : {"first_round", "later_rounds", "decode"})
    result.operations.push_back({operation, 0, {}, {}});
  RM_RETURN_IF_ERROR(bench.Step(nullptr));
  const Clock::time_point begin = Clock::now();
  RM_RETURN_IF_ERROR(bench.Step(nullptr));
  const double once = MicrosecondsSince(begin) * 1e-6;
  if (iterations == 0)
    iterations = std::clamp<int64_t>(static_cast<int64_t>(kSecondsInAll / once), 10, 1000);
  for (int64_t i = 0; i < iterations; ++i) RM_RETURN_IF_ERROR(bench.Step(&result));
  RM_RETURN_IF_ERROR(bench.Check(name));
  result.encoded_bytes = bench.sums_bytes();
  result.operations.erase(
      std::remove_if(result.operations.begin(), result.operations.end(),
                     [](const CodecTimes& times) { return times.times_us.empty(); }),
      result.operations.end());
  const bool remembers = bench.remembers();
  for (CodecTimes& times : result.operations) {
    const bool is_between = times.operation == "later_rounds";
    times.moved_bytes = (remembers && !is_between ? 3 : 1) * size_bytes + result.encoded_bytes;
  }
  return result;
}

}  // namespace ringmaster
