#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_DESCRIPTION_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_DESCRIPTION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/data_spec.pb.h"
#include "proto/model_spec.pb.h"

namespace ringmaster {

class RunSpec;

// What a program of the user's says of itself when it opens its session.
struct ProgramDescription {
  ProgramModelSpec model;      // its tensors; no command
  ProgramDataSpec data;        // how many samples there are
  std::string fingerprint;     // of its files, FingerprintOfFiles
  std::vector<float> weights;  // the arena that it starts from; empty: it gave none
};

// As bytes, for the file that a launcher names to a program that it asks (AskProgram); and back.
// InvalidArgument: no such bytes, as where the program ended while it wrote.
std::string SerializeDescription(const ProgramDescription& description);
absl::StatusOr<ProgramDescription> ParseDescription(absl::string_view bytes);

// One SHA-256 of names (without folders) and contents of these files, in the order of their names.
// NotFound and others name the file.
absl::StatusOr<std::string> FingerprintOfFiles(std::vector<std::string> paths);

// Whether the program `described` trains what the resolved spec says. InvalidArgument names the
// first tensor that differs, with both shapes, or the numbers of samples.
absl::Status CheckDescription(const ProgramDescription& described, const RunSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_DESCRIPTION_H_
