// The check of a reducer, against its definition in double precision, passes what the registry has
// and finds what is broken on purpose.
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/codec_spec.pb.h"
#include "tests/common/codec/powersgd_oracle.h"
#include "tests/common/codec/reducer_cluster.h"

namespace ringmaster {
namespace {

using Arena = ReducerCluster::Arena;
using Matrix = PowersgdOracle::Matrix;

constexpr int32_t kRanks = 3;
constexpr int64_t kRows = 24, kColumns = 30, kVector = 10;
constexpr uint64_t kSeed = 5;

// A matrix and a vector in one bucket.
ParamLayout Layout() {
  Param matrix, vector;
  matrix.name = "weight";
  matrix.shape = {kRows, kColumns};
  vector.name = "bias";
  vector.shape = {kVector};
  return ParamLayout({matrix, vector}, 10000, BucketLayout::kWholeTensors);
}

CodecSpec Spec(int32_t rank = 2, bool error_feedback = true) {
  CodecSpec spec;
  spec.set_name("powersgd");
  spec.set_rank(rank);
  spec.set_error_feedback(error_feedback);
  return spec;
}

std::unique_ptr<Reducer> Real(const CodecSpec& spec, uint64_t seed = kSeed) {
  return *FindReducer(spec.name())->create(spec, Layout(), seed);
}

Arena ArrayOf(const State& state, const std::string& name) {
  for (const State::Entry& entry : state.entries()) {
    if (entry.name == name) return std::get<Arena>(entry.value);
  }
  return {};
}

// A real reducer, to whose gradient or average something is done.
class BentReducer : public Reducer {
 public:
  using Bend = std::function<void(Reducer* reducer, absl::Span<float> gradient)>;
  BentReducer(std::unique_ptr<Reducer> reducer, Bend before, Bend after)
      : reducer_(std::move(reducer)), before_(std::move(before)), after_(std::move(after)) {}
  ReducerRound Begin(int64_t step, int32_t bucket, absl::Span<float> gradient) override {
    gradient_ = gradient;
    if (before_ != nullptr) before_(reducer_.get(), gradient);
    return reducer_->Begin(step, bucket, gradient);
  }
  absl::StatusOr<ReducerRound> Summed(int32_t bucket) override {
    auto round = reducer_->Summed(bucket);
    if (round.ok() && round->floats.empty() && after_ != nullptr) after_(reducer_.get(), gradient_);
    return round;
  }
  State Give() const override { return reducer_->Give(); }
  absl::Status Take(const State& state) override { return reducer_->Take(state); }

 private:
  const std::unique_ptr<Reducer> reducer_;
  const Bend before_, after_;
  absl::Span<float> gradient_;
};

using MakeReducer = std::function<std::unique_ptr<Reducer>(int32_t rank)>;

MakeReducer Bent(const CodecSpec& spec, BentReducer::Bend before, BentReducer::Bend after) {
  return [=](int32_t) { return std::make_unique<BentReducer>(Real(spec), before, after); };
}

std::vector<Arena> Gradients(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<Arena> gradients(kRanks, Arena(count));
  for (Arena& gradient : gradients) {
    for (float& value : gradient) value = random.Normal() / kRanks;
  }
  return gradients;
}

double RootMeanSquare(const Matrix& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares / static_cast<double>(values.size()));
}

// FailedPrecondition unless `average` is the oracle's matrix and the vector's sum.
absl::Status CheckAverage(const Arena& average, const Matrix& expected,
                          const std::vector<Arena>& before) {
  const double bound = 1e-4 * RootMeanSquare(expected);
  for (size_t i = 0; i < average.size(); ++i) {
    const bool is_matrix = i < expected.size();
    const double sum = is_matrix ? expected[i] : double{before[0][i]} + before[1][i] + before[2][i];
    if (std::fabs(average[i] - sum) <= bound) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("element ", i, " is ", average[i], ", expected ", sum));
  }
  return absl::OkStatus();
}

