#ifndef RINGMASTER_TESTS_CLUSTER_RESTARTS_RESTARTED_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_RESTARTS_RESTARTED_RUN_H_

#include <map>
#include <string>
#include <vector>

#include "proto/run_record.pb.h"

namespace ringmaster {

// Runs of the real program whose processes are started again.

// Steps of these runs, and from one checkpoint to the next. Who has begun step 41 has kept the
// checkpoint of step 40 behind that of step 20, which is on the disk.
inline constexpr int kRestartedSteps = 60;
inline constexpr int kRestartedEvery = 20;

// Arguments of `compare` for these arms with `on_failure` RESTART; `more` comes last.
std::vector<std::string> CompareRestarting(const std::string& arms, const std::string& out,
                                           const std::vector<std::string>& more);

// Makes such a comparison, which must end well and leave no process and no checkpoint. Returns the
// records by arm; none where the test has failed.
std::map<std::string, RunRecord> MakeRestarting(const std::string& arms,
                                                const std::vector<std::string>& more);

// The run has lost the process of `node` in step `step`, and was started again from a checkpoint;
// its record is complete, and its clock has what that cost.
void ExpectRestarted(const RunRecord& record, const std::string& node, int step);

// Both ended with the same weights, losses, scores and byte counts.
void ExpectSameBits(const RunRecord& record, const RunRecord& whole);

// Every lot was computed by one worker.
void ExpectEveryLotOnce(const RunRecord& record);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_RESTARTS_RESTARTED_RUN_H_
