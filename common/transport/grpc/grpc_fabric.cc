#include "common/transport/grpc/grpc_fabric.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/grpc/stream.h"
#include "common/transport/grpc/stream_ends.h"
#include "common/transport/handshake.h"
#include "common/transport/socket.h"

namespace ringmaster {
namespace {

constexpr int64_t kMessagePrefixBytes = 5;  // gRPC's own, before each message
constexpr int64_t kSegmentsInFlight = 4;    // window and write buffer, so that the wire never runs dry

class GrpcFabric : public FabricBase, private grpc::CallbackGenericService {
 public:
  GrpcFabric(const FabricOptions& options, Listener listener)
      : FabricBase(options), listener_(std::move(listener.fd)), endpoint_(std::move(listener.endpoint)) {}

  ~GrpcFabric() override {
    {
      absl::MutexLock lock(&mutex_);
      leaving_ = true;
    }
    // What gRPC still has to write to a peer that hangs would keep its calls: the sockets are shut under it.
    for (const Fd& socket : sockets_) {
      if (socket.valid()) shutdown(socket.get(), SHUT_RDWR);
    }
    for (auto& stream : streams_) {
      if (stream != nullptr) stream->Close();
    }
    for (auto& stream : streams_) {
      if (stream != nullptr) stream->AwaitDone();
    }
    std::vector<std::unique_ptr<Stream>> ended;  // their contexts hold the channels
    {
      absl::MutexLock lock(&mutex_);
      ended.swap(streams_);
    }
    ended.clear();
    stubs_.clear();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    sends_.AwaitNone();
  }

  std::string endpoint() const override { return endpoint_; }

  absl::Status Connect(const std::vector<ProcessAddress>& processes, int32_t self, absl::Time deadline) override {
    const absl::Time begin = absl::Now();
    RM_RETURN_IF_ERROR(SetProcesses(processes, self));
    RM_ASSIGN_OR_RETURN(
        sockets_,
        JoinProcesses(listener_.get(), {"grpc", options().token, options().segment_bytes, processes, self}, deadline));
    // All who may come have come.
    Fd closed = std::move(listener_);
    {
      absl::MutexLock lock(&mutex_);
      streams_.resize(processes.size());
      joined_.assign(processes.size(), false);
      joined_[self] = true;
    }
    RM_RETURN_IF_ERROR(StartServer());
    for (int32_t process = 0; process < self; ++process) RM_RETURN_IF_ERROR(OpenStream(process));
    RM_RETURN_IF_ERROR(AwaitStreams(begin, deadline));
    return Connected();
  }

  int64_t HeaderBytes(int64_t payload_bytes) const override {
    return (kFrameHeaderBytes + kMessagePrefixBytes) * FrameCount(payload_bytes, options().segment_bytes);
  }

 protected:
  void SendRemote(int32_t process, const OutgoingMessage& message) override { streams_[process]->Send(message); }

  void OnAbort() override {
    absl::MutexLock lock(&mutex_);
    for (auto& stream : streams_) {
      if (stream != nullptr) stream->DropSends();
    }
  }

 private:
  // Waits until every pair with this process has a stream.
  absl::Status AwaitStreams(absl::Time begin, absl::Time deadline) {
    absl::MutexLock lock(&mutex_);
    const auto is_over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !join_status_.ok() || std::find(joined_.begin(), joined_.end(), false) == joined_.end();
    };
    if (mutex_.AwaitWithDeadline(absl::Condition(&is_over), deadline)) return join_status_;
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
    set(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, static_cast<int>(std::clamp<int64_t>(frame_bytes, 16384, 16777215)));
    // A fixed window, as large as the buffer before it: no arm meets a link that is still being probed.
    const int window_bytes = static_cast<int>(std::max<int64_t>(kSegmentsInFlight * frame_bytes, 65535));
    set(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, window_bytes);
    set(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, window_bytes);
  }

