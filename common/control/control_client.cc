#include "common/control/control_client.h"

#include <grpcpp/grpcpp.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "proto/control.grpc.pb.h"

namespace ringmaster {
namespace {

// Whether one of the addresses of `endpoint` is this machine's own: others cannot be bound to.
bool IsOfThisMachine(const std::string& endpoint) {
  std::string host = endpoint.substr(0, endpoint.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  bool own = false;
  for (const addrinfo* address = found; address != nullptr && !own; address = address->ai_next) {
    const int probe = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    own = probe >= 0 && bind(probe, address->ai_addr, address->ai_addrlen) == 0;
    if (probe >= 0) close(probe);
  }
  freeaddrinfo(found);
  return own;
}

class ControlClientImpl : public ControlClient {
 public:
  ControlClientImpl(const std::string& endpoint, std::function<void(const absl::Status&)> on_abort,
                    std::function<Heartbeat()> heartbeat, absl::Duration heartbeat_period, EndRequest* ends)
      : endpoint_(endpoint),
        on_abort_(std::move(on_abort)),
        heartbeat_(std::move(heartbeat)),
        heartbeat_period_(heartbeat_period),
        ends_(ends) {}

  ~ControlClientImpl() override {
    if (ends_ != nullptr) ends_->Listen(nullptr);
    bool goodbye = false;
    {
      absl::MutexLock lock(&mutex_);
      closing_ = true;
      goodbye = goodbye_;
      changed_.SignalAll();
    }
    // A coordinator that failed or is gone would end neither the stream nor a write that waits for it.
    if (!goodbye) context_.TryCancel();
    if (pulse_.joinable()) pulse_.join();
    if (stream_ != nullptr) {
      absl::MutexLock lock(&write_mutex_);
      stream_->WritesDone();
    }
    if (reader_.joinable()) reader_.join();
    if (stream_ != nullptr) stream_->Finish();
  }

  absl::Status Join(const ringmaster::Join& join, MonotonicTime deadline) {
    grpc::ChannelArguments arguments;
    // Every process has a connection of its own: two ranks in one test process must not share fate.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    // A coordinator whose machine vanishes sends no word of it: unanswered pings do. On this machine its end breaks the
    // connection, and pings would only find that it is suspended.
    pings_ = !IsOfThisMachine(endpoint_);
    if (pings_) {
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
      arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    channel_ = grpc::CreateCustomChannel(endpoint_, grpc::InsecureChannelCredentials(), arguments);
    if (!IsConnected(deadline)) {
      return absl::DeadlineExceededError(absl::StrCat("no coordinator answers at ", endpoint_,
                                                      "; start rank 0 first, or correct --coordinator"));
    }
    stub_ = Control::NewStub(channel_);
    stream_ = stub_->Attend(&context_);
    FromProcess message;
    *message.mutable_join() = join;
    Send(message);
    reader_ = std::thread([this] { Read(); });
    pulse_ = std::thread([this] { Pulse(); });
    if (ends_ != nullptr) ends_->Listen([this](const absl::Status& why) { Fail(why); });
    absl::MutexLock lock(&mutex_);
    // The coordinator knows who is missing and how long to wait for them; one that is gone ends this too.
    const auto decided = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return welcomed_ || !status_.ok(); };
    changed_.AwaitUntil(&mutex_, MonotonicTime::InfiniteFuture(), decided);
    return status_;
  }

  const Welcome& welcome() const override { return welcome_; }

  absl::Status Barrier(absl::string_view name) override {
    FromProcess message;
    message.mutable_arrive()->set_barrier(std::string(name));
    Send(message);
    absl::MutexLock lock(&mutex_);
    const std::string key(name);
    const auto released = [this, &key]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return !status_.ok() || released_.count(key) > 0;
    };
    // A peer that never comes is the coordinator's to notice: its heartbeats end, or its own waits do.
    mutex_.Await(absl::Condition(&released));
    released_.erase(key);
    return status_;
  }

  void Fail(const absl::Status& why) override {
    FromProcess message;
    message.mutable_failure()->set_code(static_cast<int>(why.code()));
    message.mutable_failure()->set_message(std::string(why.message()));
    Send(message);
    // The run's status comes back as an abort; it may name a better cause than this process saw.
    absl::MutexLock lock(&mutex_);
    const auto failed = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !status_.ok(); };
    changed_.AwaitUntil(&mutex_, MonotonicNow() + absl::Seconds(2), failed);
  }

