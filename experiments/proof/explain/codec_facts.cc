#include "experiments/proof/explain/codec_facts.h"

#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/half_counts.h"
#include "common/codec/memory.h"
#include "common/codec/oracle.h"
#include "common/codec/reducer.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kShownFloats = 1 << 16;
// Steps in which a warm-up or a ramp is looked for; longer ones are told as far as this.
constexpr int64_t kHorizon = 1 << 20;

// A gradient to show encodings by: normal, its seed fixed.
std::vector<float> ShownGradient() {
  std::vector<float> gradient(kShownFloats);
  Random random(1);
  for (float& value : gradient) value = random.Normal();
  return gradient;
}

// "codec.density = 0.01: share of elements kept".
std::string Options(const CodecSpec& spec) {
  std::string text;
  for (const CodecOption& option : FindCodec(spec.name())->options) {
    if (!option.is_set(spec)) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", "codec.", option.field, " = ",
                    option.value(spec), " (", option.meaning, ")");
  }
  return text.empty() ? "It has none." : text + ".";
}

std::string Remembered(const CodecSpec& spec, const CodecTraits& traits,
                       const ParamLayout& layout) {
  const int64_t bytes = CodecMemoryBytes(spec, layout.count());
  std::string text;
  if (traits.memory_floats > 0) {
    text = absl::StrCat("A memory of its own, ", traits.memory_floats,
                        " floats an element: what is not sent yet adds up there");
  } else if (HasErrorFeedback(spec)) {
    text = "What an encoding leaves out is added to the next step's gradient (error feedback)";
    if (spec.has_feedback_decay() && spec.feedback_decay() != 1)
      absl::StrAppend(&text, ", times ", spec.feedback_decay());
  } else {
    return "Nothing: what an encoding leaves out is lost.";
  }
  if (bytes > 0) absl::StrAppend(&text, "; ", bytes, " bytes at each worker");
  absl::StrAppend(&text, ".");
  if (traits.has_momentum) {
    absl::StrAppend(&text,
                    " It sums gradients up with a momentum, so whoever holds the weights must use "
                    "plain sgd.");
  }
  return text;
}

// How the size of an encoding changes with the step: where it does, and to what.
std::string Sizes(const Codec& codec) {
  constexpr int kShownMax = 6;
  std::string text;
  int64_t last = 0;
  int shown = 0;
  for (int64_t step = 0; step < kHorizon && shown < kShownMax; ++step) {
    const int64_t bytes = codec.MaxBytesIn(step, kShownFloats);
    if (bytes == last) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", bytes, " bytes from step ", step, " on");
    last = bytes;
    ++shown;
  }
  return shown < 2 ? "" : absl::StrCat("Of ", kShownFloats, " floats ", text, ".");
}

// Tensors that go as floats.
std::string SmallTensors(const CodecSpec& spec, const ParamLayout& layout) {
  int64_t tensors = 0, floats = 0;
  for (const Param& param : layout.params()) {
    if (param.count >= spec.min_tensor_elements()) continue;
    ++tensors;
    floats += param.count;
  }
  return absl::StrCat("Tensors of fewer than ", spec.min_tensor_elements(),
                      " elements go as floats, in front of the encoding of the others: ", tensors,
                      " of ", layout.params().size(), ", ", floats, " of ", layout.count(),
                      " floats.");
}

std::string Added(const CodecTraits& codec, const SchemeTraits& traits) {
  std::string text;
  if (traits.servers > 0) {
    text = absl::StrCat(traits.servers == 1 ? "The server decodes every push and adds"
                                            : "The servers decode every push and add",
                        traits.weights_encoded
                            ? " floats; differences of weights come back encoded too."
                            : " floats; weights come back as floats, not encoded.");
  } else if (codec.summable_as.has_value()) {
    text = absl::StrFormat(
        "Encodings are added on the wire as they are, %d bytes an element, and decoded once "
        "summed.",
        ElementBytes(*codec.summable_as));
  } else {
    text =
        "Encodings cannot be added on the wire: every worker gets all of them, decodes them in "
        "rank order, its own too, and adds. So the bytes grow with N.";
  }
  if (!codec.majority_vote) return text;
  return absl::StrCat(
      text,
      traits.updates == Updates::kTogether
          ? " Each element of the sum is replaced by its sign, -1, 0 or 1: a majority vote of the "
            "workers, by which every weight moves by the whole learning rate, or not at all."
          : " There is no vote where an update is made on arrival: every push moves all weights, "
            "by the learning rate over N.");
}

// What is drawn, and by whom.
std::string Drawn(const CodecTraits& traits) {
  return traits.summable_as.has_value()
             ? "All workers draw alike, from the seed, the step and the bucket; so what was drawn "
               "is not sent."
             : "Each sender draws for itself, from the seed and the batch it has computed.";
}

