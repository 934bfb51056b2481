#include "common/transport/grpc/stream_ends.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ringmaster {
namespace {

constexpr char kExchangeMethod[] = "/ringmaster.Fabric/Exchange";
constexpr char kProcessKey[] = "ringmaster-process";
constexpr char kWelcomeKey[] = "ringmaster-welcome";

}  // namespace

void ClientStream::Start(grpc::GenericStub& stub, grpc::CompletionQueue* queue, int32_t self,
                         std::function<void()> welcomed) {
  welcomed_ = std::move(welcomed);
  context_->AddMetadata(kProcessKey, absl::StrCat(self));
  call_ = stub.PrepareCall(&*context_, kExchangeMethod, queue);
  HasCall();
  call_->StartCall(Awaited(StreamTag::Kind::kOpened));
}

void ClientStream::Answered() {
  if (context_->GetServerInitialMetadata().count(kWelcomeKey) == 0) {
    Break(absl::UnavailableError("the stream was refused"));
    return;
  }
  ReadNext();
  welcomed_();
}

void ServerStream::Start(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue* queue,
                         std::function<absl::Status(int32_t process)> called,
                         std::function<void()> answered) {
  called_ = std::move(called);
  answered_ = std::move(answered);
  service.RequestCall(&*context_, &*call_, queue, queue, Awaited(StreamTag::Kind::kOpened));
}

bool ServerStream::Opened() {
  is_called_.store(true);
  const auto& metadata = context_->client_metadata();
  const auto found = metadata.find(kProcessKey);
  int32_t process = -1;
  if (context_->method() != kExchangeMethod || found == metadata.end() ||
      !absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &process)) {
    process = -1;
  }
  const absl::Status status = called_(process);
  if (!status.ok()) {
    Break(status);
    return false;
  }
  context_->AddInitialMetadata(kWelcomeKey, "1");
  call_->SendInitialMetadata(Awaited(StreamTag::Kind::kAnswered));
  return true;
}

void ServerStream::Answered() {
  ReadNext();
  answered_();
}

void ServerStream::Cancel() {
  if (is_called_.load()) context_->TryCancel();
}

}  // namespace ringmaster