  absl::Status Finish(const ProcessReport& report) override {
    FromProcess message;
    *message.mutable_result() = report;
    Send(message);
    absl::MutexLock lock(&mutex_);
    const auto over = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return goodbye_ || !status_.ok(); };
    mutex_.Await(absl::Condition(&over));
    return goodbye_ ? absl::OkStatus() : status_;
  }

  absl::Status status() override {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  // Waits for the connection; false when `deadline` came first. gRPC takes moments of the wall clock: it is asked again
  // now and then, so that somebody who sets that clock does no harm.
  bool IsConnected(MonotonicTime deadline) {
    for (;;) {
      const absl::Duration left = std::max(deadline - MonotonicNow(), absl::ZeroDuration());
      const auto limit = absl::ToChronoMilliseconds(std::min(left, absl::Seconds(1)));
      if (channel_->WaitForConnected(std::chrono::system_clock::now() + limit)) return true;
      if (left == absl::ZeroDuration()) return false;
    }
  }

  void Send(const FromProcess& message) {
    absl::MutexLock lock(&write_mutex_);
    stream_->Write(message);  // a broken stream is the reader's to report
  }

  void Read() {
    ToProcess message;
    while (stream_->Read(&message)) {
      absl::Status failure;
      {
        absl::MutexLock lock(&mutex_);
        switch (message.kind_case()) {
          case ToProcess::kWelcome:
            welcome_ = message.welcome();
            welcomed_ = true;
            break;
          case ToProcess::kRelease:
            released_.insert(message.release().barrier());
            break;
          case ToProcess::kAbort:
            failure = absl::Status(static_cast<absl::StatusCode>(message.abort().code()), message.abort().message());
            break;
          case ToProcess::kGoodbye:
            goodbye_ = true;
            break;
          case ToProcess::KIND_NOT_SET:
            break;
        }
        changed_.SignalAll();
      }
      if (!failure.ok()) Abort(failure);
    }
    absl::Status lost = absl::UnavailableError(absl::StrCat(
        "the coordinator at ", endpoint_, " is gone", pings_ ? ", or has been suspended for over 20 s" : ""));
    {
      absl::MutexLock lock(&mutex_);
      if (goodbye_ || closing_) return;
    }
    Abort(lost);
  }

  void Abort(const absl::Status& why) {
    {
      absl::MutexLock lock(&mutex_);
      if (!status_.ok()) return;
      status_ = why;
      changed_.SignalAll();
    }
    on_abort_(why);
  }

  void Pulse() {
    const auto closing = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return closing_ || goodbye_; };
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

  const std::string endpoint_;
  const std::function<void(const absl::Status&)> on_abort_;
  const std::function<Heartbeat()> heartbeat_;
  const absl::Duration heartbeat_period_;
  EndRequest* const ends_;  // null: nobody asks

  bool pings_ = false;  // constant once joined
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Control::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<FromProcess, ToProcess>> stream_;
  absl::Mutex write_mutex_;  // one write at a time

  absl::Mutex mutex_;
  MonotonicCondVar changed_;  // signalled when a field below changes that a timed wait is for
  Welcome welcome_;  // constant once welcomed_
  bool welcomed_ ABSL_GUARDED_BY(mutex_) = false;
  bool goodbye_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> released_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);

  std::thread reader_;
  std::thread pulse_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlClient>> ControlClient::Attend(
    const std::string& endpoint, const Join& join, MonotonicTime deadline,
    std::function<void(const absl::Status&)> on_abort, std::function<Heartbeat()> heartbeat,
    absl::Duration heartbeat_period, EndRequest* ends) {
  auto client = std::make_unique<ControlClientImpl>(endpoint, std::move(on_abort), std::move(heartbeat),
                                                    heartbeat_period, ends);
  RM_RETURN_IF_ERROR(client->Join(join, deadline));
  return client;
}

}  // namespace ringmaster