// Of a codec that is summed in rounds, by one matrix.
absl::StatusOr<std::vector<Fact>> ReducerFacts(const CodecSpec& spec,
                                               const ReducerDefinition& definition,
                                               const ParamLayout& model) {
  std::vector<float> average = ShownGradient();
  const std::vector<float> gradient = average;
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(kShownFloats)));
  Param param;
  param.name = "weight";
  param.shape = {side, side};
  const ParamLayout layout({param}, 1, BucketLayout::kWholeTensors);
  RM_RETURN_IF_ERROR(definition.check(spec, layout));
  RM_ASSIGN_OR_RETURN(const auto reducer, definition.create(spec, layout, 1));
  absl::StatusOr<ReducerRound> round =
      reducer->Begin(spec.warmup_steps(), 0, absl::MakeSpan(average));
  std::vector<size_t> sums;
  while (round.ok() && !round->floats.empty()) {
    sums.push_back(round->floats.size());
    round = reducer->Summed(0);
  }
  RM_RETURN_IF_ERROR(round.status());
  const size_t floats = std::accumulate(sums.begin(), sums.end(), size_t{0});
  for (size_t i = 0; i < average.size(); ++i) average[i] -= gradient[i];
  std::vector<Fact> facts;
  facts.push_back(
      {"codec",
       absl::StrFormat(
           "%s sums a bucket in %d rounds, one after the other, each by the messages "
           "above: of a matrix of %d by %d it sums %s floats in place of %d (%.3g %%). "
           "Vectors are summed as they are, in the first round.",
           spec.name(), sums.size(), side, side, absl::StrJoin(sums, " and "), gradient.size(),
           100.0 * static_cast<double>(floats) / static_cast<double>(gradient.size()))});
  facts.push_back({"options", Options(spec)});
  facts.push_back(
      {"left out",
       absl::StrFormat("Of a random normal matrix, which has no direction of its own, the first "
                       "step leaves out %.2g %% of the energy. Gradients have such directions, and "
                       "every step begins where the last one ended.",
                       100 * Energy(average) / Energy(gradient))});
  facts.push_back({"remembered",
                   absl::StrCat(HasErrorFeedback(spec)
                                    ? "What a step leaves out is added to the next step's gradient "
                                      "(error feedback). With all that it works on it keeps "
                                    : "What a step leaves out is lost. All that it works on takes ",
                                definition.memory_bytes(spec, model), " bytes at each worker.")});
  if (spec.warmup_steps() > 0) {
    facts.push_back({"warm-up", absl::StrCat("In the first ", spec.warmup_steps(),
                                             " steps gradients are summed as floats.")});
  }
  return facts;
}

}  // namespace

absl::StatusOr<int64_t> SettledStep(const CodecSpec& spec) {
  if (FindReducer(spec.name()) != nullptr) return spec.warmup_steps();
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec));
  int64_t settled = 0;
  for (int64_t step = 1; step < kHorizon; ++step) {
    if (codec->MaxBytesIn(step, kShownFloats) != codec->MaxBytesIn(step - 1, kShownFloats))
      settled = step;
  }
  return settled;
}

absl::StatusOr<std::vector<Fact>> CodecFacts(const CodecSpec& spec, const SchemeTraits& traits,
                                             const ParamLayout& layout) {
  if (const ReducerDefinition* reducer = FindReducer(spec.name()))
    return ReducerFacts(spec, *reducer, layout);
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec));
  if (codec->traits().exact) return std::vector<Fact>();
  const std::vector<float> gradient = ShownGradient();
  // With warm-up and ramp behind it.
  CodecStream stream;
  RM_ASSIGN_OR_RETURN(stream.step, SettledStep(spec));
  std::vector<std::byte> encoding(codec->MaxEncodedBytes(kShownFloats));
  const auto memory = CreateCodecMemory(*codec, {kShownFloats, traits.workers}, spec);
  encoding.resize(memory->Encode(stream, 0, gradient, absl::MakeSpan(encoding)));
  std::vector<float> lost = gradient, decoded(gradient.size());
  RM_RETURN_IF_ERROR(codec->Decode(stream, encoding, absl::MakeSpan(decoded)));
  for (size_t i = 0; i < lost.size(); ++i) lost[i] -= decoded[i];
  const auto bytes = static_cast<int64_t>(encoding.size());
  constexpr int64_t kPlain = kShownFloats * kFloatBytes;
  const int64_t indices = codec->IndexBytes(stream, {kShownFloats, bytes});
  std::vector<Fact> facts;
  facts.push_back(
      {"codec",
       absl::StrCat(
           absl::StrFormat("A gradient is sent as its encoding by %s: %d bytes for %d "
                           "floats (%.3g %% of their %d bytes)",
                           spec.name(), bytes, kShownFloats, 100.0 * bytes / kPlain, kPlain),
           indices > 0 ? absl::StrCat(", of which ", indices, " are indices") : "",
           codec->traits().fixed_size
               ? "."
               : ". How many depends on the values: this is a normal gradient's.")});
  facts.push_back({"options", Options(spec)});
  const double share = Energy(lost) / Energy(gradient);
  facts.push_back(
      {"left out",
       codec->traits().unbiased
           ? absl::StrFormat("It is unbiased: on average over the draws nothing. One encoding of a "
                             "random normal gradient is off by %.3g times the energy.",
                             share)
           : absl::StrFormat("Of a random normal gradient %.2g %% of the energy.", 100 * share)});
  facts.push_back({"remembered", Remembered(spec, codec->traits(), layout)});
  facts.push_back({"added up", Added(codec->traits(), traits)});
  if (codec->traits().is_random) facts.push_back({"drawn", Drawn(codec->traits())});
  if (const std::string sizes = Sizes(*codec); !sizes.empty()) facts.push_back({"sizes", sizes});
  if (spec.min_tensor_elements() > 0)
    facts.push_back({"small tensors", SmallTensors(spec, layout)});
  if (AreHalves(*codec)) {
    const HalfTally halves = CountHalves(gradient, encoding);
    facts.push_back(
        {"halves", absl::StrFormat(
                       "Of its %d halves %d are 0 where the gradient is not, %d subnormal and %d "
                       "saturated. Of a run's own, those of one step in %d are counted: --columns "
                       "halves_zero_share,halves_subnormal_share,halves_saturated_share.",
                       halves.elements, halves.zeros, halves.subnormals, halves.saturated,
                       kStepsForEachHalfCount)});
  }
  return facts;
}

}  // namespace ringmaster
