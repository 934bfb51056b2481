#include "common/control/control_client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/base/addresses.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/control/client_core.h"
#include "common/control/control_tls.h"
#include "common/control/failures.h"
#include "common/control/joins.h"
#include "common/control/last_words.h"
#include "common/control/reach.h"
#include "common/machine/processes.h"
#include "common/security/challenge.h"
#include "common/security/tls_stream.h"
#include "common/transport/socket.h"
#include "proto/control.grpc.pb.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kTryAgain = absl::Milliseconds(200);
constexpr absl::Duration kProbeLimit = absl::Seconds(2);
// How long a failure of this process waits for the coordinator's word of it: that may be that
// another process is lost, of which it hears later.
constexpr absl::Duration kVerdictLimit = absl::Seconds(2);
constexpr absl::Duration kLossVerdictLimit = absl::Seconds(60);

// Peers cannot connect to every address: the one that this process has towards the coordinator
// takes its place. Where that is loopback, the coordinator, which is on the same machine, may know
// a better one.
absl::Status FillDataEndpoint(int socket, Join* join) {
  auto listens_at = HostPort::Parse(join->data_endpoint());
  if (!listens_at.ok() || !IsWildcard(listens_at->host)) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const SocketAddress own, SocketAddress::OfThisEnd(socket));
  const bool takes_v6 = listens_at->host.find(':') != std::string::npos;
  const std::string host = own.ToHostPort().host;
  if (IsLoopback(host)) return absl::OkStatus();
  if (!takes_v6 && own.family() == AF_INET6) {
    return absl::InvalidArgumentError(
        absl::StrCat("transport.listen_address is ", listens_at->host,
                     ", which takes IPv4 alone, and this process reaches the "
                     "coordinator over IPv6, from ",
                     host, "; set it to ::, or to an address of this machine"));
  }
  listens_at->host = host;
  join->set_data_endpoint(listens_at->ToString());
  return absl::OkStatus();
}

bool StaysHere(int socket) {
  const auto own = SocketAddress::OfThisEnd(socket);
  const auto other = SocketAddress::OfOtherEnd(socket);
  return own.ok() && other.ok() && AreOfOneHost(*own, *other);
}

class ControlClientImpl : public ControlClient {
 public:
  ControlClientImpl(const HostPort& endpoint, const JobCredentials& credentials,
                    std::function<void(const absl::Status&)> on_abort,
                    std::function<Heartbeat()> heartbeat, absl::Duration heartbeat_period,
                    EndRequest* ends, std::function<LastWords()> last_words,
                    std::function<void(const ToProcess&)> on_loss)
      : endpoint_(endpoint),
        credentials_(credentials),
        on_abort_(std::move(on_abort)),
        heartbeat_(std::move(heartbeat)),
        heartbeat_period_(heartbeat_period),
        ends_(ends),
        last_words_(std::move(last_words)),
        on_loss_(std::move(on_loss)) {}

