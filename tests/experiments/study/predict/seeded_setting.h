#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_SEEDED_SETTING_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_SEEDED_SETTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/params/param_layout.h"
#include "experiments/study/predict/costs.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What runs under seeds have in common: every arm that exchanges, with few and odd numbers of nodes
// and a model small enough for thousands of runs.

inline constexpr int64_t kSeededSteps = 6;
inline constexpr int64_t kSeededElements = 187;
inline constexpr int64_t kSeededBucketElements = 17;  // 11 buckets: more than may be in flight
inline constexpr double kMillisecond = 1e-3;

// What decides the weights at the end.
struct Setting {
  std::string arm;
  int32_t workers = 0;
  int32_t servers = 0;          // dedicated ones; 0: as the arm has it
  bool without_lambda = false;  // delays are compensated, by nothing
  std::string down = {};        // codec of the weights' way down; empty: none
  bool goes_on = false;         // without workers that are lost
  bool reforms = false;         // so, with a group that is formed anew

  std::string name() const;
};

// Of every arm of the registry that exchanges.
std::vector<Setting> SeededSettings();
// Those of them whose workers may go on without a lost one, and do.
std::vector<Setting> GoingOnSettings();
// Those whose group may be formed anew, and is.
std::vector<Setting> ReformingSettings();

// Resolved.
RunSpec SpecOf(const Setting& setting);
std::vector<float> SeededWeights();

// Whether weights can say which gradients are in them: of the spec's arm each is applied as it is.
bool CountsLots(const RunSpec& spec);
// SpecOf; and where lots are counted, weights are minus the sum of all gradients.
RunSpec FaultSpecOf(const Setting& setting);

// What computing and the network take: some milliseconds, which differ from seed to seed, link to
// link and step to step.
Costs DrawCosts(const RunSpec& spec, const ParamLayout& layout, int32_t processes, Random* random);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_SEEDED_SETTING_H_
