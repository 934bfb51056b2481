#include "experiments/proof/bench/codec_trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/state/state.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTimedCalls = 5;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double Dot(absl::Span<const float> a, absl::Span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

template <class Value>
double RelativeError(absl::Span<const Value> found, double factor, absl::Span<const float> values) {
  double lost = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double off = factor * found[i] - values[i];
    lost += off * off;
  }
  const double energy = Dot(values, values);
  return energy == 0 ? 0 : std::sqrt(lost / energy);
}

CodecStream StreamOf(uint64_t seed, int64_t step) { return BucketStream(seed, {step, step}, 0); }

// One array on its way through a codec.
class Runner {
 public:
  Runner(const CodecSpec& spec, const Codec& codec, absl::Span<const float> values)
      : codec_(codec),
        values_(values),
        count_(static_cast<int64_t>(values.size())),
        memory_(CreateCodecMemory(codec, {count_, /*workers=*/1}, spec)),
        room_(codec.MaxEncodedBytes(count_)),
        decoded_(values.size()),
        sum_(values.size()) {}

  absl::Status Steps(const CodecTrialOptions& options, CodecTrial* trial) {
    int64_t size = 0;
    for (int64_t step = 0; step < options.steps; ++step) {
      const Clock::time_point begin = Clock::now();
      size = memory_->Encode(StreamOf(options.seed, step), 0, values_, absl::MakeSpan(room_));
      encode_seconds_.push_back(SecondsSince(begin));
      RM_RETURN_IF_ERROR(Decode(StreamOf(options.seed, step), size));
      trial->bytes += size;
      trial->index_bytes += codec_.IndexBytes(StreamOf(options.seed, step), {count_, size});
      for (size_t i = 0; i < sum_.size(); ++i) sum_[i] += decoded_[i];
    }
    trial->encoded.assign(room_.begin(), room_.begin() + size);
    trial->decoded = decoded_;
    trial->error = RelativeError<float>(decoded_, 1, values_);
    trial->mean_error =
        RelativeError<double>(sum_, 1.0 / static_cast<double>(options.steps), values_);
    const State kept = memory_->Give();
    for (const State::Entry& entry : kept.entries()) {
      if (entry.name == "residual") trial->residual = std::get<std::vector<float>>(entry.value);
    }
    return absl::OkStatus();
  }

  // Without memory, from one seed to the next.
  absl::Status Draws(const CodecTrialOptions& options, CodecTrial* trial) {
    const double energy = Dot(values_, values_);
    double sum = 0, squares = 0;
    for (int64_t draw = 0; draw < options.draws; ++draw) {
      RM_RETURN_IF_ERROR(Once(options.seed + static_cast<uint64_t>(draw)));
      const double off = energy == 0 ? 0 : (Dot(decoded_, values_) - energy) / energy;
      sum += off;
      squares += off * off;
    }
    const double n = static_cast<double>(options.draws);
    trial->bias = sum / n;
    if (options.draws > 1) {
      const double variance = std::max(0.0, squares / n - trial->bias * trial->bias);
      trial->bias_error = std::sqrt(variance / (n - 1));
    }
    while (decode_seconds_.size() < kTimedCalls) RM_RETURN_IF_ERROR(Once(options.seed));
    trial->encode_seconds = Median(encode_seconds_);
    trial->decode_seconds = Median(decode_seconds_);
    return absl::OkStatus();
  }

 private:
  absl::Status Once(uint64_t seed) {
    const Clock::time_point begin = Clock::now();
    const int64_t size = codec_.Encode(StreamOf(seed, 0), values_, absl::MakeSpan(room_));
    encode_seconds_.push_back(SecondsSince(begin));
    return Decode(StreamOf(seed, 0), size);
  }

  absl::Status Decode(const CodecStream& stream, int64_t size) {
    const Clock::time_point begin = Clock::now();
    RM_RETURN_IF_ERROR(
        codec_.Decode(stream, absl::MakeConstSpan(room_).first(size), absl::MakeSpan(decoded_)));
    decode_seconds_.push_back(SecondsSince(begin));
    return absl::OkStatus();
  }

  const Codec& codec_;
  const absl::Span<const float> values_;
  const int64_t count_;
  const std::unique_ptr<CodecMemory> memory_;
  std::vector<std::byte> room_;
  std::vector<float> decoded_;
  std::vector<double> sum_;  // of what the steps decode to
  std::vector<double> encode_seconds_;
  std::vector<double> decode_seconds_;
};

}  // namespace

absl::StatusOr<CodecTrial> TryCodec(const CodecSpec& spec, absl::Span<const float> values,
                                    const CodecTrialOptions& options) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("element ", i, " is ", values[i], "; codecs take finite numbers"));
  }
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec));
  Runner runner(spec, *codec, values);
  CodecTrial trial;
  RM_RETURN_IF_ERROR(runner.Steps(options, &trial));
  RM_RETURN_IF_ERROR(runner.Draws(options, &trial));
  return trial;
}

}  // namespace ringmaster