// FailedPrecondition unless the reducers do what algorithms 1 and 2 of Vogels et al. say, with the
// elements that the oracle states, and leave the same bits on every rank.
absl::Status CheckPowersgd(const CodecSpec& spec, const MakeReducer& make) {
  const ParamLayout layout = Layout();
  std::vector<std::unique_ptr<Reducer>> reducers;
  for (int32_t rank = 0; rank < kRanks; ++rank) reducers.push_back(make(rank));
  ReducerCluster cluster(std::move(reducers), layout);
  const Arena q = ArrayOf(Real(spec)->Give(), "q");
  PowersgdOracle oracle(
      kRanks, kRows, kColumns, {q.begin(), q.end()},
      spec.error_feedback() ? PowersgdOracle::Keeps::kLessOwn : PowersgdOracle::Keeps::kNothing);
  int64_t elements = 0;
  for (int64_t step = 0; step < 6; ++step) {
    std::vector<Arena> gradients = Gradients(layout.count(), 100 + step);
    const std::vector<Arena> before = gradients;
    const absl::Status summed = cluster.Step(step, &gradients);
    if (!summed.ok()) return summed;
    for (const Bucket& bucket : layout.buckets()) {
      for (const int64_t round :
           FindReducer("powersgd")->oracle->round_elements(spec, layout, bucket, step)) {
        elements += round;
      }
    }
    if (cluster.summed_elements() != elements) {
      return absl::FailedPreconditionError(
          absl::StrCat(cluster.summed_elements(), " elements are summed, expected ", elements));
    }
    std::vector<Matrix> parts;
    for (const Arena& gradient : before)
      parts.emplace_back(gradient.begin(), gradient.begin() + kRows * kColumns);
    const Matrix expected = oracle.Step(parts);
    for (const Arena& average : gradients) {
      const absl::Status status = CheckAverage(average, expected, before);
      if (!status.ok()) return status;
      if (average != gradients[0]) return absl::FailedPreconditionError("ranks differ");
    }
  }
  return absl::OkStatus();
}

struct BrokenReducer {
  std::string what;
  CodecSpec spec;
  MakeReducer make;
};

std::vector<BrokenReducer> PowersgdTwins() {
  const auto adds_again = [](Reducer* reducer, absl::Span<float> gradient) {
    const Arena kept = ArrayOf(reducer->Give(), "residual");
    for (size_t i = 0; i < kept.size(); ++i) gradient[i] += kept[i];
  };
  const State at_first = Real(Spec(2, false))->Give();
  const auto starts_cold = [at_first](Reducer* reducer, absl::Span<float>) {
    EXPECT_TRUE(reducer->Take(at_first).ok());
  };
  const auto loses_one = [](Reducer*, absl::Span<float> gradient) { gradient[7] = 0; };
  const auto too_much = [](Reducer*, absl::Span<float> average) {
    for (float& value : average) value *= 1.001f;
  };
  return {
      {"the memory is off", Spec(), [](int32_t) { return Real(Spec(2, false)); }},
      {"the memory is on", Spec(2, false), [](int32_t) { return Real(Spec()); }},
      {"what is kept is added twice", Spec(), Bent(Spec(), adds_again, nullptr)},
      {"every step starts cold", Spec(2, false), Bent(Spec(2, false), starts_cold, nullptr)},
      {"one rank has another seed", Spec(),
       [](int32_t rank) { return Real(Spec(), rank == 1 ? kSeed + 1 : kSeed); }},
      {"another rank", Spec(), [](int32_t) { return Real(Spec(3)); }},
      {"an element is lost", Spec(), Bent(Spec(), loses_one, nullptr)},
      {"the average is too large", Spec(), Bent(Spec(), nullptr, too_much)},
  };
}

// By the codec's name: its check of the real one, and its twins.
std::map<std::string, std::vector<BrokenReducer>> Twins() {
  return {{"powersgd", PowersgdTwins()}};
}

TEST(BrokenReducers, AreFound) {
  for (const bool error_feedback : {true, false}) {
    const CodecSpec spec = Spec(2, error_feedback);
    EXPECT_EQ(CheckPowersgd(spec, [&](int32_t) { return Real(spec); }), absl::OkStatus());
  }
  for (const BrokenReducer& twin : PowersgdTwins())
    EXPECT_NE(CheckPowersgd(twin.spec, twin.make), absl::OkStatus()) << twin.what;
}

TEST(BrokenReducers, AreThereForEveryCodecThatIsSummedInRounds) {
  const auto twins = Twins();
  for (const CodecInfo& info : CodecsAndReducers()) {
    if (!info.traits.in_rounds) continue;
    const auto found = twins.find(info.name);
    ASSERT_NE(found, twins.end()) << info.name;
    EXPECT_FALSE(found->second.empty()) << info.name;
  }
}

}  // namespace
}  // namespace ringmaster
