#include "experiments/proof/bench/bench_codec.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/tensor/tensor.h"
#include "experiments/proof/bench/bench_reducer.h"
#include "experiments/proof/bench/bench_sizes.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kCacheLine = 64;
// small gradients are done several times between two looks at the clock
constexpr int64_t kBurstBytes = 512 << 10;
constexpr double kSecondsPerOperation = 0.2;
constexpr int kBuffers = 5;  // of the gradient's size

using Clock = std::chrono::steady_clock;

CodecSpec SpecOf(const std::string& name, const CodecBench& bench) {
  CodecSpec spec;
  spec.set_name(name);
  if (const CodecInfo* const info = FindCodec(name); info != nullptr) {
    if (FindOption(*info, "density") != nullptr) spec.set_density(bench.density);
    for (const CodecOption& option : info->options) {
      if (option.is_set(bench.settings)) option.set(option.value(bench.settings), &spec);
    }
  }
  SetCodecDefaults(&spec);
  return spec;
}

// As an arm has it that says nothing.
CodecSpec ReducerSpecOf(const std::string& name, const CodecBench& bench) {
  CodecSpec spec = SpecOf(name, bench);
  spec.set_error_feedback(FindCodec(name)->traits.feedback_by_default);
  return spec;
}

// Each setting is an option of a codec that is measured.
absl::Status CheckSettings(const CodecBench& bench) {
  CodecSpec taken;
  for (const std::string& name : bench.codecs) {
    for (const CodecOption& option : FindCodec(name)->options) {
      if (option.is_set(bench.settings)) option.set(option.value(bench.settings), &taken);
    }
  }
  if (taken.ShortDebugString() == bench.settings.ShortDebugString()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("bench codec: of the settings \"", bench.settings.ShortDebugString(),
                   "\" the codecs take \"", taken.ShortDebugString(), "\"; leave the others out"));
}

// Values as gradients have them: near 0, of layers of unlike scale, none of them 0.
void FillGradient(absl::Span<float> out) {
  Random random(7);
  for (size_t i = 0; i < out.size(); ++i) {
    const float layer = static_cast<float>(1 + (8 * i / out.size()) % 4);
    out[i] = 1e-3f * layer * random.Normal();
    if (out[i] == 0) out[i] = 1e-9f;
  }
}

// One codec, one size, and the memory for it.
class Subject {
 public:
  static absl::StatusOr<std::unique_ptr<Subject>> Create(const CodecSpec& spec, const Codec& codec,
                                                         int64_t size_bytes,
                                                         const BenchBuffers& buffers) {
    std::unique_ptr<Subject> subject(new Subject(spec, codec, size_bytes / 4));
    for (absl::Span<float>* floats :
         {&subject->in_, &subject->out_, &subject->residual_, &subject->before_, &subject->copy_}) {
      RM_ASSIGN_OR_RETURN(Buffer memory,
                          Buffer::AllocateHost(
                              size_bytes + buffers.offset() * static_cast<int64_t>(sizeof(float))));
      *floats = memory.float_span().subspan(buffers.offset());
      std::fill(floats->begin(), floats->end(), 0.0f);
      subject->memory_.push_back(std::move(memory));
    }
    FillGradient(subject->in_);
    return subject;
  }

  void Copy() { std::memcpy(copy_.data(), in_.data(), in_.size() * sizeof(float)); }

  // All that operations and the copy read and write.
  void TakeOut() const {
    for (const absl::Span<float> floats : {in_, out_, residual_, copy_}) TakeOutOfCaches(floats);
    TakeOutOfCaches(absl::MakeConstSpan(reinterpret_cast<const float*>(encoded_.data()),
                                        encoded_.size() / sizeof(float)));
  }

  absl::Status Run(const std::string& operation) {
    if (operation == "encode") {
      bytes_ = codec_.Encode({1}, in_, absl::MakeSpan(encoded_));
      return absl::OkStatus();
    }
    if (operation == "decode") return codec_.Decode({1}, payload(), out_);
    if (operation == "decode_add") return codec_.DecodeAdd({1}, payload(), out_);
    RM_CHECK(operation == "encode_feedback");
    bytes_ = codec_.EncodeCorrected({1}, in_, residual_, absl::MakeSpan(encoded_));
    return absl::OkStatus();
  }

