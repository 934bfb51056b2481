#include "common/transport/grpc/grpc_fabric.h"

#include <fcntl.h>
#include <grpcpp/alarm.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/addresses.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/security/tls_identity.h"
#include "common/transport/grpc/open_sockets.h"
#include "common/transport/grpc/stream.h"
#include "common/transport/grpc/stream_ends.h"
#include "common/transport/handshake.h"
#include "common/transport/membership.h"
#include "common/transport/polling_fabric.h"
#include "common/transport/socket.h"

namespace ringmaster {
namespace {

constexpr int64_t kMessagePrefixBytes = 5;  // gRPC's own, before each message
// window and write buffer, so that the wire never runs dry
constexpr int64_t kSegmentsInFlight = 4;

class GrpcFabric : public PollingFabric {
 public:
  GrpcFabric(const FabricOptions& options, Listener listener)
      : PollingFabric(options, /*spins=*/false),
        listener_(std::move(listener.fd)),
        endpoint_(std::move(listener.endpoint)) {}

  ~GrpcFabric() override {
    // What gRPC still has to write to a peer that hangs would keep its calls: the sockets are shut
    // under it.
    for (const Fd& socket : sockets_) {
      if (socket.valid()) shutdown(socket.get(), SHUT_RDWR);
    }
    EndStreams();
    stubs_.clear();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    StopPolling();
    if (queue_ != nullptr) {
      queue_->Shutdown();
      void* tag = nullptr;
      bool ok = false;
      while (queue_->Next(&tag, &ok)) Handle(tag, ok);
    }
    uncalled_.clear();
    server_.reset();
    sends_.AwaitNone();
  }

