#include "common/control/coordinator.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/failures.h"
#include "common/control/machine_witness.h"
#include "common/control/reception.h"
#include "common/log/log.h"
#include "proto/control.grpc.pb.h"

namespace ringmaster {
namespace {

using Stream = grpc::ServerReaderWriter<ToProcess, FromProcess>;

// The largest report is that of an evaluation with the predictions of a worker's share of the test
// set.
constexpr int kMessageBytesMax = 64 << 20;

// Runs a ControlCore: brings it what streams and the clock say, and sends what it decides.
class CoordinatorImpl : public Coordinator, public Control::Service {
 public:
  CoordinatorImpl(const CoordinatorOptions& options, MonotonicTime started,
                  std::unique_ptr<Reception> reception)
      : reception_(std::move(reception)),
        witness_(options.listen_at.host, *reception_, options.is_starting),
        processes_(options.processes),
        streams_(options.processes),
        core_(options, started, &witness_) {}

  ~CoordinatorImpl() override {
    Abort(absl::CancelledError("the coordinator is closing"));
    {
      absl::MutexLock lock(&mutex_);
      closing_ = true;
      changed_.SignalAll();
    }
    reception_->Close();
    if (server_ != nullptr)
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
    if (watcher_.joinable()) watcher_.join();
  }

  absl::Status Serve() {
    grpc::ServerBuilder builder;
    // Clients ping every ten seconds, also while they wait at a barrier.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr)
      return absl::UnavailableError("the coordinator's gRPC server did not start");
    reception_->Start(
        [this](Fd fd) { grpc::AddInsecureChannelFromFd(server_.get(), fd.Release()); });
    const std::string hindrance = reception_->Hindrance();
    if (!hindrance.empty() && processes_ > 1) Log(LogLevel::kWarning, hindrance);
    watcher_ = std::thread([this] { Watch(); });
    return absl::OkStatus();
  }

  HostPort endpoint() const override { return reception_->endpoint(); }

  void NoteStarted(int32_t index, int64_t pid) override {
    absl::MutexLock lock(&mutex_);
    core_.NoteStarted(index, pid);
  }

  void Abort(const absl::Status& why) override {
    absl::MutexLock lock(&mutex_);
    ControlCore::Actions actions;
    core_.Abort(why, &actions);
    CarryOut(actions);
  }

  void NoteEnd(int32_t process, const std::string& name, const std::string& how) override {
    absl::MutexLock lock(&mutex_);
    ControlCore::Actions actions;
    core_.NoteEnd(process, name, how, &actions);
    CarryOut(actions);
  }

  bool WaitFor(absl::Duration limit) override {
    absl::MutexLock lock(&mutex_);
    const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return core_.is_over(); };
    return changed_.AwaitUntil(&mutex_, MonotonicNow() + limit, over);
  }

  absl::StatusOr<std::vector<ProcessReport>> Result() override {
    absl::MutexLock lock(&mutex_);
    return core_.Result();
  }

  std::vector<LastWords> AwaitLastWords(absl::Duration limit) override {
    absl::MutexLock lock(&mutex_);
    const auto said = [this]()
                          ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return core_.has_last_words(); };
    changed_.AwaitUntil(&mutex_, MonotonicNow() + limit, said);
    return core_.GatherLastWords(MonotonicNow());
  }

  std::vector<ProcessState> Processes() override {
    absl::MutexLock lock(&mutex_);
    return core_.Processes();
  }

  grpc::Status Attend(grpc::ServerContext*, Stream* stream) override {
    FromProcess message;
    if (!stream->Read(&message) || !message.has_join())
      return grpc::Status(grpc::INVALID_ARGUMENT, "join first");
    const int32_t index = message.join().process();
    if (!Admit(message.join(), stream)) return grpc::Status::OK;
    while (stream->Read(&message)) {
      absl::MutexLock lock(&mutex_);
      ControlCore::Actions actions;
      core_.OnMessage(index, message, MonotonicNow(), &actions);
      CarryOut(actions);
    }
    absl::MutexLock lock(&mutex_);
    streams_[index] = nullptr;
    core_.OnStreamEnd(index, MonotonicNow());
    CarryOut({});
    return grpc::Status::OK;
  }

 private:
  // Answers a join. False: with a refusal.
  bool Admit(const Join& join, Stream* stream) {
    absl::MutexLock lock(&mutex_);
    ControlCore::Actions actions;
    const absl::Status admitted = core_.OnJoin(join, MonotonicNow(), &actions);
    if (admitted.ok()) {
      streams_[join.process()] = stream;
    } else {
      ToProcess refusal;
      *refusal.mutable_abort() = FailureOf(admitted);
      stream->Write(refusal);
    }
    CarryOut(actions);
    return admitted.ok();
  }

  // Streams are written with the mutex held: messages are few and small.
  void CarryOut(const ControlCore::Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const ControlAction& action : actions) {
      for (const int32_t process : action.to) streams_[process]->Write(action.message);
    }
    if (core_.is_over() || core_.wake() < watched_until_) changed_.SignalAll();
  }

  // Brings the core the deadlines that no message brings.
  void Watch() {
    absl::MutexLock lock(&mutex_);
    while (!closing_) {
      if (MonotonicNow() >= core_.wake()) {
        ControlCore::Actions actions;
        core_.OnTime(MonotonicNow(), &actions);
        CarryOut(actions);
      }
      watched_until_ = core_.wake();
      changed_.WaitUntil(&mutex_, watched_until_);
    }
  }

  const std::unique_ptr<Reception> reception_;
  MachineWitness witness_;
  const int32_t processes_;
  std::unique_ptr<grpc::Server> server_;
  std::thread watcher_;

  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when the run is over, the watcher must wake sooner, and
                              // the coordinator closes
  // by process; null: it has not joined, or has gone
  std::vector<Stream*> streams_ ABSL_GUARDED_BY(mutex_);
  ControlCore core_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime watched_until_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(const CoordinatorOptions& options) {
  // What gRPC would print of a failure comes back as a status; its own words are for those who ask
  // for all.
  gpr_set_log_function(+[](gpr_log_func_args* said) {
    Log(LogLevel::kDebug, absl::StrCat("grpc: ", said->message));
  });
  const MonotonicTime started = MonotonicNow();
  RM_ASSIGN_OR_RETURN(std::unique_ptr<Reception> reception,
                      Reception::Open(options.listen_at, started + options.join_limit));
  auto coordinator = std::make_unique<CoordinatorImpl>(options, started, std::move(reception));
  RM_RETURN_IF_ERROR(coordinator->Serve());
  return coordinator;
}

}  // namespace ringmaster