  // All four operations once more, against the definition.
  absl::Status Check() {
    RM_RETURN_IF_ERROR(Run("encode"));
    RM_RETURN_IF_ERROR(Run("decode"));
    RM_RETURN_IF_ERROR(oracle_.check_definition(spec_, in_, out_, kept()));
    const std::vector<float> decoded(out_.begin(), out_.end());
    std::copy(in_.rbegin(), in_.rend(), out_.begin());
    RM_RETURN_IF_ERROR(Run("decode_add"));
    for (size_t i = 0; i < in_.size(); ++i) before_[i] = in_[in_.size() - 1 - i] + decoded[i];
    RM_RETURN_IF_ERROR(Same("decode_add", out_, before_));

    for (size_t i = 0; i < in_.size(); ++i) before_[i] = residual_[i] + in_[i];
    RM_RETURN_IF_ERROR(Run("encode_feedback"));
    RM_RETURN_IF_ERROR(Run("decode"));
    RM_RETURN_IF_ERROR(oracle_.check_definition(spec_, before_, out_, kept()));
    for (size_t i = 0; i < in_.size(); ++i) before_[i] -= out_[i];
    return Same("encode_feedback", residual_, before_);
  }

  int64_t encoded_bytes() const { return bytes_; }

 private:
  Subject(const CodecSpec& spec, const Codec& codec, int64_t count)
      : spec_(spec),
        codec_(codec),
        oracle_(*FindCodec(spec.name())->oracle),
        encoded_(codec.MaxEncodedBytes(count)) {}

  absl::Span<const std::byte> payload() const {
    return absl::MakeConstSpan(encoded_).first(bytes_);
  }
  int64_t kept() const {
    return codec_.IndexBytes({1}, {static_cast<int64_t>(in_.size()), bytes_}) / 4;
  }

  absl::Status Same(const char* operation, absl::Span<const float> got,
                    absl::Span<const float> expected) const {
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] == expected[i]) continue;
      return absl::DataLossError(absl::StrCat("codec \"", spec_.name(), "\" ", operation,
                                              ": element ", i, " is ", got[i], ", expected ",
                                              expected[i]));
    }
    return absl::OkStatus();
  }

  const CodecSpec spec_;
  const Codec& codec_;
  const CodecOracle& oracle_;
  std::vector<Buffer> memory_;  // of the spans below
  absl::Span<float> in_;
  absl::Span<float> out_;
  absl::Span<float> residual_;
  absl::Span<float> before_;
  absl::Span<float> copy_;
  std::vector<std::byte> encoded_;
  int64_t bytes_ = 0;
};

double MicrosecondsACall(Clock::time_point begin, int64_t calls) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count() /
         static_cast<double>(calls);
}

// One pair: memcpy, then the operation.
absl::Status RunPair(int64_t burst, bool is_cold, Subject* subject, CodecTimes* times) {
  if (is_cold) subject->TakeOut();
  const Clock::time_point copy_begin = Clock::now();
  for (int64_t i = 0; i < burst; ++i) subject->Copy();
  times->copy_us.push_back(MicrosecondsACall(copy_begin, burst));
  if (is_cold) subject->TakeOut();
  const Clock::time_point begin = Clock::now();
  for (int64_t i = 0; i < burst; ++i) RM_RETURN_IF_ERROR(subject->Run(times->operation));
  times->times_us.push_back(MicrosecondsACall(begin, burst));
  return absl::OkStatus();
}

