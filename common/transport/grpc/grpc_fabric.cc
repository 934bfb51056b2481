#include "common/transport/grpc/grpc_fabric.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/transport/fabric_base.h"
#include "common/transport/handshake.h"
#include "common/transport/socket.h"

namespace ringmaster {
namespace {

constexpr char kMethod[] = "/ringmaster.Fabric/Exchange";
constexpr char kProcessKey[] = "ringmaster-process";
constexpr char kWelcomeKey[] = "ringmaster-welcome";
constexpr int64_t kMessagePrefixBytes = 5;  // gRPC's own, before each message
constexpr int64_t kSegmentsInFlight = 4;    // window and write buffer, so that the wire never runs dry

// Counts messages whose payload gRPC may still read.
class SendCount {
 public:
  void Add() {
    absl::MutexLock lock(&mutex_);
    ++count_;
  }
  void Remove() {
    absl::MutexLock lock(&mutex_);
    --count_;
  }
  void AwaitNone() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int64_t* count) { return *count == 0; }, &count_));
  }

 private:
  absl::Mutex mutex_;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A message on its way out: held by the queue and by each slice of its payload. The last to let go ends the send.
struct Sending {
  Sending(const OutgoingMessage& message, SendCount* count) : message(message), count(count) { count->Add(); }
  static void Release(void* self) {
    auto* sending = static_cast<Sending*>(self);
    if (sending->holders.fetch_sub(1) != 1) return;
    SendCount* const count = sending->count;
    sending->message.sender->FinishSend(sending->message.op);
    delete sending;
    count->Remove();
  }

  const OutgoingMessage message;
  SendCount* const count;
  int64_t next_offset = 0;
  std::atomic<int> holders{1};
};

// What happens on a stream, told to the fabric without any lock held.
struct StreamEvents {
  std::function<absl::StatusOr<FrameArrival>(const FrameHeader&)> begin;
  std::function<void(absl::Status)> broken;  // once, unless closed by this side
};

// One end of a stream, whichever side opened it: queue and frames here, gRPC's calls in the two classes below. gRPC
// allows one write and one read at a time and wants to hear, by Release, when no more will be started.
class Stream {
 public:
  Stream(int64_t segment_bytes, SendCount* count) : segment_bytes_(segment_bytes), count_(count) {}
  virtual ~Stream() { RM_CHECK(queue_.empty()); }

  // Before the first read. The events outlive the stream's last reaction.
  void SetEvents(StreamEvents events) { events_ = std::move(events); }

  // Any thread.
  void Send(const OutgoingMessage& message) {
    {
      absl::MutexLock lock(&mutex_);
      if (dropping_) return;
      queue_.push_back(new Sending(message, count_));
      if (writing_) return;
      writing_ = true;
    }
    WriteNext();
  }

  // Forgets what is queued; what gRPC has taken already stays its own.
  void DropSends() {
    std::deque<Sending*> dropped;
    {
      absl::MutexLock lock(&mutex_);
      dropping_ = true;
      dropped.swap(queue_);
    }
    for (Sending* sending : dropped) Sending::Release(sending);
  }

  // Ends the stream, whose connection is shut already; AwaitDone tells when.
  void Close() {
    DropSends();
    {
      absl::MutexLock lock(&mutex_);
      if (closing_) return;  // it broke: it ends by itself, and gRPC may have taken its context back
      closing_ = true;
      ++busy_;
    }
    Cancel();
    LeaveBusy();
  }

