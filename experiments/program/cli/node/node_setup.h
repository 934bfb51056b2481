#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_NODE_SETUP_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_NODE_SETUP_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/message.h"
#include "experiments/program/cli/parser/parser.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/run/attempts/hook_files.h"
#include "experiments/program/run/node.h"
#include "experiments/program/run/programs/description.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What `ringmaster node` is told on its command line, and so are programs of the user's.
struct NodeFlags {
  SpecFlags spec;
  std::string spec_file;
  std::string arm;
  std::string out = "ringmaster-out";
  std::optional<int> rank;
  std::optional<int> world_size;
  std::string coordinator;
  std::optional<int> device;
  bool joins = false;    // somebody else leads, rank 0 included
  std::string resolved;  // fingerprint of the spec, which who started this rank has resolved and
                         // validated; empty: nobody has
  HookFiles hooks;       // of whoever started this rank
  bool resume = false;
};

// Declares all of them on `command`; `*flags` outlives the parsing.
void DeclareNodeFlags(Command command, NodeFlags* flags);

// One rank of a run, ready to take part.
struct NodeSetup {
  RunSpec spec;              // resolved and valid
  NodeOptions options;       // without `own`, `ends` and `is_led`
  bool leads = false;        // it is rank 0, and nobody else leads the run
  bool is_launched = false;  // somebody else leads the run, rank 0 included
  std::string out;           // where who leads keeps the record
  bool has_coordinator_flag = false;
  std::vector<NodeId> nodes;
  std::string name;  // "worker/1+server/1"
};

// What flags leave open, the environment of the rank's launcher says. `program`: what the program
// in this process trains, which fills in what the spec leaves out of it, and must be what the spec
// says; null: there is none. Errors are the user's to mend.
absl::StatusOr<NodeSetup> SetUpNode(NodeFlags flags, const ProgramDescription* program);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_NODE_NODE_SETUP_H_
