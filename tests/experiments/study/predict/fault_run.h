#ifndef RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_RUN_H_
#define RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_RUN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/message.h"
#include "common/config/describe.h"
#include "common/control/client_core.h"
#include "common/params/param_layout.h"
#include "common/scheme/scheme.h"
#include "experiments/program/run/formations/formation_core.h"
#include "experiments/study/predict/event_queue.h"
#include "experiments/study/simulate/worker_gradients.h"
#include "proto/control.pb.h"
#include "proto/run_spec.pb.h"
#include "tests/common/control/core_run.h"
#include "tests/experiments/study/predict/fault_formation.h"
#include "tests/experiments/study/predict/fault_world.h"
#include "tests/experiments/study/predict/seeded_setting.h"

namespace ringmaster {

enum class FaultKind {
  kKill,       // the process is gone
  kStop,       // it says nothing, and goes on later or never (SIGSTOP)
  kSlow,       // its workers compute several times as long from then on
  kCut,        // no message comes through between two processes, until it is healed, or never
  kBreak,      // the data connection of two processes breaks
  kHangUp,     // the stream between a process and the coordinator breaks
  kJoinTwice,  // somebody joins as a rank that has joined, or with another job's token
};
inline constexpr int kFaultKinds = 7;

struct Fault {
  FaultKind kind = FaultKind::kKill;
  int64_t at_event = 0;  // of the simulation
  int32_t process = 0;
  int32_t other = -1;   // kCut, kBreak; -1: the coordinator
  double seconds = -1;  // kStop, kCut: how long; below 0: for ever
  double factor = 1;    // kSlow
};
std::string ToString(const Fault& fault);

// What runs of a setting do alike, whatever the seed: of arms whose updates come together, the
// weights that each worker computes a step with, and those at the end.
struct Trajectory {
  std::map<std::pair<int32_t, int64_t>, std::vector<float>> weights;  // by rank and step
  std::vector<std::vector<float>> last;                               // by rank
  std::map<std::pair<int32_t, int32_t>, std::vector<float>> copies;   // by server and mark
  int64_t events = 0;
};

// A whole run with faults, all of it drawn from one seed: the real cores of coordinator, processes,
// workers, servers and collectives, in simulated time. GoogleTest failures where
//   - it hangs: some process that is there and not stopped has not ended when the time is over;
//   - it fails without reason, or does not fail where it must, or its status does not name a node
//     that the faults are about, with step and phase;
//   - an update is lost or made twice, a lot computed twice, a clock beyond its bound, weights
//     other than those of a run without faults;
//   - where the group is formed anew: those left are not in one formation with one spec, have not
//     gone back to a step that all of them had, lack a mark, or are let through a barrier of it
//     that not all of them have come to.
class FaultRun {
 public:
  // `expected`: of the setting; null: a run without faults, which is to be the expected one.
  FaultRun(const Setting& setting, uint64_t seed, const Trajectory* expected);
  ~FaultRun();

  // Once.
  void Run();

  // After it.
  const std::vector<Fault>& happened() const { return happened_; }
  bool failed() const { return !failure_.ok(); }
  // With which the run has gone on without them, to its end or to its failure.
  int32_t workers_lost() const { return setting_.workers - WorkersLeft(); }
  // How often its group was formed anew, and losses while it was to be.
  int32_t reformed() const { return static_cast<int32_t>(formations_.size()) - 1; }
  int32_t lost_meanwhile() const;
  absl::StatusCode end() const { return failure_.code(); }
  Trajectory TakeTrajectory();

 private:
  struct Process {
    ClientCore client;
    std::vector<NodeId> nodes;  // in the formation that it is in, or was in last
    std::string name;           // "worker/1+server/1"
    // Which is to follow, and what it goes on from (experiments/program/run/node.cc).
    std::optional<FormationCore> core;
    std::deque<KeptSimulatedNode> kept;   // by node
    FaultFormation* formation = nullptr;  // null: it waits for the next one
    bool has_begun = false;               // its nodes have, there
    bool gets_ready = false;              // its threads are about to end
    int32_t ready_for = -1;               // the formation that it waits to be welcomed to
    int64_t last_step = 0;                // of the formation that has ended
    std::set<int64_t> offered;            // steps that it has said it can go on from
    int failures = 0;                     // that it has reported
    int32_t running = 0;                  // workers that have not finished their steps
    bool has_workers = false;
    std::string barrier;       // that its workers wait at; empty: at none
    bool is_over = false;      // its workers have taken leave
    int stream = 0;            // to the coordinator: how many it has had before
    int attached_stream = 0;   // that of which the coordinator has let it in
    bool is_cut_off = false;   // its stream is broken
    bool is_attached = false;  // the coordinator has let it in, and knows of no end of its stream
    bool said_last_words = false;
    bool is_forgotten = false;  // the others have been told to go on without it
    bool has_failed = false;
    bool has_finished = false;  // it has said its result
    bool has_ended = false;
    bool is_lost = false;             // killed, or stopped for ever
    absl::Status status;              // with which it has ended
    Nanoseconds said = 0, heard = 0;  // when the last message of its stream is there
    size_t messages = 0;              // of the coordinator's to it, sent so far
    int64_t beat_step = 0;            // of the last heartbeat that has arrived
    std::string beat_phase;
    std::vector<int64_t> moved;  // by node: when it last said what it waits for
  };

  // Faults.
  void DrawFaults(int64_t events);
  Fault DrawFault(int64_t events);
  void Inject(const Fault& fault);
  void Kill(const Fault& fault);
  void Stop(const Fault& fault);
  void Cut(const Fault& fault);
  void Break(const Fault& fault);
  void HangUp(const Fault& fault);
  void JoinTwice(const Fault& fault);
  void Suspect(int32_t process);
  void MustFailWithout(int32_t process);
  bool Has(int32_t process, Role role) const;
  bool Talk(int32_t a, int32_t b) const;

