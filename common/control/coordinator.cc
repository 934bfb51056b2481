#include "common/control/coordinator.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/joins.h"
#include "common/control/missing_ranks.h"
#include "common/control/reception.h"
#include "common/log/log.h"
#include "common/machine/host_identity.h"
#include "common/machine/memory_kills.h"
#include "common/machine/process_end.h"
#include "common/machine/process_tree.h"
#include "proto/control.grpc.pb.h"

namespace ringmaster {
namespace {

using Stream = grpc::ServerReaderWriter<ToProcess, FromProcess>;

// The largest report is that of an evaluation with the predictions of a worker's share of the test set.
constexpr int kMessageBytesMax = 64 << 20;

// How often the deadlines are looked at that no message brings.
constexpr absl::Duration kWatchPeriod = absl::Milliseconds(50);

// How often waits are judged, which costs more.
constexpr absl::Duration kJudgePeriod = absl::Milliseconds(200);

// A failure that another process's death would explain.
bool MayBeAConsequence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
}

class CoordinatorImpl : public Coordinator, public Control::Service {
 public:
  explicit CoordinatorImpl(const CoordinatorOptions& options)
      : options_(options), started_(MonotonicNow()), judge_(options.waits), members_(options.processes) {}

  ~CoordinatorImpl() override {
    {
      absl::MutexLock lock(&mutex_);
      FailLocked(absl::CancelledError("the coordinator is closing"), true);
      closing_ = true;
      changed_.SignalAll();
    }
    if (reception_ != nullptr) reception_->Close();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
    if (watcher_.joinable()) watcher_.join();
  }

  absl::Status Listen() {
    RM_ASSIGN_OR_RETURN(reception_, Reception::Open(options_.listen_at, started_ + options_.join_limit));
    grpc::ServerBuilder builder;
    // Clients ping every ten seconds, also while they wait at a barrier.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::UnavailableError("the coordinator's gRPC server did not start");
    reception_->Start([this](Fd fd) { grpc::AddInsecureChannelFromFd(server_.get(), fd.Release()); });
    const std::string hindrance = reception_->Hindrance();
    if (!hindrance.empty() && options_.processes > 1) Log(LogLevel::kWarning, hindrance);
    watcher_ = std::thread([this] { Watch(); });
    return absl::OkStatus();
  }

  HostPort endpoint() const override { return reception_->endpoint(); }

  void NoteStarted(int32_t index, int64_t pid) override {
    absl::MutexLock lock(&mutex_);
    members_[index].trace.pid = pid;
  }

  void Abort(const absl::Status& why) override {
    absl::MutexLock lock(&mutex_);
    FailLocked(why, true);
  }

  void NoteEnd(int32_t process, const std::string& name, const std::string& how) override {
    absl::MutexLock lock(&mutex_);
    Member& member = members_[process];
    if (member.state.finished) return;
    member.how = how;
    if (member.state.joined) return FailLocked(Died(member), true);
    const std::string memory = MemoryText(how);
    FailLocked(absl::UnavailableError(absl::StrCat(name, " (rank ", process, ") ended with ", how, " before it joined",
                                                   memory.empty() ? "" : "; ", memory,
                                                   "; what it said stands above")),
               true);
  }

  bool WaitFor(absl::Duration limit) override {
    absl::MutexLock lock(&mutex_);
    const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return OverLocked(); };
    return changed_.AwaitUntil(&mutex_, MonotonicNow() + limit, over);
  }

  absl::StatusOr<std::vector<ProcessReport>> Result() override {
    absl::MutexLock lock(&mutex_);
    if (failed_) return failure_;
    std::vector<ProcessReport> reports;
    for (const Member& member : members_) reports.push_back(member.report);
    return reports;
  }

  std::vector<ProcessState> Processes() override {
    absl::MutexLock lock(&mutex_);
    std::vector<ProcessState> states;
    for (const Member& member : members_) states.push_back(member.state);
    return states;
  }

