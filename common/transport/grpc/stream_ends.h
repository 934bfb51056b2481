#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/transport/grpc/stream.h"

namespace ringmaster {

// The end that opened the stream.
class ClientStream : public Stream {
 public:
  using Stream::Stream;

  // Opens the stream as process `self`, with reactions in `queue`. `welcomed`: the other end has
  // answered; called at most once, without a lock. Stub and queue outlive the stream.
  void Start(grpc::GenericStub& stub, grpc::CompletionQueue* queue, int32_t self,
             std::function<void()> welcomed);

 protected:
  void StartWriteOf(const grpc::ByteBuffer& buffer) override {
    call_->Write(buffer, Awaited(StreamTag::Kind::kWritten));
  }
  void StartReadOf(grpc::ByteBuffer* buffer) override {
    call_->Read(buffer, Awaited(StreamTag::Kind::kRead));
  }
  void StartEnd() override { call_->Finish(&end_, Awaited(StreamTag::Kind::kOver)); }
  bool Opened() override {
    call_->ReadInitialMetadata(Awaited(StreamTag::Kind::kAnswered));
    return true;
  }
  void Answered() override;
  void Cancel() override { context_->TryCancel(); }
  void LetGo() override {
    call_.reset();
    context_.reset();
  }

 private:
  std::optional<grpc::ClientContext> context_{std::in_place};
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::Status end_;
  std::function<void()> welcomed_;
};

// The end that is called.
class ServerStream : public Stream {
 public:
  ServerStream(int64_t segment_bytes, SendCount* count) : Stream(segment_bytes, count) {
    call_.emplace(&*context_);
  }

  // Waits for a call, with reactions in `queue`, which is of the service's server and outlives the
  // stream's tags. `called`: one was opened by that process (-1: it does not say); an error breaks
  // the stream. `answered`: messages may be sent. Each is called at most once, without a lock. The
  // server's end ends the wait.
  void Start(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue* queue,
             std::function<absl::Status(int32_t process)> called, std::function<void()> answered);

 protected:
  void StartWriteOf(const grpc::ByteBuffer& buffer) override {
    call_->Write(buffer, Awaited(StreamTag::Kind::kWritten));
  }
  void StartReadOf(grpc::ByteBuffer* buffer) override {
    call_->Read(buffer, Awaited(StreamTag::Kind::kRead));
  }
  void StartEnd() override {
    call_->Finish(grpc::Status::CANCELLED, Awaited(StreamTag::Kind::kOver));
  }
  bool Opened() override;
  void Answered() override;
  void Cancel() override;
  void LetGo() override {
    call_.reset();
    context_.reset();
  }

 private:
  std::optional<grpc::GenericServerContext> context_{std::in_place};
  std::optional<grpc::GenericServerAsyncReaderWriter> call_;
  std::atomic<bool> is_called_{false};
  std::function<absl::Status(int32_t process)> called_;
  std::function<void()> answered_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_
