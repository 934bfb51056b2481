#include "common/transport/grpc/stream_ends.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr char kWelcomeKey[] = "ringmaster-welcome";

}  // namespace

void ClientStream::Start(grpc::GenericStub& stub, int32_t self, std::function<void()> welcomed) {
  welcomed_ = std::move(welcomed);
  context_.AddMetadata(kProcessKey, absl::StrCat(self));
  stub.PrepareBidiStreamingCall(&context_, kExchangeMethod, {}, this);
  AddHold();
  ReadNext();
  StartCall();
}

void ClientStream::OnReadInitialMetadataDone(bool ok) {
  // An end without a welcome is told by the read.
  if (ok && context_.GetServerInitialMetadata().count(kWelcomeKey) > 0) welcomed_();
}

void ServerStream::Start() {
  if (!EnterBusy()) return;
  context_->AddInitialMetadata(kWelcomeKey, "1");
  StartSendInitialMetadata();
  ReadNext();
  LeaveBusy();
}

}  // namespace ringmaster
