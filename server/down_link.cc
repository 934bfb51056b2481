#include "server/down_link.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/small_tensors.h"
#include "common/codec/stream.h"
#include "common/scheme/server_exchange.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<DownLink>> DownLink::Create(const RunSpec& spec,
                                                           const ParamLayout& layout,
                                                           const Sender& sender,
                                                           absl::Span<const Range> parts,
                                                           absl::Span<const float> shard) {
  const CodecSpec* const codec_spec = DownCodecOf(spec);
  if (codec_spec == nullptr) return nullptr;
  const SchemeTraits traits = TraitsOf(spec);
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodecOf(*codec_spec, layout, traits.servers));
  return std::unique_ptr<DownLink>(new DownLink(traits, sender, parts, shard, std::move(codec)));
}

DownLink::DownLink(const SchemeTraits& traits, const Sender& sender, absl::Span<const Range> parts,
                   absl::Span<const float> shard, std::unique_ptr<Codec> codec)
    : traits_(traits), sender_(sender), codec_(std::move(codec)), encoded_bytes_(traits.workers) {
  int64_t begin = 0;
  for (const Range& part : parts) {
    begins_.push_back(begin);
    begin += part.count;
  }
  const int32_t slots = sender.is_shared ? 1 : traits.workers;
  for (int32_t slot = 0; slot < slots; ++slot) {
    held_.emplace_back(*codec_, shard);
    std::vector<Encoding>& encodings = encodings_.emplace_back(parts.size());
    for (size_t part = 0; part < parts.size(); ++part)
      encodings[part].memory.resize(codec_->MaxEncodedBytes(parts[part].count));
  }
}

absl::StatusOr<absl::Span<const std::byte>> DownLink::Encode(int32_t worker, const Tag& tag,
                                                             absl::Span<const float> weights) {
  if (weights.empty()) return absl::Span<const std::byte>();
  const size_t slot = Slot(worker);
  Encoding& encoding = encodings_[slot][tag.bucket];
  if (encoding.step != tag.step) {
    const int64_t lot = sender_.is_shared ? tag.step : tag.step * traits_.workers + worker;
    const CodecStream stream =
        DownStream(sender_.run_seed, {tag.step, lot}, {tag.bucket, sender_.index, traits_.servers});
    RM_ASSIGN_OR_RETURN(encoding.bytes, held_[slot].Encode(stream, begins_[tag.bucket], weights,
                                                           absl::MakeSpan(encoding.memory)));
    encoding.step = tag.step;
  }
  const bool is_local = traits_.servers_beside_workers && worker == sender_.index;
  if (!is_local) encoded_bytes_[worker] += encoding.bytes;
  return absl::MakeConstSpan(encoding.memory).first(encoding.bytes);
}

void DownLink::Tell(int32_t worker, int32_t part, absl::Span<const float> weights) {
  held_[Slot(worker)].Set(begins_[part], weights);
}

State DownLink::Give() const {
  std::vector<float> values;
  for (const HeldWeights& held : held_)
    values.insert(values.end(), held.values().begin(), held.values().end());
  State state;
  state.AddFloats("held", values);
  return state;
}

absl::Status DownLink::Take(const State& state) {
  const size_t count = held_.front().values().size();
  std::vector<float> values(held_.size() * count);
  RM_RETURN_IF_ERROR(state.CopyTo({{"held", absl::MakeSpan(values)}}));
  for (size_t slot = 0; slot < held_.size(); ++slot)
    held_[slot].Set(0, absl::MakeConstSpan(values).subspan(slot * count, count));
  return absl::OkStatus();
}

}  // namespace ringmaster
