#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>

#include "common/transport/grpc/stream.h"

namespace ringmaster {

constexpr char kExchangeMethod[] = "/ringmaster.Fabric/Exchange";
constexpr char kProcessKey[] = "ringmaster-process";

// The end that opened the stream.
class ClientStream : public Stream, private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  using Stream::Stream;

  // Opens the stream as process `self`. `welcomed`: the other end has answered; called at most once, without a lock.
  // The stub is alive until AwaitDone has returned.
  void Start(grpc::GenericStub& stub, int32_t self, std::function<void()> welcomed);

 protected:
  void StartWriteOf(const grpc::ByteBuffer* buffer) override { StartWrite(buffer); }
  void StartReadOf(grpc::ByteBuffer* buffer) override { StartRead(buffer); }
  void Cancel() override { context_.TryCancel(); }
  void Release() override { RemoveHold(); }

 private:
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override { ReadDone(ok); }
  void OnWriteDone(bool ok) override { WriteDone(ok); }
  void OnDone(const grpc::Status& status) override { Done(); }

  grpc::ClientContext context_;
  std::function<void()> welcomed_;
};

// The end that was called.
class ServerStream : public Stream, public grpc::ServerGenericBidiReactor {
 public:
  // `context` is gRPC's and lives until Done.
  ServerStream(int64_t segment_bytes, SendCount* count, grpc::GenericCallbackServerContext* context)
      : Stream(segment_bytes, count), context_(context) {}

  // Answers and begins to read; the events are set.
  void Start();

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

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_STREAM_ENDS_H_
