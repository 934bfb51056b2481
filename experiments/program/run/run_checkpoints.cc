#include "experiments/program/run/run_checkpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/fingerprint.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/comparable.h"
#include "common/log/log.h"
#include "experiments/program/run/placement.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// How the run that was told `run` differs from the spec's.
std::string DifferenceTo(const RunSpec& spec, const std::string& run) {
  RunSpec there, here;
  if (!there.ParseFromString(run)) return "its settings are of another program version";
  here.ParseFromString(CheckpointedRun(spec));
  const std::string difference = DifferenceText(there, here);
  return difference.empty() ? "its settings are of another program version" : difference;
}

// What `node` has kept before the spec's resume_step, if it is of this run and these inputs.
absl::StatusOr<Checkpoint> ReadOwn(const RunSpec& spec, const std::string& node, uint64_t inputs) {
  const std::string path =
      CheckpointFile(spec.output().checkpoints(), spec.output().resume_step(), node);
  RM_ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(path));
  if (checkpoint.header.run != CheckpointedRun(spec)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "checkpoint ", path,
        ": it is of another run than this spec's: ", DifferenceTo(spec, checkpoint.header.run)));
  }
  if (checkpoint.header.inputs != inputs) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint ", path,
                     ": it was made with other data, initial weights or another layout of the "
                     "model; begin anew in another folder"));
  }
  return checkpoint;
}

// Makes this run the folder's only one until the file is closed. FailedPrecondition: another has
// it.
absl::StatusOr<Fd> LockCheckpoints(const std::string& folder) {
  Fd file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.valid())
    return SystemError(errno, absl::StrCat("output.checkpoints ", folder, ": cannot open it"));
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    // A file system without locks has one run in a folder only where users see to it.
    if (errno != EINTR && errno != EWOULDBLOCK) return file;
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat("output.checkpoints ", folder,
                       ": another run keeps its checkpoints there now; wait for it, or give "
                       "another folder (--out or --checkpoints)"));
    }
  }
  return file;
}

}  // namespace

absl::Status CheckNoCheckpoints(const std::string& folder) {
  const std::vector<int64_t> steps = CheckpointSteps(folder);
  if (steps.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "output.checkpoints ", folder, ": there are checkpoints already, the newest of step ",
      steps.front(), "; go on from them (--resume), or remove the folder"));
}

void RemoveCheckpoints(const RunSpec& spec) {
  const std::string& folder = spec.output().checkpoints();
  if (folder.empty()) return;
  const absl::Status removed = RemoveCheckpointsAfter(folder, 0);
  if (!removed.ok()) Log(LogLevel::kWarning, removed.message());
  std::error_code error;
  std::filesystem::remove(folder, error);  // not what the user keeps there
}

std::string CheckpointedRun(const RunSpec& resolved) {
  RunSpec outcome = resolved;
  outcome.clear_name();
  outcome.clear_output();
  outcome.clear_limits();
  outcome.mutable_transport()->clear_listen_address();
  outcome.mutable_transport()->clear_allow_remote();
  outcome.mutable_transport()->clear_security();
  outcome.mutable_strategy()->clear_on_failure();
  return outcome.SerializeAsString();
}

std::vector<std::string> NodeNames(const RunSpec& resolved) {
  std::vector<std::string> names;
  for (const std::vector<NodeId>& process : PlaceNodes(resolved)) {
    for (const NodeId& node : process) names.push_back(ToString(node));
  }
  return names;
}

absl::StatusOr<std::unique_ptr<RunCheckpoints>> RunCheckpoints::Open(const RunSpec& spec,
                                                                     const Process& process) {
  std::unique_ptr<RunCheckpoints> checkpoints(new RunCheckpoints());
  const OutputSpec& output = spec.output();
  if (output.checkpoints().empty()) return checkpoints;
  CheckpointPlace place;
  place.folder = output.checkpoints();
  place.run = CheckpointedRun(spec);
  place.inputs = Fingerprint64(process.inputs);
  place.writer = Fingerprint64(process.token);
  place.nodes = NodeNames(spec);
  place.own_nodes = process.nodes.size();
  place.kept = output.checkpoints_kept();
  place.prunes = process.leads;
  if (place.prunes) {
    RM_ASSIGN_OR_RETURN(checkpoints->lock_, LockCheckpoints(place.folder));
  }
  if (output.has_resume_step()) {
    for (const NodeId& node : process.nodes) {
      RM_ASSIGN_OR_RETURN(Checkpoint before, ReadOwn(spec, ToString(node), place.inputs));
      checkpoints->before_[ToString(node)] = std::make_unique<Checkpoint>(std::move(before));
    }
  } else if (place.prunes) {
    RM_RETURN_IF_ERROR(CheckNoCheckpoints(place.folder));
  }
  if (place.prunes) RM_RETURN_IF_ERROR(RemoveCheckpointsAfter(place.folder, output.resume_step()));
  checkpoints->writer_ = std::make_unique<CheckpointWriter>(std::move(place));
  return checkpoints;
}

std::unique_ptr<Checkpoint> RunCheckpoints::TakeBefore(const std::string& node) {
  const auto found = before_.find(node);
  return found == before_.end() ? nullptr : std::move(found->second);
}

std::vector<std::string> ResumeFromNewest(RunSpec* spec) {
  CheckpointOwner owner;
  owner.run = CheckpointedRun(*spec);
  owner.nodes = NodeNames(*spec);
  owner.difference = [spec](const std::string& run) { return DifferenceTo(*spec, run); };
  const NewestCheckpoint newest = FindNewestCheckpoint(spec->output().checkpoints(), owner);
  spec->mutable_output()->clear_resume_step();
  if (newest.step > 0) spec->mutable_output()->set_resume_step(newest.step);
  return newest.refused;
}

}  // namespace ringmaster
