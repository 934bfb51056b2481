#include "worker/strategy/ps/server_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

ServerLink::ServerLink(const WorkerLink& link, ServerCodecs codecs)
    : link_(link),
      codec_(std::move(codecs.up)),
      down_codec_(std::move(codecs.down)),
      beside_worker_(TraitsOf(*link.spec).servers_beside_workers),
      wait_limit_(absl::Seconds(link.spec->limits().wait_seconds())),
      memory_(link.offer.encoded ? CreateCodecMemory(*codec_, 0, false)
                                 : CreateCodecMemory(*codec_, {link.layout->count(), link.workers},
                                                     link.spec->codec())) {
  const size_t buckets = link_.layout->buckets().size();
  for (int32_t server = 0; server < link_.servers; ++server) {
    parts_.push_back(ShardParts(*link_.layout, link_.servers, server));
    replies_.emplace_back(buckets + 1);
  }
  if (down_codec_ != nullptr) {
    held_ = std::make_unique<HeldWeights>(*down_codec_, link_.replica->OnHost());
    for (const std::vector<Range>& parts : parts_) {
      auto& of_server = differences_.emplace_back();
      for (const Range& part : parts)
        of_server.emplace_back(down_codec_->MaxEncodedBytes(part.count));
    }
  }
  expected_.reserve(link_.servers * (buckets + 1));
  pushes_.reserve(link_.servers * buckets);
  requests_.reserve(link_.servers);
  for (int parity = 0; parity < 2; ++parity) {
    if (codec_->traits().exact || link_.offer.encoded) continue;
    encoded_[parity].resize(link_.servers);
    for (int32_t server = 0; server < link_.servers; ++server) {
      for (const Range& part : parts_[server]) {
        encoded_[parity][server].emplace_back(codec_->MaxEncodedBytes(part.count));
      }
    }
  }
}

absl::StatusOr<absl::Span<const std::byte>> ServerLink::EncodePart(const ExchangeTask& task,
                                                                   int32_t server,
                                                                   const Range& part) {
  if (codec_->traits().exact) {
    const absl::Span<const float> gradient = PartOf(task, part);
    return absl::MakeConstSpan(reinterpret_cast<const std::byte*>(gradient.data()),
                               gradient.size() * sizeof(float));
  }
  if (part.count == 0) return absl::Span<const std::byte>();
  absl::Span<const std::byte> encoded;
  if (task.gradient.form() == GradientForm::kEncoded) {
    encoded = task.gradient.encoded(server);
  } else {
    encoded = EncodeHere(task, server, part);
  }
  // Like the payload it is part of, an index counts only where it crosses the wire.
  const bool is_local = beside_worker_ && server == link_.rank;
  if (!is_local) {
    const EncodedLength length{part.count, static_cast<int64_t>(encoded.size())};
    encoded_bytes_ += length.bytes;
    index_bytes_ += codec_->IndexBytes(StreamOf(task, server), length);
  }
  return encoded;
}

CodecStream ServerLink::StreamOf(const ExchangeTask& task, int32_t server) const {
  return PartStream(link_.spec->training().seed(), {task.step, task.lot},
                    {task.bucket, server, link_.servers});
}

absl::Span<const float> ServerLink::PartOf(const ExchangeTask& task, const Range& part) const {
  return task.gradient.host().subspan(part.begin - link_.layout->buckets()[task.bucket].begin,
                                      part.count);
}

absl::Span<const std::byte> ServerLink::EncodeHere(const ExchangeTask& task, int32_t server,
                                                   const Range& part) {
  const CodecStream stream = StreamOf(task, server);
  std::vector<std::byte>& out = encoded_[task.step % 2][server][task.bucket];
  const absl::Span<const std::byte> encoding = absl::MakeConstSpan(out).first(
      memory_->Encode(stream, part.begin, PartOf(task, part), absl::MakeSpan(out)));
  if (AreHalves(*codec_) && task.step % kStepsForEachHalfCount == 0)
    halves_.Add(CountHalves(PartOf(task, part), encoding));
  return encoding;
}

