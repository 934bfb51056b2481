#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_INPUTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_INPUTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Of the weights that a run starts from: equal on all ranks.
uint64_t WeightsFingerprint(absl::Span<const float> weights);

// What runs will read, before any is started; each set of files is read once. One thread at a time.
class InputsReader {
 public:
  // What a run of the resolved spec reads and would record, were it to start now. Synthetic data
  // follow from the spec and are not made; their facts stay empty. A program is asked once of what
  // files it is (AskProgram), where the spec says how it is started. Errors are those of loading, a
  // file that is missing or damaged, by name; and of asking.
  absl::StatusOr<RunInputs> Read(const RunSpec& resolved);

 private:
  absl::Status AddProgram(const RunSpec& resolved, RunInputs* inputs);

  std::map<std::string, RunInputs> read_;        // by what of a spec decides it
  std::map<std::string, std::string> programs_;  // fingerprints of their files, by command
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_INPUTS_H_