  // Processes and their streams.
  void Join(int32_t process);
  void Answer(int32_t process, const absl::Status& answer);
  void Beat(int32_t process);
  FromProcess HeartbeatOf(int32_t process);
  NodeActivity ActivityOf(Process* process, const NodeId& node, size_t index);
  void Say(int32_t process, FromProcess message);
  void Hear(int32_t process, const ToProcess& message);
  void PassBarrier(int32_t process);
  void StartWorker(FaultFormation* formation, int32_t process, int32_t rank);
  // All steps of a worker are over.
  void EndSteps(FaultFormation* formation, int32_t process, int32_t rank);
  void Drain(FaultFormation* formation, int32_t process, int32_t rank);
  // The worker's drain averages the weights of those that were left at the last barrier.
  void LeaveOut(int32_t process, int32_t rank);
  // The barrier behind which a worker has nothing more to do.
  const char* last_barrier() const { return meets_ ? "end" : kTrained; }
  void TakeLots(int32_t process);
  void Arrive(int32_t process, const std::string& barrier);
  bool IsDone(int32_t process) const;
  void LoseCoordinator(int32_t process);
  void LosePeer(int32_t process, int32_t peer);
  void FailBecause(int32_t process, const absl::Status& why);
  void EndBecause(int32_t process, const absl::Status& why);
  void SayLastWords(int32_t process);
  void Exit(int32_t process, const absl::Status& status);
  // Where the group is formed anew (fault_reforming.cc).
  void HearOfLoss(int32_t process);
  void GetReady(int32_t process);
  void AwaitFormation(int32_t process);
  void Enter(int32_t process);
  FaultFormation* FormationOf(const Process& process, const Welcome& welcome);
  // Its nodes begin in its formation.
  void Begin(int32_t process);
  // Its connections close, and the others find out.
  void CloseConnections(int32_t process);
  // The others go on without `lost`.
  void Forget(int32_t process, int32_t lost);
  // Tells the coordinator which of the worker's lots are settled.
  void Settle(int32_t process, int32_t rank);
  // The coordinator, with its clock.
  void Tell(const std::function<void()>& event);
  void Tick();
  void EndStream(int32_t process, double seconds);

  // Time.
  double Draw(double max) { return random_.Uniform() * max; }
  void After(double seconds, const EventRoute& route, EventQueue::Action action);
  void InProcess(int32_t process, double seconds, EventQueue::Action action);
  bool IsSettled() const;

  // What must hold.
  void OnCompute(FaultFormation* formation, const GradientTask& task);
  void CheckVersions(FaultFormation* formation, const GradientTask& task, const std::string& where);
  void CheckWeightsOf(FaultFormation* formation, const GradientTask& task,
                      const std::string& where);
  void CheckRelease(const std::string& barrier);
  void CheckWelcome(const Welcome& welcome, absl::Span<const int32_t> members) const;
  void CheckEnd();
  void CheckFailure();
  void CheckSuccess();
  void CheckUpdates(bool all);
  void CheckWeights();
  void CheckAverage(int32_t rank);
  // Of a run whose group may be formed anew (fault_reform_checks.cc).
  void CheckLosses();
  void CheckMarks();
  void CheckCopies(int32_t server, const SampleMark& mark, int32_t index, bool is_as_ever);
  // Those that the last who made it computed the step with.
  const std::vector<float>& WeightsBefore(int64_t step) const;
  FaultFormation& last() const { return *formations_.rbegin()->second; }
  bool IsLost(const FaultFormation& formation, int32_t rank) const {
    return processes_[formation.home(rank)].is_forgotten;
  }
  // Of the workers that the run began with.
  int32_t WorkersLeft() const;
  // Whether the run may go on without process `index`, as things are.
  bool MayGoOnWithout(int32_t index) const;
  // How often each lot is in the weights of a part that counts them.
  std::vector<int> CountLots(const Range& part, absl::Span<const float> weights) const;

  const Setting setting_;
  const uint64_t seed_;
  const Trajectory* const expected_;
  const RunSpec spec_;
  const SchemeTraits traits_;
  const int64_t lots_ = kSeededSteps * setting_.workers;
  const bool counts_;       // weights say which lots are in them
  const bool goes_on_;      // without workers that are lost, where they are
  const bool deals_again_;  // what a lost worker had claimed
  const bool reforms_;      // or with a group that is formed anew
  const bool is_exact_;     // sums are, whoever adds what
  const bool meets_ =
      goes_on_ && traits_.marks_are_averages;  // before the drain, which is of those left alone
  const ParamLayout layout_;
  Random random_;
  EventQueue queue_;
  FaultFormation::Setting common_;
  std::vector<double> slow_;  // by process
  CoreRun control_;
  absl::Duration control_time_;
  std::vector<Process> processes_;
  std::map<int32_t, std::unique_ptr<FaultFormation>> formations_;  // by epoch
  std::unique_ptr<FaultWorld> world_;
  bool tells_breaks_ = true;  // a transport notices at once that a peer is gone

  std::vector<Fault> faults_, happened_;
  int64_t events_ = 0;
  std::set<int32_t> suspects_;  // processes that the run may have failed for
  bool may_fail_ = false, must_fail_ = false;
  bool coordinator_lost_ = false;
  absl::Status failure_;
  std::vector<int64_t> settled_;  // by rank: lots, as it has said
  Trajectory trajectory_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_EXPERIMENTS_STUDY_PREDICT_FAULT_RUN_H_
