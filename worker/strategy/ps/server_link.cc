#include "worker/strategy/ps/server_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {

ServerLink::ServerLink(const WorkerLink& link, std::unique_ptr<Codec> codec)
    : link_(link),
      codec_(std::move(codec)),
      is_answered_(link.spec->strategy().parameter_server().consistency() == ParameterServerSpec::BSP),
      wait_limit_(absl::Seconds(link.spec->limits().wait_seconds())),
      feedback_(*codec_, link.layout->count(), link.spec->codec().error_feedback() && link.encoder == nullptr) {
  const size_t buckets = link_.layout->buckets().size();
  for (int32_t server = 0; server < link_.servers; ++server) {
    parts_.push_back(ShardParts(*link_.layout, link_.servers, server));
    replies_.emplace_back(buckets + 1);
  }
  receives_.reserve(link_.servers * (buckets + 1));
  requests_.reserve(link_.servers);
  for (int parity = 0; parity < 2; ++parity) {
    pushes_[parity].reserve(link_.servers * buckets);
    if (codec_->traits().exact || link_.encoder != nullptr) continue;
    encoded_[parity].resize(link_.servers);
    for (int32_t server = 0; server < link_.servers; ++server) {
      for (const Range& part : parts_[server]) {
        encoded_[parity][server].emplace_back(codec_->MaxEncodedBytes(part.count));
      }
    }
  }
}

PartVersions ServerLink::NoVersions() const {
  return PartVersions(link_.servers, std::vector<int64_t>(link_.layout->buckets().size(), 0));
}

absl::StatusOr<absl::Span<const std::byte>> ServerLink::EncodePart(const ExchangeTask& task, int32_t server,
                                                                   const Range& part) {
  const int64_t bucket_begin = link_.layout->buckets()[task.bucket].begin;
  const absl::Span<const float> gradient = task.gradient.subspan(part.begin - bucket_begin, part.count);
  if (codec_->traits().exact) {
    return absl::MakeConstSpan(reinterpret_cast<const std::byte*>(gradient.data()), gradient.size() * sizeof(float));
  }
  if (part.count == 0) return absl::Span<const std::byte>();
  absl::Span<const std::byte> encoded;
  if (link_.encoder != nullptr) {
    encoded = link_.encoder->Encoded(task.step, task.bucket, server);
  } else {
    encoded = EncodeHere(task, server, part, gradient);
  }
  // Like the payload it is part of, an index counts only where it crosses the wire.
  const bool is_local = link_.spec->strategy().parameter_server().placement() == ParameterServerSpec::COLOCATED &&
                        server == link_.rank;
  if (!is_local) index_bytes_ += codec_->IndexBytes(encoded.size());
  return encoded;
}

absl::Span<const std::byte> ServerLink::EncodeHere(const ExchangeTask& task, int32_t server, const Range& part,
                                                   absl::Span<const float> gradient) {
  const uint64_t stream = (int64_t{task.bucket} * link_.servers + server) * link_.workers + link_.rank;
  const uint64_t seed = MixSeed(MixSeed(link_.spec->training().seed(), task.step), stream);
  std::vector<std::byte>& out = encoded_[task.step % 2][server][task.bucket];
  return absl::MakeConstSpan(out).first(feedback_.Encode(part.begin, gradient, seed, absl::MakeSpan(out)));
}

absl::Status ServerLink::Push(const ExchangeTask& task, const PartVersions& read, absl::Span<float> weights,
                              PhaseTimes& times) {
  // Every worker begins with another server, and the one that may live beside it comes last: its copy is made here and
  // now, while the others' are on their way.
  for (int32_t i = 1; i <= link_.servers; ++i) {
    const int32_t server = (link_.rank + i) % link_.servers;
    absl::Span<const std::byte> payload;
    {
      ScopedPhase phase(times, Phase::kEncode, task.bucket);
      RM_ASSIGN_OR_RETURN(payload, EncodePart(task, server, parts_[server][task.bucket]));
    }
    ScopedPhase phase(times, Phase::kExchange, task.bucket);
    if (is_answered_) RM_RETURN_IF_ERROR(PostWeights(server, {MessageKind::kWeights, 0, task.bucket, task.step}, weights));
    Tag tag{MessageKind::kPush, 0, task.bucket, task.step};
    tag.note = read[server][task.bucket];
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->Send({{Role::kServer, server}, tag, payload}));
    pushes_[task.step % 2].push_back(op);
  }
  return absl::OkStatus();
}

