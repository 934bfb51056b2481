#include "worker/strategy/ps/server_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {

ServerLink::ServerLink(const WorkerLink& link, std::unique_ptr<Codec> codec)
    : link_(link),
      codec_(std::move(codec)),
      wait_limit_(absl::Seconds(link.spec->limits().wait_seconds())),
      feedback_(*codec_, link.layout->count(), link.spec->codec().error_feedback()) {
  const size_t buckets = link_.layout->buckets().size();
  for (int32_t server = 0; server < link_.servers; ++server) {
    parts_.push_back(ShardParts(*link_.layout, link_.servers, server));
    replies_.emplace_back(buckets + 1);
  }
  pull_ops_.reserve(link_.servers * (buckets + 2));
  for (int parity = 0; parity < 2; ++parity) {
    pushes_[parity].reserve(link_.servers * buckets);
    if (codec_->traits().exact) continue;
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
  const uint64_t stream = (int64_t{task.bucket} * link_.servers + server) * link_.workers + link_.rank;
  const uint64_t seed = MixSeed(MixSeed(link_.spec->training().seed(), task.step), stream);
  std::vector<std::byte>& out = encoded_[task.step % 2][server][task.bucket];
  const int64_t size = feedback_.Encode(part.begin, gradient, seed, absl::MakeSpan(out));
  // Like the payload it is part of, an index counts only where it crosses the wire.
  const bool is_local = link_.spec->strategy().parameter_server().placement() == ParameterServerSpec::COLOCATED &&
                        server == link_.rank;
  if (!is_local) index_bytes_ += codec_->IndexBytes(size);
  return absl::MakeConstSpan(out).first(size);
}

absl::Status ServerLink::Push(const ExchangeTask& task, const PartVersions& read, PhaseTimes& times) {
  for (int32_t server = 0; server < link_.servers; ++server) {
    absl::Span<const std::byte> payload;
    {
      ScopedPhase phase(times, Phase::kEncode);
      RM_ASSIGN_OR_RETURN(payload, EncodePart(task, server, parts_[server][task.bucket]));
    }
    ScopedPhase phase(times, Phase::kExchange);
    Tag tag{MessageKind::kPush, 0, task.bucket, task.step};
    tag.note = read[server][task.bucket];
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->StartSend({Role::kServer, server}, tag, payload));
    pushes_[task.step % 2].push_back(op);
  }
  return absl::OkStatus();
}

absl::Status ServerLink::FinishPushes(int64_t step) {
  for (OpId op : pushes_[step % 2]) {
    RM_RETURN_IF_ERROR(Annotate(link_.transport->Wait(op, Deadline()), absl::StrCat("push of step ", step)));
  }
  pushes_[step % 2].clear();
  return absl::OkStatus();
}

absl::Status ServerLink::SendRequests(const PullNote& note) {
  for (int32_t server = 0; server < link_.servers; ++server) {
    Tag request{MessageKind::kPull, 0, 0, pulls_};
    request.note = EncodePullNote(note);
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->StartSend({Role::kServer, server}, request, {}));
    pull_ops_.push_back(op);
  }
  return absl::OkStatus();
}

absl::Status ServerLink::Pull(const PullNote& note, absl::Span<float> weights, PartVersions* versions,
                              Clock::duration* parked) {
  pull_ops_.clear();
  const size_t buckets = link_.layout->buckets().size();
  const MessageKind kind = note.drain ? MessageKind::kDrain : MessageKind::kWeights;
  // Receives are posted before the request goes out, so that weights land where they are going.
  for (int32_t server = 0; server < link_.servers; ++server) {
    const NodeId from{Role::kServer, server};
    for (size_t bucket = 0; bucket < buckets; ++bucket) {
      const Range& part = parts_[server][bucket];
      auto* data = reinterpret_cast<std::byte*>(weights.data() + part.begin);
      RM_ASSIGN_OR_RETURN(OpId op, link_.transport->PostUpTo(from, {kind, 0, static_cast<int32_t>(bucket), pulls_},
                                                             absl::MakeSpan(data, part.count * sizeof(float)),
                                                             &replies_[server][bucket]));
      pull_ops_.push_back(op);
    }
    RM_ASSIGN_OR_RETURN(OpId op, link_.transport->PostUpTo(from, {MessageKind::kPull, 0, 0, pulls_}, {},
                                                           &replies_[server][buckets]));
    pull_ops_.push_back(op);
  }
  RM_RETURN_IF_ERROR(SendRequests(note));
  ++pulls_;
  const absl::Time deadline = Deadline();
  for (OpId op : pull_ops_) {
    RM_RETURN_IF_ERROR(Annotate(link_.transport->Wait(op, deadline), absl::StrCat("pull at clock ", note.clock)));
  }
  *parked = Clock::duration::zero();
  for (int32_t server = 0; server < link_.servers; ++server) {
    for (size_t bucket = 0; bucket < buckets; ++bucket) {
      const Received& reply = replies_[server][bucket];
      const int64_t expected_bytes = parts_[server][bucket].count * sizeof(float);
      if (reply.bytes != expected_bytes) {
        return absl::InvalidArgumentError(absl::StrCat("weights of bucket ", bucket, " from server/", server, ": ",
                                                       reply.bytes, " bytes, expected ", expected_bytes));
      }
      (*versions)[server][bucket] = reply.note;
    }
    *parked = std::max<Clock::duration>(*parked, std::chrono::microseconds(replies_[server][buckets].note));
  }
  return absl::OkStatus();
}

absl::Status ServerLink::SayFarewell() {
  pull_ops_.clear();
  RM_RETURN_IF_ERROR(SendRequests({0, false, true}));
  for (OpId op : pull_ops_) RM_RETURN_IF_ERROR(link_.transport->Wait(op, Deadline()));
  return absl::OkStatus();
}

}  // namespace ringmaster
