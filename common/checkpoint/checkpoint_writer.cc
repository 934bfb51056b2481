#include "common/checkpoint/checkpoint_writer.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/system_error.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/log/log.h"

namespace ringmaster {
namespace {

absl::Status WriteInFolder(const std::string& folder, const Checkpoint& checkpoint) {
  const std::string step_folder = CheckpointStepFolder(folder, checkpoint.header.step);
  std::error_code error;
  std::filesystem::create_directories(step_folder, error);
  if (error) return SystemError(error.value(), absl::StrCat("cannot make ", step_folder));
  return WriteCheckpoint(CheckpointFile(folder, checkpoint.header.step, checkpoint.header.node),
                         checkpoint);
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointPlace place)
    : place_(std::move(place)), thread_([this] { Write(); }) {
  RM_CHECK(place_.own_nodes > 0 && place_.kept > 0);
}

CheckpointWriter::~CheckpointWriter() {
  {
    absl::MutexLock lock(&mutex_);
    stops_ = true;
  }
  thread_.join();
}

void CheckpointWriter::Keep(const std::string& node, int64_t step, State state,
                            std::string report) {
  Checkpoint checkpoint;
  checkpoint.header = {
      place_.run, place_.inputs, place_.writer, node, static_cast<int32_t>(place_.nodes.size()),
      step};
  checkpoint.state = std::move(state);
  checkpoint.report = std::move(report);
  absl::MutexLock lock(&mutex_);
  const auto has_room = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return waiting_.size() < place_.own_nodes;
  };
  mutex_.Await(absl::Condition(&has_room));
  waiting_.push_back(std::move(checkpoint));
}

CheckpointWriter::Outcome CheckpointWriter::Finish() {
  absl::MutexLock lock(&mutex_);
  const auto is_written = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return waiting_.empty(); };
  mutex_.Await(absl::Condition(&is_written));
  return outcome_;
}

void CheckpointWriter::Write() {
  for (;;) {
    const Checkpoint* next = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return stops_ || !waiting_.empty();
      };
      mutex_.Await(absl::Condition(&has_work));
      if (waiting_.empty()) return;
      next = &waiting_.front();  // stays in place until it is taken out
    }
    WriteOne(*next);
    absl::MutexLock lock(&mutex_);
    waiting_.pop_front();
  }
}

void CheckpointWriter::WriteOne(const Checkpoint& checkpoint) {
  const absl::Status status = WriteInFolder(place_.folder, checkpoint);
  if (status.ok() && place_.prunes) PruneCheckpoints(place_.folder, place_.nodes, place_.kept);
  if (status.ok()) {
    Log(LogLevel::kDebug,
        absl::StrCat(checkpoint.header.node, " is kept before step ", checkpoint.header.step));
  }
  bool is_first = false;
  {
    absl::MutexLock lock(&mutex_);
    if (status.ok()) {
      ++outcome_.written;
      return;
    }
    is_first = outcome_.failed++ == 0;
    if (is_first) outcome_.first_failure = std::string(status.message());
  }
  if (!is_first) return;
  Log(LogLevel::kWarning,
      absl::StrCat("no checkpoint of ", checkpoint.header.node, " at step ", checkpoint.header.step,
                   ": ", status.message(),
                   "; training goes on, the checkpoints before it stay, and later failures are "
                   "counted without a word"));
}

}  // namespace ringmaster