absl::Status ServerLink::Push(absl::Span<const WorkerAction> actions, const ExchangeTask& task,
                              absl::Span<float> weights, PhaseTimes& times) {
  const WorkerAction* answer = nullptr;  // to the push that comes next
  for (const WorkerAction& action : actions) {
    if (action.kind == WorkerAction::Kind::kExpect) {
      answer = &action;
      continue;
    }
    absl::Span<const std::byte> payload;
    {
      ScopedPhase phase(times, Phase::kEncode, task.bucket);
      // The server decodes by the message's number, which is the step's where no step is left out.
      ExchangeTask numbered = task;
      numbered.step = action.tag.step;
      RM_ASSIGN_OR_RETURN(payload,
                          EncodePart(numbered, action.server, parts_[action.server][task.bucket]));
    }
    ScopedPhase phase(times, Phase::kExchange, task.bucket);
    if (answer != nullptr) RM_RETURN_IF_ERROR(Expect(*answer, weights));
    RM_RETURN_IF_ERROR(Send(action, payload, &pushes_));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::Ask(absl::Span<const WorkerAction> actions, absl::Span<float> weights) {
  for (const WorkerAction& action : actions) {
    if (action.kind == WorkerAction::Kind::kExpect) RM_RETURN_IF_ERROR(Expect(action, weights));
    if (action.kind == WorkerAction::Kind::kSend) RM_RETURN_IF_ERROR(Send(action, {}, &requests_));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::Send(const WorkerAction& action, absl::Span<const std::byte> payload,
                              std::vector<OpId>* ops) {
  RM_ASSIGN_OR_RETURN(OpId op,
                      link_.transport->Send({{Role::kServer, action.server}, action.tag, payload}));
  ops->push_back(op);
  return absl::OkStatus();
}

absl::Status ServerLink::Expect(const WorkerAction& action, absl::Span<float> weights) {
  const Tag& tag = action.tag;
  std::vector<Received>& replies = replies_[action.server];
  Received* received = &replies.back();
  absl::Span<std::byte> out;
  float* to = nullptr;
  if (tag.kind != MessageKind::kPull) {
    const Range& part = parts_[action.server][tag.bucket];
    received = &replies[tag.bucket];
    to = weights.data() + part.begin;
    out = IsEncoded(tag.kind)
              ? absl::MakeSpan(differences_[action.server][tag.bucket])
              : absl::MakeSpan(reinterpret_cast<std::byte*>(to), part.count * sizeof(float));
  }
  RM_ASSIGN_OR_RETURN(
      OpId op, link_.transport->Receive({{Role::kServer, action.server}, tag, out, received}));
  expected_.push_back({op, action.server, tag, to});
  return absl::OkStatus();
}

absl::Status ServerLink::Finish(const Awaited& awaited) {
  for (size_t i = expected_.size(); i > 0; --i) {
    const absl::Status status = link_.transport->Wait(expected_[i - 1].op, Deadline());
    if (!status.ok()) return Annotate(status, absl::StrCat(awaited.what, awaited.clock));
  }
  RM_RETURN_IF_ERROR(FinishRequests());
  RM_RETURN_IF_ERROR(CheckSizes());
  if (held_ != nullptr && !awaited.is_copy) RM_RETURN_IF_ERROR(Hold());
  // What has been answered has left long ago.
  for (const OpId op : pushes_) {
    const absl::Status status = link_.transport->Wait(op, Deadline());
    if (!status.ok()) return Annotate(status, absl::StrCat("push of step ", awaited.step));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::FinishRequests() {
  for (size_t i = requests_.size(); i > 0; --i) {
    RM_RETURN_IF_ERROR(link_.transport->Wait(requests_[i - 1], Deadline()));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::Hold() {
  for (const Expected& expected : expected_) {
    const Tag& tag = expected.tag;
    if (tag.kind == MessageKind::kPull) continue;
    const Range& part = parts_[expected.server][tag.bucket];
    if (part.count == 0) continue;
    const absl::Span<float> weights(expected.to, part.count);
    if (!IsEncoded(tag.kind)) {
      held_->Set(part.begin, weights);
      continue;
    }
    const absl::Span<const std::byte> bytes =
        absl::MakeConstSpan(differences_[expected.server][tag.bucket])
            .first(replies_[expected.server][tag.bucket].bytes);
    const SharedStream stream = SharedDownStream(link_.spec->training().seed(), tag.step,
                                                 {tag.bucket, expected.server, link_.servers});
    const absl::Status status = held_->Add(stream, bytes, part.begin, part.count);
    if (!status.ok()) {
      return Annotate(
          status, absl::StrCat("weights of bucket ", tag.bucket, " from server/", expected.server));
    }
    const absl::Span<const float> held = held_->values().subspan(part.begin, part.count);
    std::copy(held.begin(), held.end(), weights.begin());
  }
  return absl::OkStatus();
}

absl::Status ServerLink::CheckSizes() const {
  for (const Expected& expected : expected_) {
    if (expected.tag.kind == MessageKind::kPull || IsEncoded(expected.tag.kind)) continue;
    const int32_t bucket = expected.tag.bucket;
    const int64_t bytes = replies_[expected.server][bucket].bytes;
    const int64_t expected_bytes = parts_[expected.server][bucket].count * sizeof(float);
    if (bytes == expected_bytes) continue;
    return absl::InvalidArgumentError(absl::StrCat("weights of bucket ", bucket, " from server/",
                                                   expected.server, ": ", bytes,
                                                   " bytes, expected ", expected_bytes));
  }
  return absl::OkStatus();
}

void ServerLink::Report(WorkerCore* core, std::vector<WorkerAction>* actions) {
  for (Expected& expected : expected_) {
    const std::vector<Received>& replies = replies_[expected.server];
    const bool is_weights = expected.tag.kind != MessageKind::kPull;
    expected.tag.note = (is_weights ? replies[expected.tag.bucket] : replies.back()).note;
    core->MessageArrived(expected.server, expected.tag, actions);
  }
  for (size_t i = 0; i < pushes_.size() + requests_.size(); ++i) core->MessageLeft(actions);
  expected_.clear();
  pushes_.clear();
  requests_.clear();
}

}  // namespace ringmaster