  ~ControlClientImpl() override {
    if (ends_ != nullptr) ends_->Listen(nullptr);
    bool goodbye = false;
    {
      absl::MutexLock lock(&mutex_);
      // Who hangs up may take along what is still on its way.
      const auto is_heard = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return last_words_ == nullptr || !core_.owes_words();
      };
      changed_.AwaitUntil(&mutex_, MonotonicNow() + kLastWordsLimit, is_heard);
      core_.OnClose();
      goodbye = core_.goodbye();
      changed_.SignalAll();
    }
    // A coordinator that failed or is gone would end neither the stream nor a write that waits for
    // it.
    if (!goodbye && context_ != nullptr) context_->TryCancel();
    if (pulse_.joinable()) pulse_.join();
    if (stream_ != nullptr) {
      absl::MutexLock lock(&write_mutex_);
      stream_->WritesDone();
    }
    if (reader_.joinable()) reader_.join();
    if (stream_ != nullptr) stream_->Finish();
  }

  absl::Status Join(ringmaster::Join join, MonotonicTime deadline) {
    for (;;) {
      RM_ASSIGN_OR_RETURN(Fd socket, ReachCoordinator(endpoint_, deadline));
      RM_RETURN_IF_ERROR(FillDataEndpoint(socket.get(), &join));
      is_here_ = StaysHere(socket.get());
      RM_RETURN_IF_ERROR(Converse(std::move(socket), join, deadline));
      RM_ASSIGN_OR_RETURN(const bool answered, AwaitAnswer(deadline));
      if (answered) break;
      // Whoever listens there hung up: a run that is just ending, perhaps.
      HangUp();
      RM_RETURN_IF_ERROR(CheckItSpeaksInClear(deadline));
      absl::SleepFor(kTryAgain);
      if (MonotonicNow() >= deadline) return NobodyStays();
    }
    pulse_ = std::thread([this] { Pulse(); });
    if (ends_ != nullptr) ends_->Listen([this](const absl::Status& why) { Fail(why); });
    // How long the others may take is the coordinator's to say: it ends the run for all who have
    // joined, and its own end ends this too.
    absl::MutexLock lock(&mutex_);
    const auto decided = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return core_.welcomed() || !core_.status().ok();
    };
    changed_.AwaitUntil(&mutex_, MonotonicTime::InfiniteFuture(), decided);
    welcome_ = core_.welcome();
    return core_.status();
  }

  const Welcome& welcome() const override { return welcome_; }

  int32_t epoch() override {
    absl::MutexLock lock(&mutex_);
    return core_.epoch();
  }

  absl::StatusOr<bool> AwaitFormation(const Ready& ready) override {
    FromProcess message;
    *message.mutable_ready() = ready;
    Send(message);
    absl::MutexLock lock(&mutex_);
    const auto decided = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return !core_.status().ok() || core_.BelongsTo(ready.epoch()).has_value();
    };
    changed_.AwaitUntil(&mutex_, MonotonicTime::InfiniteFuture(), decided);
    if (!core_.status().ok()) return core_.status();
    welcome_ = core_.welcome();
    return *core_.BelongsTo(ready.epoch());
  }

  absl::Status Barrier(absl::string_view name) override {
    FromProcess message;
    message.mutable_arrive()->set_barrier(std::string(name));
    Send(message);
    absl::MutexLock lock(&mutex_);
    const std::string key(name);
    const auto released = [this, &key]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return !EndOfWaits().ok() || core_.IsReleased(key);
    };
    // A peer that never comes is the coordinator's to notice: its heartbeats end, or its own waits
    // do.
    mutex_.Await(absl::Condition(&released));
    core_.Pass(key);
    return EndOfWaits();
  }

  void AskForLots(int32_t rank, int32_t count) override {
    FromProcess message;
    message.mutable_lots_wanted()->set_rank(rank);
    message.mutable_lots_wanted()->set_count(count);
    Send(message);
  }

  absl::StatusOr<LotClaim> AwaitLots(int32_t rank) override {
    std::optional<LotClaim> claim;
    absl::MutexLock lock(&mutex_);
    const auto answered = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      if (!EndOfWaits().ok()) return true;
      claim = core_.TakeLots(rank);
      return claim.has_value();
    };
    changed_.AwaitUntil(&mutex_, MonotonicTime::InfiniteFuture(), answered);
    if (!claim.has_value()) return EndOfWaits();
    return *claim;
  }

  void ForgetLots(int32_t rank) override {
    absl::MutexLock lock(&mutex_);
    core_.ForgetLots(rank);
    changed_.SignalAll();
  }

  void SettleLots(int32_t rank, int64_t count) override {
    FromProcess message;
    message.mutable_lots_wanted()->set_rank(rank);
    message.mutable_lots_wanted()->set_applied_below(count);
    Send(message);
  }

  std::vector<int32_t> LostWorkers() override {
    absl::MutexLock lock(&mutex_);
    return {core_.lost_when_released().begin(), core_.lost_when_released().end()};
  }

  void Fail(const absl::Status& why) override {
    FromProcess message;
    {
      absl::MutexLock lock(&mutex_);
      if (core_.regroups()) return;  // what follows from that is no failure of this process
    }
    *message.mutable_failure() = FailureOf(why);
    Send(message);
    SayLastWords();
    // The run's status comes back as an abort; it may name a better cause than this process saw.
    absl::MutexLock lock(&mutex_);
    const auto failed = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !EndOfWaits().ok(); };
    const absl::Duration limit = on_loss_ == nullptr ? kVerdictLimit : kLossVerdictLimit;
    changed_.AwaitUntil(&mutex_, MonotonicNow() + limit, failed);
  }

  absl::Status Finish(const ProcessReport& report) override {
    FromProcess message;
    *message.mutable_result() = report;
    Send(message);
    absl::MutexLock lock(&mutex_);
    const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return core_.goodbye() || !EndOfWaits().ok();
    };
    mutex_.Await(absl::Condition(&over));
    return EndOfWaits();
  }

  absl::Status status() override {
    absl::MutexLock lock(&mutex_);
    return EndOfWaits();
  }

 private:
  // What ends a wait.
  absl::Status EndOfWaits() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    if (!core_.status().ok() || !core_.regroups()) return core_.status();
    return core_.why_it_regroups();
  }

  // Starts a conversation with whoever is at the other end of a connected socket.
  absl::Status Converse(Fd socket, const ringmaster::Join& join, MonotonicTime deadline) {
    grpc::ChannelArguments arguments;
    // A coordinator whose machine vanishes sends no word of it: unanswered pings do. On this
    // machine its end breaks the connection, and pings would only find that it is suspended.
    if (!is_here_) {
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
      arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    std::shared_ptr<grpc::Channel> channel;
    if (credentials_.tls == nullptr) {
      channel = grpc::CreateCustomInsecureChannelFromFd(endpoint_.ToString(), socket.Release(),
                                                        arguments);
    } else {
      RM_ASSIGN_OR_RETURN(channel, SecureChannel(std::move(socket), arguments, deadline));
    }
    stub_ = Control::NewStub(channel);
    context_ = std::make_unique<grpc::ClientContext>();
    stream_ = stub_->Attend(context_.get());
    candidate_.emplace(credentials_.token, FreshNonce());
    FromProcess message;
    *message.mutable_hello() = candidate_->hello();
    Send(message);
    reader_ = std::thread([this, join] { Read(join); });
    return absl::OkStatus();
  }

  // gRPC speaks TLS over sockets that it has connected itself: to the address that was found.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> SecureChannel(Fd socket,
                                                               grpc::ChannelArguments arguments,
                                                               MonotonicTime deadline) {
    RM_ASSIGN_OR_RETURN(const SocketAddress other, SocketAddress::OfOtherEnd(socket.get()));
    const std::string host = endpoint_.host.empty() ? other.ToHostPort().host : endpoint_.host;
    RM_RETURN_IF_ERROR(Annotate(TryTls(credentials_.tls, std::move(socket), host, deadline),
                                absl::StrCat("the coordinator at ", endpoint_.ToString())));
    arguments.SetSslTargetNameOverride(host);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    const JobCertificates& own = credentials_.tls->certificates();
    return grpc::CreateCustomChannel(
        absl::StrCat(other.family() == AF_INET6 ? "ipv6:" : "ipv4:", other.ToHostPort().ToString()),
        grpc::SslCredentials({own.authority, own.key, own.certificate}), arguments);
  }

  // Whether the coordinator has let this process in, with a refusal as status; false: it has ended
  // the conversation.
  absl::StatusOr<bool> AwaitAnswer(MonotonicTime deadline) {
    absl::MutexLock lock(&mutex_);
    const auto answered = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return core_.admitted() || core_.hung_up() || !core_.status().ok();
    };
    if (changed_.AwaitUntil(&mutex_, deadline, answered) &&
        !(core_.hung_up() && MonotonicNow() >= deadline)) {
      if (!core_.status().ok()) return core_.status();
      return !core_.hung_up();
    }
    return NobodyStays();
  }

  absl::Status NobodyStays() const {
    const std::string holder = is_here_ ? WhoListensAt(endpoint_.port) : "";
    return absl::DeadlineExceededError(
        absl::StrCat(endpoint_.ToString(),
                     " takes connections, and no coordinator has stayed or answered there "
                     "by the deadline",
                     holder.empty() ? "" : absl::StrCat(": ", holder, " listens there"),
                     "; end the other program or give another port, or see whether rank 0 is "
                     "suspended or has no "
                     "descriptors left"));
  }

  // PermissionDenied: whoever hung up speaks TLS, and this end has not. Asked once.
  absl::Status CheckItSpeaksInClear(MonotonicTime deadline) {
    if (credentials_.tls != nullptr || std::exchange(has_probed_, true)) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(const Fd socket, ReachCoordinator(endpoint_, deadline));
    const MonotonicTime limit = std::min(deadline, MonotonicNow() + kProbeLimit);
    if (!SpeaksTls(socket.get(), limit)) return absl::OkStatus();
    return absl::PermissionDeniedError(
        absl::StrCat("the coordinator at ", endpoint_.ToString(),
                     " speaks TLS, and this rank was given no certificates; give every rank --tls "
                     "DIR, each a copy of the same folder"));
  }

  void HangUp() {
    context_->TryCancel();
    reader_.join();
    stream_->Finish();
    stream_ = nullptr;
    context_ = nullptr;
    absl::MutexLock lock(&mutex_);
    core_.OnRetry();
  }

  void Send(const FromProcess& message) {
    absl::MutexLock lock(&write_mutex_);
    stream_->Write(message);  // a broken stream is the reader's to report
  }

  // Answers the coordinator's challenge. Where that does not prove the token, the coordinator is
  // told which rank it is that turns away, and no more.
  absl::Status Answer(const Challenge& challenge, ringmaster::Join join) {
    const absl::Status proved = candidate_->OnChallenge(challenge, &join);
    FromProcess message;
    if (proved.ok()) {
      *message.mutable_join() = join;
    } else {
      message.mutable_join()->set_process(join.process());
      message.mutable_join()->set_processes(join.processes());
    }
    Send(message);
    return proved;
  }

  void Read(const ringmaster::Join& join) {
    bool is_answered = false;
    absl::Status stranger;  // not OK: what the coordinator says counts for nothing
    ToProcess message;
    while (stranger.ok() && stream_->Read(&message)) {
      if (message.has_challenge() && !is_answered) {
        is_answered = true;
        stranger = Answer(message.challenge(), join);
        // It hears of it before this end hangs up.
        if (!stranger.ok()) stream_->Read(&message);
        continue;
      }
      // Before the challenge a refusal alone makes sense.
      if (!is_answered && !message.has_abort())
        stranger = absl::UnavailableError("whoever answers there is no coordinator of ours");
      if (stranger.ok()) Hear(message);
    }
    if (!stranger.ok()) {
      ToProcess refusal;
      *refusal.mutable_abort() = FailureOf(stranger);
      Tell([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return core_.OnMessage(refusal); });
      return;
    }
    const absl::Status lost = absl::UnavailableError(
        absl::StrCat("the coordinator at ", endpoint_.ToString(), " is gone",
                     is_here_ ? "" : ", or has been suspended for over 20 s"));
    Tell([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return core_.OnStreamEnd(lost); });
  }

  // A message of the coordinator's.
  void Hear(const ToProcess& message) {
    Tell([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      // Of a run that ends later others than these words count.
      if (message.has_regroup()) words_asked_ = false;
      return core_.OnMessage(message);
    });
    if (on_loss_ != nullptr && (message.has_regroup() || message.has_lost())) on_loss_(message);
  }

  // Brings the core an event, which may end the run, and tells who waits for what it changes.
  template <typename Event>
  void Tell(const Event& event) {
    absl::Status failure;
    {
      absl::MutexLock lock(&mutex_);
      failure = event();
      changed_.SignalAll();
    }
    if (failure.ok()) return;
    on_abort_(failure);
    SayLastWords();
  }

  void SayLastWords() {
    if (last_words_ == nullptr) return;
    {
      absl::MutexLock lock(&mutex_);
      if (!core_.welcomed() || std::exchange(words_asked_, true)) return;
    }
    FromProcess message;
    *message.mutable_last_words() = last_words_();
    Send(message);
  }

  void Pulse() {
    const auto closing = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return core_.closing() || core_.goodbye();
    };
    for (;;) {
      {
        absl::MutexLock lock(&mutex_);
        if (changed_.AwaitUntil(&mutex_, MonotonicNow() + heartbeat_period_, closing)) return;
      }
      FromProcess message;
      *message.mutable_heartbeat() = heartbeat_();
      Send(message);
    }
  }

  const HostPort endpoint_;
  const JobCredentials credentials_;
  bool is_here_ = false;  // the coordinator is on this machine; constant once joined
  bool has_probed_ = false;
  const std::function<void(const absl::Status&)> on_abort_;
  const std::function<Heartbeat()> heartbeat_;
  const absl::Duration heartbeat_period_;
  EndRequest* const ends_;                               // null: nobody asks
  const std::function<LastWords()> last_words_;          // null: there are none
  const std::function<void(const ToProcess&)> on_loss_;  // null: nobody asks

  std::optional<TokenCandidate> candidate_;  // of the conversation
  std::unique_ptr<Control::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<FromProcess, ToProcess>> stream_;
  absl::Mutex write_mutex_;  // one write at a time

  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when the core has changed
  ClientCore core_ ABSL_GUARDED_BY(mutex_);
  bool words_asked_ ABSL_GUARDED_BY(mutex_) = false;
  Welcome welcome_;  // of the thread that waits for it

  std::thread reader_;
  std::thread pulse_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlClient>> ControlClient::Attend(
    const HostPort& endpoint, const JobCredentials& credentials, const Join& join,
    MonotonicTime deadline, std::function<void(const absl::Status&)> on_abort,
    std::function<Heartbeat()> heartbeat, absl::Duration heartbeat_period, EndRequest* ends,
    std::function<LastWords()> last_words, std::function<void(const ToProcess&)> on_loss) {
  auto client = std::make_unique<ControlClientImpl>(endpoint, credentials, std::move(on_abort),
                                                    std::move(heartbeat), heartbeat_period, ends,
                                                    std::move(last_words), std::move(on_loss));
  RM_RETURN_IF_ERROR(client->Join(join, deadline));
  return client;
}

}  // namespace ringmaster