  grpc::Status Attend(grpc::ServerContext* context, Stream* stream) override {
    FromProcess message;
    if (!stream->Read(&message) || !message.has_join()) return grpc::Status(grpc::INVALID_ARGUMENT, "join first");
    const int32_t index = message.join().process();
    {
      absl::MutexLock lock(&mutex_);
      absl::Status admitted = AdmitLocked(message.join(), context, stream);
      if (!admitted.ok()) {
        ToProcess refusal;
        *refusal.mutable_abort() = FailureOf(admitted);
        stream->Write(refusal);
        NoteRefusalLocked(index, admitted);
        // A process of this run that does not fit ends it; a stranger is only turned away.
        if (!absl::IsPermissionDenied(admitted) && !absl::IsAlreadyExists(admitted)) FailLocked(admitted, true);
        return grpc::Status::OK;
      }
    }
    while (stream->Read(&message)) OnMessage(index, message);
    absl::MutexLock lock(&mutex_);
    Member& member = members_[index];
    member.stream = nullptr;
    member.context = nullptr;
    // The stream breaks a moment before the process's end can be seen.
    if (!member.state.finished) member.lost = MonotonicNow();
    return grpc::Status::OK;
  }

 private:
  struct Member {
    ProcessState state;
    Join join;
    ProcessReport report;
    RankTrace trace;  // before it joins
    Stream* stream = nullptr;
    grpc::ServerContext* context = nullptr;
    MonotonicTime heard;
    MonotonicTime lost = MonotonicTime::InfiniteFuture();  // when its stream broke before its work was done
    std::string how;        // it ended; empty: not known
  };

  static Failure FailureOf(const absl::Status& status) {
    Failure failure;
    failure.set_code(static_cast<int>(status.code()));
    failure.set_message(std::string(status.message()));
    return failure;
  }

  static std::string Where(const Member& member) {
    return absl::StrCat(member.state.nodes, " (pid ", member.state.pid, ") at step=", member.state.last.step(),
                        " phase=", member.state.last.phase().empty() ? "start" : member.state.last.phase());
  }
  // Whether this process sees the member's by its number.
  bool IsHere(const Member& member) const {
    return ShareProcessIds(host_, HostOf(member.join));
  }

  // How a member's process has ended, as far as that is known by now; empty: not at all.
  std::string HowItEnded(const Member& member) const {
    if (!member.how.empty()) return member.how;
    if (!IsHere(member)) return "";
    const std::optional<int> status = WaitStatusOf(static_cast<pid_t>(member.state.pid));
    return status ? EndText(*status) : "";
  }

  // What the system has killed for want of memory meanwhile, where that may be why a process ended `how`.
  std::string MemoryText(const std::string& how) const {
    const bool maybe = how.empty() || how == EndText(SIGKILL) || how == EndText((128 + SIGKILL) << 8);
    return maybe ? memory_kills_.Found() : "";
  }

  absl::Status Died(const Member& member) const {
    const std::string how = HowItEnded(member);
    const std::string memory = MemoryText(how);
    std::string text = absl::StrCat(Where(member), ": the process ended before its work was done");
    if (!how.empty()) {
      absl::StrAppend(&text, ", with ", how);
    } else if (IsHere(member) && kill(static_cast<pid_t>(member.state.pid), 0) == 0) {
      text = absl::StrCat(Where(member), ": its connection broke, and the process is still there");
    } else {
      absl::StrAppend(&text, "; whoever started it knows its exit code or signal");
    }
    return absl::UnavailableError(absl::StrCat(text, memory.empty() ? "" : "; ", memory));
  }

  static bool IsLost(const Member& member) { return member.lost != MonotonicTime::InfiniteFuture(); }