  void AwaitDone() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
  }

 protected:
  virtual void StartWriteOf(const grpc::ByteBuffer* buffer) = 0;
  virtual void StartReadOf(grpc::ByteBuffer* buffer) = 0;
  virtual void Cancel() = 0;
  virtual void Release() = 0;  // no operation is started from here on

  // Keeps Release away while operations are started from outside gRPC's reactions; false when it is too late.
  bool EnterBusy() {
    absl::MutexLock lock(&mutex_);
    if (closing_) return false;
    ++busy_;
    return true;
  }
  void LeaveBusy() {
    {
      absl::MutexLock lock(&mutex_);
      --busy_;
    }
    ReleaseIfOver();
  }

  void ReadNext() { StartReadOf(&incoming_); }

  void ReadDone(bool ok) {
    if (!ok) {
      Break(absl::UnavailableError("it closed the connection: it has ended or failed"));
      return;
    }
    const absl::Status status = Receive();
    if (status.ok()) {
      ReadNext();
    } else {
      Break(status);
    }
  }

  void WriteDone(bool ok) {
    outgoing_.Clear();  // it refers to the sender's memory too
    bool more = false;
    {
      absl::MutexLock lock(&mutex_);
      more = ok && !closing_ && !queue_.empty();
      writing_ = more;
    }
    if (more) {
      WriteNext();
    } else if (!ok) {
      Break(absl::UnavailableError("a write failed: it has ended or failed"));
    } else {
      ReleaseIfOver();
    }
  }

  void Done() {
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }

 private:
  // Writes the next frame; the caller has set writing_.
  void WriteNext() {
    Sending* sending = nullptr;
    FrameHeader header;
    bool last = false;
    {
      absl::MutexLock lock(&mutex_);
      if (queue_.empty()) {
        writing_ = false;
      } else {
        sending = queue_.front();
        header = sending->message.Frame(sending->next_offset, segment_bytes_);
        sending->next_offset += header.length;
        last = sending->next_offset == header.total_bytes;
        if (last) queue_.pop_front();
        if (!last || header.length > 0) sending->holders.fetch_add(1);  // the slice's
      }
    }
    if (sending == nullptr) {
      ReleaseIfOver();
      return;
    }
    const FrameHeaderBytes encoded = EncodeFrameHeader(header);
    grpc::Slice slices[2] = {grpc::Slice(encoded.data(), encoded.size())};
    if (header.length > 0) {
      auto* payload = const_cast<std::byte*>(sending->message.payload.data() + header.offset);
      slices[1] = grpc::Slice(payload, header.length, &Sending::Release, sending);
    }
    grpc::ByteBuffer buffer(slices, header.length > 0 ? 2 : 1);
    outgoing_.Swap(&buffer);
    buffer.Clear();
    slices[1] = grpc::Slice();
    if (last) Sending::Release(sending);  // the queue's
    StartWriteOf(&outgoing_);
  }

  absl::Status Receive() {
    received_.clear();
    if (!incoming_.Dump(&received_).ok()) return absl::InternalError("a message cannot be read");
    const int64_t message_bytes = incoming_.Length();
    incoming_.Clear();
    if (message_bytes < kFrameHeaderBytes) {
      return absl::InvalidArgumentError(absl::StrCat("a message of ", message_bytes, " bytes has no frame header"));
    }
    FrameHeaderBytes encoded;
    int64_t have = 0;
    FrameArrival arrival;
    for (const grpc::Slice& slice : received_) {
      auto bytes = absl::MakeConstSpan(reinterpret_cast<const std::byte*>(slice.begin()), slice.size());
      if (have < kFrameHeaderBytes) {
        const int64_t count = std::min<int64_t>(kFrameHeaderBytes - have, bytes.size());
        std::copy_n(bytes.begin(), count, encoded.begin() + have);
        bytes.remove_prefix(count);
        have += count;
        if (have < kFrameHeaderBytes) continue;
        RM_ASSIGN_OR_RETURN(const FrameHeader header, DecodeFrameHeader(encoded, segment_bytes_));
        if (header.length != message_bytes - kFrameHeaderBytes) {
          return absl::InvalidArgumentError(absl::StrCat("a frame says it has ", header.length, " bytes, but has ",
                                                         message_bytes - kFrameHeaderBytes));
        }
        RM_ASSIGN_OR_RETURN(arrival, events_.begin(header));
      }
      if (arrival.message != nullptr) arrival.matcher->Append(arrival.message, bytes);
    }
    received_.clear();
    return absl::OkStatus();
  }

  void Break(const absl::Status& status) {
    bool first = false;
    {
      absl::MutexLock lock(&mutex_);
      first = !closing_;
      closing_ = true;
    }
    if (first) events_.broken(status);
    ReleaseIfOver();
  }

  void ReleaseIfOver() {
    {
      absl::MutexLock lock(&mutex_);
      if (!closing_ || writing_ || busy_ > 0 || released_) return;
      released_ = true;
    }
    Release();
  }

  const int64_t segment_bytes_;
  SendCount* const count_;
  StreamEvents events_;

  // The reader's.
  grpc::ByteBuffer incoming_;
  std::vector<grpc::Slice> received_;
  // The writer's: whoever set writing_.
  grpc::ByteBuffer outgoing_;

  absl::Mutex mutex_;
  std::deque<Sending*> queue_ ABSL_GUARDED_BY(mutex_);
  bool dropping_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The end that opened the stream.
class ClientStream : public Stream, private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  using Stream::Stream;

  // `welcomed`: the other end has answered.
  void Start(grpc::GenericStub& stub, int32_t self, std::function<void()> welcomed) {
    welcomed_ = std::move(welcomed);
    context_.AddMetadata(kProcessKey, absl::StrCat(self));
    stub.PrepareBidiStreamingCall(&context_, kMethod, {}, this);
    AddHold();
    ReadNext();
    StartCall();
  }

 protected:
  void StartWriteOf(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }
  void StartReadOf(grpc::ByteBuffer* buffer) override { StartRead(buffer); }
  void Cancel() override { context_.TryCancel(); }
  void Release() override { RemoveHold(); }

 private:
  void OnReadInitialMetadataDone(bool ok) override {
    // An end without a welcome is told by the read.
    if (ok && context_.GetServerInitialMetadata().count(kWelcomeKey) > 0) welcomed_();
  }
  void OnReadDone(bool ok) override { ReadDone(ok); }
  void OnWriteDone(bool ok) override { WriteDone(ok); }
  void OnDone(const grpc::Status& status) override { Done(); }

  grpc::ClientContext context_;
  std::function<void()> welcomed_;
};

// The end that was called.
class ServerStream : public Stream, public grpc::ServerGenericBidiReactor {
 public:
  ServerStream(int64_t segment_bytes, SendCount* count, grpc::GenericCallbackServerContext* context)
      : Stream(segment_bytes, count), context_(context) {}

  // Answers and begins to read; the events are set.
  void Start() {
    if (!EnterBusy()) return;
    context_->AddInitialMetadata(kWelcomeKey, "1");
    StartSendInitialMetadata();
    ReadNext();
    LeaveBusy();
  }

 protected:
  void StartWriteOf(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }
  void StartReadOf(grpc::ByteBuffer* buffer) override { StartRead(buffer); }
  void Cancel() override { context_->TryCancel(); }
  void Release() override { Finish(grpc::Status::CANCELLED); }

 private:
  void OnReadDone(bool ok) override { ReadDone(ok); }
  void OnWriteDone(bool ok) override { WriteDone(ok); }
  void OnDone() override { Done(); }

  grpc::GenericCallbackServerContext* const context_;
};

// Refuses a call that names no process; deletes itself.
class RefusedStream : public grpc::ServerGenericBidiReactor {
 public:
  RefusedStream() { Finish(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no stream is expected")); }
  void OnDone() override { delete this; }
};

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
        context->method() == kMethod && found != metadata.end() &&
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
      joined_[process] = true;
    }
    accepted->SetEvents(EventsOf(process));
    accepted->Start();
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
