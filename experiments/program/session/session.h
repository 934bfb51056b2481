#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/control/end_request.h"
#include "common/params/param_layout.h"
#include "experiments/program/cli/node/node_setup.h"
#include "experiments/program/run/programs/description.h"
#include "experiments/program/session/handover.h"
#include "experiments/program/session/ringmaster.h"

namespace ringmaster {

// A program's part in a run: what `ringmaster node` does, on threads of its own, with the program's
// gradients (ringmaster.h has the contracts). The public functions may be called by any thread.
class Session {
 public:
  // Takes part in the run that the launcher has said, else in that of `arguments`. Where the
  // launcher asks what the program trains, tells it and ends the process. `fingerprint`: of the
  // program's files, and the description's own does not count. Keeps a copy of the weights, and
  // only where no file has them.
  static absl::StatusOr<std::unique_ptr<Session>> Open(const ProgramDescription& program,
                                                       std::string fingerprint,
                                                       const std::vector<std::string>& arguments);
  // After Close.
  ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const RunSpec& spec() const { return setup_.spec; }
  ringmaster_facts facts() const;
  Handover& handover() { return *handover_; }

  // ringmaster_fail.
  void Fail(const std::string& reason);

  // Ends all threads; the run fails unless it is over. Returns its status. Once.
  absl::Status Close();

 private:
  explicit Session(NodeSetup setup);

  void Start();
  // On the session's thread.
  absl::Status Run();
  absl::Status Lead();
  // Has the whole run end with this, which the loop may not hear soon.
  void AskForTheEnd(const absl::Status& why);
  absl::Status EndAskedFor() const;
  void AwaitClose();

  NodeSetup setup_;
  std::vector<float> weights_;  // that the program starts from; the run's once it has taken them
  std::optional<ParamLayout> layout_;
  std::optional<Handover> handover_;
  OwnProgram own_;
  EndRequest ends_;
  const float* final_weights_ = nullptr;  // the step thread's, until the run is over

  mutable absl::Mutex mutex_;
  absl::Status asked_end_ ABSL_GUARDED_BY(mutex_);
  bool is_closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);  // of the run, once it is over

  std::thread thread_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_SESSION_H_