  // Ends the run for the first process that has died, once it is known why or nobody can say any more. Returns whether
  // there is one: then nothing else may explain the run's end before it does.
  bool JudgeDeathsLocked(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const Member& member : members_) {
      if (!IsLost(member)) continue;
      if (!HowItEnded(member).empty() || now - member.lost > options_.cause_time) FailLocked(Died(member), true);
    }
    return std::any_of(members_.begin(), members_.end(), IsLost);
  }

  // Why a member says nothing, and what to do.
  std::string WhySilent(const Member& member) const {
    if (!IsHere(member) || !IsSuspended(static_cast<pid_t>(member.state.pid))) {
      return "the process hangs or its machine is gone";
    }
    return absl::StrCat("the process is suspended: a signal (SIGSTOP, Ctrl-Z) has stopped it, and nobody has let it go "
                        "on (kill -CONT ", member.state.pid, ")");
  }

  void NoteRefusalLocked(int32_t index, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (index < 0 || index >= options_.processes || members_[index].state.joined) return;
    members_[index].trace.refused = std::string(why.message());
  }

  absl::Status AdmitLocked(const Join& join, grpc::ServerContext* context, Stream* stream)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (join.token() != options_.token) {
      return absl::PermissionDeniedError(
          "the rank's token is not the coordinator's: it belongs to another job, or differs in spec or flags, which stand in "
          "for a token that is not set; give every rank the same RINGMASTER_TOKEN, or the same spec and flags");
    }
    if (join.process() < 0 || join.process() >= options_.processes || join.processes() != options_.processes) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", join.process(), " of ", join.processes(),
                                                     " wants to join, this run has ranks 0 to ",
                                                     options_.processes - 1, "; start every rank with the same spec"));
    }
    Member& member = members_[join.process()];
    if (member.state.joined) {
      return absl::AlreadyExistsError(absl::StrCat("rank ", join.process(), " has joined already (pid ",
                                                   member.state.pid, "); give every process a rank of its own"));
    }
    if (failed_) return failure_;
    if (join.spec_fingerprint() != options_.spec_fingerprint) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", join.process(),
                                                     " has another resolved spec than the coordinator; start every "
                                                     "rank with the same spec file and flags"));
    }
    member.join = join;
    member.state.joined = true;
    member.state.pid = join.pid();
    member.state.nodes = NodesOf(join);
    member.stream = stream;
    member.context = context;
    member.heard = MonotonicNow();
    ToProcess answer;
    answer.mutable_admitted();
    stream->Write(answer);
    if (++joined_ == options_.processes) WelcomeLocked();
    return absl::OkStatus();
  }

  // Everybody is here: compares what must be equal and tells all who is where.
  void WelcomeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ToProcess message;
    const Member* first_worker = nullptr;
    for (Member& member : members_) NameRealAddress(&member.join);
    for (const Member& member : members_) {
      absl::Status agrees = AgreesWith(members_[0], member);
      if (!member.join.kernel_target().empty()) {
        if (first_worker == nullptr) first_worker = &member;
        if (agrees.ok() && member.join.kernel_target() != first_worker->join.kernel_target()) {
          agrees = absl::FailedPreconditionError(absl::StrCat(
              member.state.nodes, " computes with ", member.join.kernel_target(), ", ", first_worker->state.nodes,
              " with ", first_worker->join.kernel_target(), "; set training.kernels so that all ranks agree"));
        }
      }
      for (const Member& other : members_) {
        if (agrees.ok()) agrees = CheckIsReached(member.join, other.join);
      }
      if (!agrees.ok()) return FailLocked(agrees, true);
      ProcessEntry* entry = message.mutable_welcome()->add_processes();
      entry->set_data_endpoint(member.join.data_endpoint());
      *entry->mutable_nodes() = member.join.nodes();
      for (const NodeName& node : member.join.nodes()) judge_.Add(node, member.state.pid, SinceStart());
    }
    BroadcastLocked(message);
  }

  // Of a process of this machine that listens everywhere and came by loopback: the address by which others come here.
  void NameRealAddress(Join* join) const {
    auto endpoint = HostPort::Parse(join->data_endpoint());
    if (!endpoint.ok() || !IsWildcard(endpoint->host)) return;
    endpoint->host = reception_->ReachedAt(endpoint->host);
    join->set_data_endpoint(endpoint->ToString());
  }

  static absl::Status AgreesWith(const Member& first, const Member& member) {
    const auto differ = [&](absl::string_view what, uint64_t a, uint64_t b) {
      return absl::FailedPreconditionError(absl::StrCat(
          member.state.nodes, " starts from another ", what, " (", absl::Hex(b, absl::kZeroPad16), ") than ",
          first.state.nodes, " (", absl::Hex(a, absl::kZeroPad16), "); use the same program and spec on every rank"));
    };
    if (first.join.layout_fingerprint() != member.join.layout_fingerprint()) {
      return differ("parameter layout", first.join.layout_fingerprint(), member.join.layout_fingerprint());
    }
    if (first.join.weights_fingerprint() != member.join.weights_fingerprint()) {
      return differ("set of weights", first.join.weights_fingerprint(), member.join.weights_fingerprint());
    }
    return absl::OkStatus();
  }

  void OnMessage(int32_t index, const FromProcess& message) {
    absl::MutexLock lock(&mutex_);
    Member& member = members_[index];
    member.heard = MonotonicNow();
    switch (message.kind_case()) {
      case FromProcess::kHeartbeat:
        member.state.last = message.heartbeat();
        for (const NodeActivity& node : message.heartbeat().nodes()) judge_.Heard(node, SinceStart());
        break;
      case FromProcess::kArrive:
        ArriveLocked(message.arrive().barrier());
        break;
      case FromProcess::kFailure:
        // mpirun, for one, ends the other ranks when one has died.
        if (std::any_of(members_.begin(), members_.end(), IsLost)) break;
        FailLocked(absl::Status(static_cast<absl::StatusCode>(message.failure().code()), message.failure().message()),
                   false);
        break;
      case FromProcess::kResult:
        member.report = message.result();
        member.state.finished = true;
        for (const NodeName& node : member.join.nodes()) judge_.Finished(node, SinceStart());
        if (++finished_ == options_.processes) {
          ToProcess goodbye;
          goodbye.mutable_goodbye();
          BroadcastLocked(goodbye);
          changed_.SignalAll();
        }
        break;
      case FromProcess::kJoin:
      case FromProcess::KIND_NOT_SET:
        break;
    }
  }

  void ArriveLocked(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    int32_t expected = 0;
    for (const Member& member : members_) expected += member.join.kernel_target().empty() ? 0 : 1;
    if (++arrived_[name] < expected) return;
    arrived_.erase(name);
    ToProcess release;
    release.mutable_release()->set_barrier(name);
    BroadcastLocked(release);
  }

  // Streams are written with the mutex held: messages are few and small.
  void BroadcastLocked(const ToProcess& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (Member& member : members_) {
      if (member.stream != nullptr) member.stream->Write(message);
    }
  }

  // `final`: nothing else can explain this failure, so it is the run's. Otherwise a better explanation may still come.
  void FailLocked(const absl::Status& why, bool final) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (failed_ || (finished_ == options_.processes && options_.processes > 0)) return;
    if (!final && MayBeAConsequence(why)) {
      if (suspected_.ok()) {
        suspected_ = why;
        suspected_at_ = MonotonicNow();
      }
      return;
    }
    failed_ = true;
    failure_ = why;
    changed_.SignalAll();
    ToProcess message;
    *message.mutable_abort() = FailureOf(why);
    BroadcastLocked(message);
  }

  bool OverLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return failed_ || finished_ == options_.processes;
  }

  // Deadlines that no message brings: joining, silence, and a suspected consequence that nothing explained.
  void Watch() {
    absl::MutexLock lock(&mutex_);
    const auto closing = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return closing_; };
    while (!changed_.AwaitUntil(&mutex_, MonotonicNow() + kWatchPeriod, closing)) {
      if (OverLocked()) continue;
      const MonotonicTime now = MonotonicNow();
      if (JudgeDeathsLocked(now)) continue;
      if (!suspected_.ok() && now - suspected_at_ > options_.settle_time) FailLocked(suspected_, true);
      if (joined_ < options_.processes) {
        if (IsJoiningOverLocked(now)) FailLocked(MissingLocked(), true);
        continue;
      }
      for (const Member& member : members_) {
        const absl::Status health = HealthLocked(member, now);
        if (!health.ok()) FailLocked(health, true);
      }
      if (now - judged_at_ < kJudgePeriod) continue;
      judged_at_ = now;
      if (const absl::Status waits = judge_.Judge(); !waits.ok()) FailLocked(waits, true);
    }
  }

  // Some process is missing that nothing more is to be hoped for from.
  bool IsJoiningOverLocked(MonotonicTime now) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    bool all_get_on = options_.is_starting != nullptr && now - started_ <= options_.starting_limit;
    for (int32_t i = 0; options_.is_starting != nullptr && i < options_.processes; ++i) {
      // Everybody is looked at from the beginning: it takes two looks to see somebody move.
      if (!members_[i].state.joined && !options_.is_starting(i)) all_get_on = false;
    }
    return now - started_ > options_.join_limit && !all_get_on;
  }

  absl::Duration SinceStart() const { return MonotonicNow() - started_; }

  absl::Status HealthLocked(const Member& member, MonotonicTime now) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    if (member.state.finished) return absl::OkStatus();
    if (now - member.heard > options_.silence_limit) {
      return absl::DeadlineExceededError(absl::StrCat(Where(member), ": no heartbeat for ",
                                                      absl::FormatDuration(options_.silence_limit),
                                                      "; ", WhySilent(member)));
    }
    return absl::OkStatus();
  }

  absl::Status MissingLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    std::vector<MissingRank> missing;
    for (size_t i = 0; i < members_.size(); ++i) {
      if (!members_[i].state.joined) missing.push_back({static_cast<int32_t>(i), members_[i].trace});
    }
    return absl::DeadlineExceededError(
        absl::StrCat("rank ", absl::StrJoin(missing, ", ", [](std::string* out, const MissingRank& rank) {
                       absl::StrAppend(out, rank.rank);
                     }),
                     " of ", options_.processes, " did not join within ", absl::FormatDuration(options_.join_limit),
                     " (limits.join_seconds): ",
                     WhyMissing(missing, {options_.listen_at.host, reception_->endpoint().port}, reception_->Hindrance())));
  }

  const CoordinatorOptions options_;
  const MonotonicTime started_;
  const HostIdentity host_ = ReadHostIdentity();
  const MemoryKills memory_kills_;
  std::unique_ptr<Reception> reception_;
  std::unique_ptr<grpc::Server> server_;
  std::thread watcher_;

  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when the run is over and when the coordinator closes
  WaitJudge judge_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime judged_at_ ABSL_GUARDED_BY(mutex_);
  std::vector<Member> members_ ABSL_GUARDED_BY(mutex_);
  int32_t joined_ ABSL_GUARDED_BY(mutex_) = 0;
  int32_t finished_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, int32_t> arrived_ ABSL_GUARDED_BY(mutex_);
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  absl::Status suspected_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime suspected_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(const CoordinatorOptions& options) {
  // What gRPC would print of a failure comes back as a status; its own words are for those who ask for all.
  gpr_set_log_function(
      +[](gpr_log_func_args* said) { Log(LogLevel::kDebug, absl::StrCat("grpc: ", said->message)); });
  auto coordinator = std::make_unique<CoordinatorImpl>(options);
  RM_RETURN_IF_ERROR(coordinator->Listen());
  return coordinator;
}

}  // namespace ringmaster