  // With TLS gRPC listens itself, at a port of its own: its channels over given sockets are in
  // clear.
  absl::Status ListenForStreams() {
    RM_ASSIGN_OR_RETURN(HostPort where, HostPort::Parse(endpoint_));
    where.port = 0;
    const JobCertificates& own = options().credentials.tls->certificates();
    grpc::SslServerCredentialsOptions credentials(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    credentials.pem_root_certs = own.authority;
    credentials.pem_key_cert_pairs.push_back({own.key, own.certificate});
    grpc::ServerBuilder builder;
    builder.AddListeningPort(where.ToString(), grpc::SslServerCredentials(credentials),
                             &stream_port_);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(kIntroductionLimit)));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(kIntroductionLimit)));
    return StartServer(&builder);
  }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self,
                       MonotonicTime deadline) override {
    const MonotonicTime begin = MonotonicNow();
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    RM_ASSIGN_OR_RETURN(
        Joined joined,
        JoinProcesses(listener_.get(),
                      {"grpc", options().credentials, options().segment_bytes, processes, self,
                       static_cast<uint32_t>(stream_port_), [this] { return aborted(); }},
                      deadline));
    // With TLS they have told where the streams begin, and that they are who they should be.
    if (!is_tls()) {
      for (Wire& wire : joined.wires) sockets_.push_back(std::move(wire.fd));
    }
    // All who may come have come.
    Fd closed = std::move(listener_);
    {
      absl::MutexLock lock(&mutex_);
      streams_.resize(processes.size());
      joined_.assign(processes.size(), false);
      joined_[self] = true;
    }
    RM_RETURN_IF_ERROR(AwaitCalls());
    if (queue_ == nullptr) queue_ = std::make_unique<grpc::CompletionQueue>();
    StartPolling("grpc-helper");
    for (int32_t process = 0; process < self; ++process) {
      RM_RETURN_IF_ERROR(OpenStream(process, joined.stream_ports[process]));
    }
    RM_RETURN_IF_ERROR(AwaitStreams(begin, deadline));
    if (is_tls()) FindSockets(joined.stream_ports);
    return Connected();
  }

  int64_t HeaderBytes(NodeId peer, int64_t payload_bytes) const override {
    return (kFrameHeaderBytes + kMessagePrefixBytes) *
           FrameCount(payload_bytes, options().segment_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override {
    streams_[process]->Send(message);
  }

  void OnAbort() override {
    absl::MutexLock lock(&mutex_);
    for (auto& stream : streams_) {
      if (stream != nullptr) stream->DropSends();
    }
  }

  void OnForget(int32_t process) override {
    // What gRPC still has to write to a process that hangs would keep the call. With TLS nobody
    // knows whose a socket is, and the call is kept until this fabric ends.
    if (!is_tls()) shutdown(sockets_[process].get(), SHUT_RDWR);
    streams_[process]->Forget();
  }

  // A look that does not wait makes gRPC pass on what it has begun to threads of its own, which
  // costs more than a sleep: ring all-reduce of 16 MiB at half the speed. So waits sleep at once,
  // whatever options().wait says.
  bool Look() override { return false; }

  void Nap(absl::Duration limit, absl::FunctionRef<void()> over) override {
    const gpr_timespec span =
        gpr_time_from_micros(absl::ToInt64Microseconds(limit) + 1, GPR_TIMESPAN);
    void* tag = nullptr;
    bool ok = false;
    const auto said =
        queue_->AsyncNext(&tag, &ok, gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), span));
    over();
    if (said == grpc::CompletionQueue::GOT_EVENT) Handle(tag, ok);
  }

  void Rouse() override {
    if (!is_roused_.exchange(true))
      rouse_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), &rouse_);
  }

 private:
  void Handle(void* tag, bool ok) {
    if (tag == &rouse_) {
      is_roused_.store(false);
      return;
    }
    const StreamTag& of_stream = *static_cast<StreamTag*>(tag);
    of_stream.stream->On(of_stream.kind, ok);
  }

  // Ends all calls; a stream that nobody has called stays until the server has ended.
  void EndStreams() {
    std::vector<std::unique_ptr<Stream>> ended;
    {
      absl::MutexLock lock(&mutex_);
      leaving_ = true;
      ended.swap(streams_);
    }
    for (auto& stream : ended) {
      if (stream != nullptr) stream->Close();
    }
    for (auto& stream : uncalled_) {
      if (stream != nullptr) stream->Close();
    }
    for (auto& stream : ended) {
      if (stream != nullptr) stream->AwaitEnd();
    }
  }

  // Waits until every pair with this process has a stream.
  absl::Status AwaitStreams(MonotonicTime begin, MonotonicTime deadline) {
    const auto is_over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !join_status_.ok() ||
             std::find(joined_.begin(), joined_.end(), false) == joined_.end();
    };
    for (MonotonicTime now = begin; now < deadline; now = MonotonicNow()) {
      const MonotonicTime look = std::min(deadline, now + absl::Milliseconds(kAbortPollMs));
      {
        absl::MutexLock lock(&mutex_);
        if (joined_changed_.AwaitUntil(&mutex_, look, is_over)) return join_status_;
      }
      RM_RETURN_IF_ERROR(aborted());  // takes the lock under which an abort takes mutex_
    }
    absl::MutexLock lock(&mutex_);
    std::vector<std::string> missing;
    for (int32_t process = 0; process < static_cast<int32_t>(joined_.size()); ++process) {
      if (!joined_[process]) missing.push_back(Describe(process));
    }
    return absl::DeadlineExceededError(
        absl::StrCat("grpc: no stream with ", absl::StrJoin(missing, ", "), " within ",
                     absl::StrFormat("%.1fs", absl::ToDoubleSeconds(deadline - begin))));
  }

  // The same settings for both ends: `set` takes a name and a value.
  template <typename Set>
  void SetArguments(Set set) const {
    const int64_t message_bytes = options().segment_bytes + kFrameHeaderBytes;
    set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, static_cast<int>(message_bytes));
    set(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    const int64_t frame_bytes = message_bytes + kMessagePrefixBytes;
    set(GRPC_ARG_HTTP2_MAX_FRAME_SIZE,
        static_cast<int>(std::clamp<int64_t>(frame_bytes, 16384, 16777215)));
    // A fixed window, as large as the buffer before it: no arm meets a link that is still being
    // probed.
    const int window_bytes =
        static_cast<int>(std::max<int64_t>(kSegmentsInFlight * frame_bytes, 65535));
    set(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window_bytes);
    set(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, window_bytes);
  }

  bool is_tls() const { return options().credentials.tls != nullptr; }

  absl::Status StartServer(grpc::ServerBuilder* builder) {
    SetArguments([&](const char* name, int value) { builder->AddChannelArgument(name, value); });
    builder->RegisterAsyncGenericService(&service_);
    std::unique_ptr<grpc::ServerCompletionQueue> queue = builder->AddCompletionQueue();
    server_queue_ = queue.get();
    queue_ = std::move(queue);
    server_ = builder->BuildAndStart();
    return server_ != nullptr ? absl::OkStatus()
                              : absl::UnavailableError("grpc: the server did not start");
  }

  // Takes the streams of all higher processes, who open them; in clear over their sockets.
  absl::Status AwaitCalls() {
    if (self() + 1 == static_cast<int32_t>(processes().size())) return absl::OkStatus();
    if (server_ == nullptr) {
      grpc::ServerBuilder builder;
      RM_RETURN_IF_ERROR(StartServer(&builder));
    }
    for (int32_t process = self() + 1; process < static_cast<int32_t>(processes().size());
         ++process) {
      AwaitStream(server_queue_);
      if (is_tls()) continue;
      RM_ASSIGN_OR_RETURN(const int fd, Duplicate(process));
      grpc::AddInsecureChannelFromFd(server_.get(), fd);
    }
    return absl::OkStatus();
  }

  // Has the server take one more stream, whichever process opens it; its connection has passed the
  // handshake.
  void AwaitStream(grpc::ServerCompletionQueue* queue) {
    const size_t place = uncalled_.size();
    uncalled_.push_back(std::make_unique<ServerStream>(options().segment_bytes, &sends_));
    ServerStream& stream = *uncalled_.back();
    stream.SetEvents({nullptr, [this](const absl::Status& status) {
                        Fail(Annotate(status, "grpc: a connection"));
                      }});
    // Who is joined may be sent to: not before it is answered.
    const auto process_of = std::make_shared<int32_t>(-1);  // shared by the two reactions
    stream.Start(
        service_, queue,
        [this, place, process_of](int32_t process) { return Accept(place, *process_of = process); },
        [this, process_of] {
          absl::MutexLock lock(&mutex_);
          joined_[*process_of] = true;
          joined_changed_.SignalAll();
        });
  }

  absl::Status Accept(size_t place, int32_t process) {
    absl::MutexLock lock(&mutex_);
    const int32_t count = static_cast<int32_t>(streams_.size());
    if (leaving_ || process <= self() || process >= count || streams_[process] != nullptr) {
      return absl::FailedPreconditionError(
          absl::StrCat("a stream from process ", process, " is not expected"));
    }
    uncalled_[place]->SetEvents(EventsOf(process));
    streams_[process] = std::move(uncalled_[place]);
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(int32_t process, uint32_t port) {
    grpc::ChannelArguments arguments;
    SetArguments([&](const char* name, int value) { arguments.SetInt(name, value); });
    if (!is_tls()) {
      RM_ASSIGN_OR_RETURN(const int fd, Duplicate(process));
      return grpc::CreateCustomInsecureChannelFromFd(absl::StrCat("process-", process), fd,
                                                     arguments);
    }
    RM_ASSIGN_OR_RETURN(HostPort where, HostPort::Parse(processes()[process].endpoint));
    where.port = static_cast<int>(port);
    arguments.SetSslTargetNameOverride(where.host);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // Each has a connection of its own, and none is shared with another fabric of this process.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const JobCertificates& own = options().credentials.tls->certificates();
    const bool is_v6 = where.host.find(':') != std::string::npos;
    return grpc::CreateCustomChannel(
        absl::StrCat(is_v6 ? "ipv6:" : "ipv4:", where.ToString()),
        grpc::SslCredentials({own.authority, own.key, own.certificate}), arguments);
  }

  // The sockets that gRPC has opened, to shut them when a peer hangs.
  void FindSockets(const std::vector<uint32_t>& stream_ports) {
    sockets_ = OpenSockets([&](const SocketAddress& own, const SocketAddress& other) {
      if (own.ToHostPort().port == stream_port_) return true;
      for (int32_t process = 0; process < self(); ++process) {
        const auto endpoint = HostPort::Parse(processes()[process].endpoint);
        if (endpoint.ok() &&
            other.ToHostPort() == HostPort{endpoint->host, static_cast<int>(stream_ports[process])})
          return true;
      }
      return false;
    });
  }

  absl::Status OpenStream(int32_t process, uint32_t port) {
    RM_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, ChannelTo(process, port));
    stubs_.push_back(std::make_unique<grpc::GenericStub>(channel));
    auto stream = std::make_unique<ClientStream>(options().segment_bytes, &sends_);
    stream->SetEvents(EventsOf(process));
    ClientStream& started = *stream;
    {
      absl::MutexLock lock(&mutex_);
      streams_[process] = std::move(stream);
    }
    started.Start(*stubs_.back(), queue_.get(), self(), [this, process] {
      absl::MutexLock lock(&mutex_);
      joined_[process] = true;
      joined_changed_.SignalAll();
    });
    return absl::OkStatus();
  }

  // gRPC owns and closes the descriptor it is given; the other stays here, to shut the connection.
  absl::StatusOr<int> Duplicate(int32_t process) const {
    const int fd = fcntl(sockets_[process].get(), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) return fd;
    return absl::UnavailableError(
        "grpc: no descriptor left; check the limit of open files (ulimit -n)");
  }

  StreamEvents EventsOf(int32_t process) {
    return {[this, process](const FrameHeader& header) { return BeginFrame(process, header); },
            [this, process](const absl::Status& status) {
              Fail(Annotate(status, absl::StrCat("grpc: connection to ", Describe(process))));
            }};
  }

  void Fail(const absl::Status& why) {
    ConnectionEnded(why);
    absl::MutexLock lock(&mutex_);
    if (join_status_.ok()) join_status_ = why;
    joined_changed_.SignalAll();
  }

  Fd listener_;  // until connected
  const std::string endpoint_;
  std::vector<Fd> sockets_;  // in clear by process; gRPC works on duplicates
  int stream_port_ = 0;      // with TLS
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::CompletionQueue> queue_;         // the server's, where there is one
  grpc::ServerCompletionQueue* server_queue_ = nullptr;  // the same; null: there is none
  std::unique_ptr<grpc::Server> server_;
  // filled by Connect, taken from by who polls
  std::vector<std::unique_ptr<ServerStream>> uncalled_;
  grpc::Alarm rouse_;
  std::atomic<bool> is_roused_{false};
  SendCount sends_;

  absl::Mutex mutex_;
  // By process, none to itself. Filled under mutex_ until Connect returns, constant then.
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<bool> joined_ ABSL_GUARDED_BY(mutex_);
  absl::Status join_status_ ABSL_GUARDED_BY(mutex_);
  MonotonicCondVar joined_changed_;  // signalled when one of the two above changes
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateGrpcFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "grpc");
  auto fabric = std::make_unique<GrpcFabric>(options, *std::move(listener));
  if (options.credentials.tls != nullptr) RM_RETURN_IF_ERROR(fabric->ListenForStreams());
  return fabric;
}

}  // namespace ringmaster