absl::Status ServerLink::FinishPushes(int64_t step) {
  for (OpId op : pushes_[step % 2]) {
    const absl::Status status = link_.transport->Wait(op, Deadline());
    if (!status.ok()) return Annotate(status, absl::StrCat("push of step ", step));
  }
  pushes_[step % 2].clear();
  return absl::OkStatus();
}

absl::Status ServerLink::PostWeights(int32_t server, const Tag& tag, absl::Span<float> weights) {
  const Range& part = parts_[server][tag.bucket];
  auto* data = reinterpret_cast<std::byte*>(weights.data() + part.begin);
  RM_ASSIGN_OR_RETURN(OpId op, link_.transport->Receive({{Role::kServer, server}, tag,
                                                         absl::MakeSpan(data, part.count * sizeof(float)),
                                                         &replies_[server][tag.bucket]}));
  receives_.push_back(op);
  return absl::OkStatus();
}

absl::Status ServerLink::FinishAnswers(int64_t step, PartVersions* versions) {
  RM_RETURN_IF_ERROR(FinishReceives("weights of clock ", step + 1));
  return TakeVersions(versions);
}

absl::Status ServerLink::FinishReceives(const char* what, int64_t clock) {
  for (; !receives_.empty(); receives_.pop_back()) {
    const absl::Status status = link_.transport->Wait(receives_.back(), Deadline());
    if (!status.ok()) return Annotate(status, absl::StrCat(what, clock));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::TakeVersions(PartVersions* versions) const {
  for (int32_t server = 0; server < link_.servers; ++server) {
    for (size_t bucket = 0; bucket < parts_[server].size(); ++bucket) {
      const Received& reply = replies_[server][bucket];
      const int64_t expected_bytes = parts_[server][bucket].count * sizeof(float);
      if (reply.bytes != expected_bytes) {
        return absl::InvalidArgumentError(absl::StrCat("weights of bucket ", bucket, " from server/", server, ": ",
                                                       reply.bytes, " bytes, expected ", expected_bytes));
      }
      (*versions)[server][bucket] = reply.note;
    }
  }
  return absl::OkStatus();
}

absl::Status ServerLink::SendRequests(const PullNote& note) {
  for (int32_t server = 0; server < link_.servers; ++server) {
    Tag request{MessageKind::kPull, 0, 0, pulls_};
    request.note = EncodePullNote(note);
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->Send({{Role::kServer, server}, request, {}}));
    requests_.push_back(op);
  }
  return absl::OkStatus();
}

absl::Status ServerLink::FinishRequests() {
  for (; !requests_.empty(); requests_.pop_back()) {
    RM_RETURN_IF_ERROR(link_.transport->Wait(requests_.back(), Deadline()));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::Pull(const PullNote& note, absl::Span<float> weights, PartVersions* versions,
                              Clock::duration* parked) {
  const int32_t buckets = static_cast<int32_t>(link_.layout->buckets().size());
  const MessageKind kind = note.drain ? MessageKind::kDrain : MessageKind::kWeights;
  // Receives are posted before the request goes out, so that weights land where they are going.
  for (int32_t server = 0; server < link_.servers; ++server) {
    for (int32_t bucket = 0; bucket < buckets; ++bucket) {
      RM_RETURN_IF_ERROR(PostWeights(server, {kind, 0, bucket, pulls_}, weights));
    }
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->Receive({{Role::kServer, server}, {MessageKind::kPull, 0, 0, pulls_},
                                                           {}, &replies_[server][buckets]}));
    receives_.push_back(op);
  }
  RM_RETURN_IF_ERROR(SendRequests(note));
  ++pulls_;
  RM_RETURN_IF_ERROR(FinishReceives("pull at clock ", note.clock));
  RM_RETURN_IF_ERROR(FinishRequests());
  RM_RETURN_IF_ERROR(TakeVersions(versions));
  *parked = Clock::duration::zero();
  for (int32_t server = 0; server < link_.servers; ++server) {
    *parked = std::max<Clock::duration>(*parked, std::chrono::microseconds(replies_[server][buckets].note));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::SayFarewell() {
  RM_RETURN_IF_ERROR(SendRequests({0, false, true}));
  return FinishRequests();
}

}  // namespace ringmaster