absl::StatusOr<CodecResult> Measure(const CodecBench& bench, const std::string& name,
                                    int64_t size_bytes) {
  const CodecSpec spec = SpecOf(name, bench);
  RM_ASSIGN_OR_RETURN(const auto codec, CreateCodec(spec));
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Subject> subject,
                      Subject::Create(spec, *codec, size_bytes, bench.buffers));
  CodecResult result{name, size_bytes, 0, {}};
  for (const char* operation : {"encode", "decode", "decode_add", "encode_feedback"}) {
    result.operations.push_back({operation, 0, {}, {}});
  }
  // What is taken out of the caches is so for one call.
  const bool is_cold = bench.buffers.is_cold();
  const int64_t burst = is_cold ? 1 : std::max<int64_t>(1, kBurstBytes / size_bytes);
  // The first iterations touch the memory and say how many there are to be.
  double slowest_us = 1;
  for (int warm_up = 0; warm_up < 3; ++warm_up) {
    slowest_us = 1;
    for (CodecTimes& times : result.operations) {
      RM_RETURN_IF_ERROR(RunPair(burst, is_cold, subject.get(), &times));
      slowest_us = std::max(
          slowest_us, (times.times_us.back() + times.copy_us.back()) * static_cast<double>(burst));
      times.times_us.clear();
      times.copy_us.clear();
    }
  }
  const auto affordable = static_cast<int64_t>(kSecondsPerOperation * 1e6 / slowest_us);
  const int64_t iterations =
      bench.iterations > 0 ? bench.iterations : std::clamp<int64_t>(affordable, 10, 1000);
  for (int64_t i = 0; i < iterations; ++i) {
    for (CodecTimes& times : result.operations)
      RM_RETURN_IF_ERROR(RunPair(burst, is_cold, subject.get(), &times));
  }
  RM_RETURN_IF_ERROR(subject->Check());
  result.encoded_bytes = subject->encoded_bytes();
  for (CodecTimes& times : result.operations) {
    times.moved_bytes = MovedBytes(times.operation, size_bytes, result.encoded_bytes,
                                   codec->IndexBytes({1}, {size_bytes / 4, result.encoded_bytes}));
  }
  return result;
}

}  // namespace

std::vector<std::string> LossyCodecs() {
  std::vector<std::string> names;
  for (const CodecInfo& codec : CodecsAndReducers()) {
    if (!codec.traits.exact) names.push_back(codec.name);
  }
  return names;
}

int64_t MovedBytes(const std::string& operation, int64_t size_bytes, int64_t encoded_bytes,
                   int64_t index_bytes) {
  if (operation == "encode" || operation == "decode") return size_bytes + encoded_bytes;
  if (operation == "encode_feedback")
    return 3 * size_bytes + encoded_bytes;  // gradient, residual read and written
  RM_CHECK(operation == "decode_add");
  const int64_t touched =
      index_bytes == 0 ? size_bytes : std::min(size_bytes, index_bytes / 4 * kCacheLine);
  return 2 * touched + encoded_bytes;
}

absl::Status CheckCodecBench(const CodecBench& bench, int64_t memory_bytes) {
  if (bench.codecs.empty() || bench.sizes.empty()) {
    return absl::InvalidArgumentError(
        "bench codec: no codec or no size; name at least one of each");
  }
  std::set<std::string> seen;
  for (const std::string& name : bench.codecs) {
    if (FindReducer(name) == nullptr) RM_RETURN_IF_ERROR(CreateCodec(SpecOf(name, bench)).status());
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("bench codec: codec \"", name, "\" is named twice; name it once"));
    }
  }
  RM_RETURN_IF_ERROR(CheckSettings(bench));
  const int64_t largest = *std::max_element(bench.sizes.begin(), bench.sizes.end());
  if (memory_bytes > 0 && largest * (kBuffers + 3) > memory_bytes / 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("bench codec: ", FormatSize(largest), " needs ", kBuffers + 3,
                     " buffers of that size, more than half of this machine's ", memory_bytes >> 20,
                     " MiB; ask for less"));
  }
  return absl::OkStatus();
}

absl::Status RunCodecBench(const CodecBench& bench,
                           const std::function<void(const CodecResult&)>& sink) {
  for (const std::string& name : bench.codecs) {
    for (const int64_t size_bytes : bench.sizes) {
      if (FindReducer(name) != nullptr) {
        RM_ASSIGN_OR_RETURN(
            const CodecResult result,
            MeasureReducer(name, ReducerSpecOf(name, bench), size_bytes, bench.iterations));
        sink(result);
        continue;
      }
      RM_ASSIGN_OR_RETURN(const CodecResult result, Measure(bench, name, size_bytes));
      sink(result);
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
