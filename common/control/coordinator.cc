#include "common/control/coordinator.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/failures.h"
#include "common/control/joins.h"
#include "common/control/machine_witness.h"
#include "common/control/reception.h"
#include "common/log/log.h"
#include "common/security/challenge.h"
#include "common/security/tls_identity.h"
#include "proto/control.grpc.pb.h"

namespace ringmaster {
namespace {

using Stream = grpc::ServerReaderWriter<ToProcess, FromProcess>;

// The largest report is that of an evaluation with the predictions of a worker's share of the test
// set.
constexpr int kMessageBytesMax = 64 << 20;

// Streams, beside one of each process, that have not proved it.
constexpr size_t kStrangersMax = 16;
constexpr int kStreamsPerConnection = 2;

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const TlsIdentity* tls) {
  if (tls == nullptr) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls->certificates().authority;
  options.pem_key_cert_pairs.push_back({tls->certificates().key, tls->certificates().certificate});
  return grpc::SslServerCredentials(options);
}

// Runs a ControlCore: brings it what streams and the clock say, and sends what it decides.
class CoordinatorImpl : public Coordinator, public Control::Service {
 public:
  CoordinatorImpl(const CoordinatorOptions& options, MonotonicTime started,
                  std::unique_ptr<Reception> reception)
      : reception_(std::move(reception)),
        witness_(options.listen_at.host, *reception_, options.is_starting),
        credentials_(options.credentials),
        introduction_limit_(options.introduction_limit),
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
    const int limit_ms = static_cast<int>(absl::ToInt64Milliseconds(introduction_limit_));
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limit_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, limit_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnection);
    builder.RegisterService(this);
    connections_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        CredentialsOf(credentials_.tls.get()));
    server_ = builder.BuildAndStart();
    if (server_ == nullptr)
      return absl::UnavailableError("the coordinator's gRPC server did not start");
    reception_->Start([this](Fd fd) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = fd.Release();
      connections_->HandleNewConnection(&connection);
    });
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
    core_.NoteEnd(process, name, how, MonotonicNow(), &actions);
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

  std::vector<Loss> Losses() override {
    absl::MutexLock lock(&mutex_);
    return core_.Losses();
  }

  std::optional<EndingLoss> EndedByLoss() override {
    absl::MutexLock lock(&mutex_);
    return core_.ending_loss();
  }

  RunMoments Moments() override {
    absl::MutexLock lock(&mutex_);
    return core_.moments();
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

  grpc::Status Attend(grpc::ServerContext* context, Stream* stream) override {
    const std::optional<std::list<Stranger>::iterator> place = Enter(context);
    if (!place.has_value())
      return grpc::Status(grpc::RESOURCE_EXHAUSTED, "too many have not proved the token");
    FromProcess message;
    const bool is_of_the_job = Introduce(stream, &message);
    Leave(*place);
    const int32_t index = message.join().process();
    if (!is_of_the_job || !Admit(message.join(), stream)) return grpc::Status::OK;
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
  // A stream that has not proved the token.
  struct Stranger {
    grpc::ServerContext* context;
    MonotonicTime deadline;
  };

  std::optional<std::list<Stranger>::iterator> Enter(grpc::ServerContext* context) {
    absl::MutexLock lock(&mutex_);
    if (strangers_.size() >= kStrangersMax + static_cast<size_t>(processes_)) return std::nullopt;
    const MonotonicTime deadline = MonotonicNow() + introduction_limit_;
    const auto place = strangers_.insert(strangers_.end(), {context, deadline});
    if (deadline < watched_until_) changed_.SignalAll();
    return place;
  }
  void Leave(std::list<Stranger>::iterator place) {
    absl::MutexLock lock(&mutex_);
    strangers_.erase(place);
  }

  // Hears the first words of a stream. True: it has proved the token, and `*message` is its join.
  bool Introduce(Stream* stream, FromProcess* message) {
    TokenExaminer examiner(credentials_.token, FreshNonce());
    if (!stream->Read(message)) return false;
    const absl::StatusOr<Challenge> challenge = examiner.OnFirst(*message);
    if (!challenge.ok()) {
      Refuse(challenge.status(), stream);
      return false;
    }
    ToProcess answer;
    *answer.mutable_challenge() = *challenge;
    if (!stream->Write(answer) || !stream->Read(message) || !message->has_join()) return false;
    const absl::Status proved = examiner.OnJoin(message->join());
    if (proved.ok()) return true;
    Refuse(proved, stream);
    absl::MutexLock lock(&mutex_);
    core_.OnStranger(message->join(), proved);
    return false;
  }

  static void Refuse(const absl::Status& why, Stream* stream) {
    ToProcess refusal;
    *refusal.mutable_abort() = FailureOf(why);
    stream->Write(refusal);
  }

  // Answers a join. False: with a refusal.
  bool Admit(const Join& join, Stream* stream) {
    absl::MutexLock lock(&mutex_);
    ControlCore::Actions actions;
    const absl::Status admitted = core_.OnJoin(join, MonotonicNow(), &actions);
    if (admitted.ok()) {
      streams_[join.process()] = stream;
      Log(LogLevel::kDebug,
          absl::StrCat("rank ", join.process(), " has joined, one of ", processes_));
    } else {
      Refuse(admitted, stream);
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
      for (const Stranger& stranger : strangers_) {
        if (MonotonicNow() >= stranger.deadline) {
          stranger.context->TryCancel();
        } else {
          watched_until_ = std::min(watched_until_, stranger.deadline);
        }
      }
      changed_.WaitUntil(&mutex_, watched_until_);
    }
  }

  const std::unique_ptr<Reception> reception_;
  MachineWitness witness_;
  const JobCredentials credentials_;
  const absl::Duration introduction_limit_;
  const int32_t processes_;
  // goes after the server
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  std::unique_ptr<grpc::Server> server_;
  std::thread watcher_;

  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when the run is over, the watcher must wake sooner, and
                              // the coordinator closes
  // by process; null: it has not joined, or has gone
  std::vector<Stream*> streams_ ABSL_GUARDED_BY(mutex_);
  ControlCore core_ ABSL_GUARDED_BY(mutex_);
  std::list<Stranger> strangers_ ABSL_GUARDED_BY(mutex_);
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