  // Takes the sockets of all higher processes, who open the streams.
  absl::Status StartServer() {
    if (self() + 1 == static_cast<int32_t>(processes().size())) return absl::OkStatus();
    grpc::ServerBuilder builder;
    SetArguments([&](const char* name, int value) { builder.AddChannelArgument(name, value); });
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::UnavailableError("grpc: the server did not start");
    for (int32_t process = self() + 1; process < static_cast<int32_t>(processes().size()); ++process) {
      RM_ASSIGN_OR_RETURN(const int fd, Duplicate(process));
      grpc::AddInsecureChannelFromFd(server_.get(), fd);
    }
    return absl::OkStatus();
  }

  absl::Status OpenStream(int32_t process) {
    RM_ASSIGN_OR_RETURN(const int fd, Duplicate(process));
    grpc::ChannelArguments arguments;
    SetArguments([&](const char* name, int value) { arguments.SetInt(name, value); });
    stubs_.push_back(std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomInsecureChannelFromFd(absl::StrCat("process-", process), fd, arguments)));
    auto stream = std::make_unique<ClientStream>(options().segment_bytes, &sends_);
    stream->SetEvents(EventsOf(process));
    ClientStream& started = *stream;
    {
      absl::MutexLock lock(&mutex_);
      streams_[process] = std::move(stream);
    }
    started.Start(*stubs_.back(), self(), [this, process] {
      absl::MutexLock lock(&mutex_);
      joined_[process] = true;
    });
    return absl::OkStatus();
  }

  // gRPC owns and closes the descriptor it is given; the other stays here, to shut the connection.
  absl::StatusOr<int> Duplicate(int32_t process) const {
    const int fd = fcntl(sockets_[process].get(), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) return fd;
    return absl::UnavailableError("grpc: no descriptor left; check the limit of open files (ulimit -n)");
  }

  // Called by gRPC for each stream that a higher process opens; its connection has passed the handshake.
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    const auto& metadata = context->client_metadata();
    const auto found = metadata.find(kProcessKey);
    int32_t process = -1;
    const bool is_named =
        context->method() == kExchangeMethod && found != metadata.end() &&
        absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &process);
    ServerStream* accepted = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      const int32_t count = static_cast<int32_t>(streams_.size());
      if (!is_named || leaving_ || process <= self() || process >= count || streams_[process] != nullptr) {
        return new RefusedStream;
      }
      auto stream = std::make_unique<ServerStream>(options().segment_bytes, &sends_, context);
      accepted = stream.get();
      streams_[process] = std::move(stream);
    }
    accepted->SetEvents(EventsOf(process));
    accepted->Start();
    // Not before: who is joined may be sent to, and a first write would send the metadata that Start adds to.
    absl::MutexLock lock(&mutex_);
    joined_[process] = true;
    return accepted;
  }

  StreamEvents EventsOf(int32_t process) {
    return {[this, process](const FrameHeader& header) { return BeginFrame(process, header); },
            [this, process](const absl::Status& status) {
              const absl::Status why = Annotate(status, absl::StrCat("grpc: connection to ", Describe(process)));
              Abort(why);
              absl::MutexLock lock(&mutex_);
              if (join_status_.ok()) join_status_ = why;
            }};
  }

  Fd listener_;  // until connected
  const std::string endpoint_;
  std::vector<Fd> sockets_;  // by process; gRPC works on duplicates
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::unique_ptr<grpc::Server> server_;
  SendCount sends_;

  absl::Mutex mutex_;
  // By process, none to itself. Filled under mutex_ until Connect returns, constant then.
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<bool> joined_ ABSL_GUARDED_BY(mutex_);
  absl::Status join_status_ ABSL_GUARDED_BY(mutex_);
  bool leaving_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fabric>> CreateGrpcFabric(const FabricOptions& options) {
  absl::StatusOr<Listener> listener = ListenAt(options.listen_address);
  if (!listener.ok()) return Annotate(listener.status(), "grpc");
  return std::make_unique<GrpcFabric>(options, *std::move(listener));
}

}  // namespace ringmaster
