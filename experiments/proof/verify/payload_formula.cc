#include "experiments/proof/verify/payload_formula.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = 4;

// Elements of part `index` of `parts`: the first count mod parts parts have one more.
int64_t PartCount(int64_t count, int64_t parts, int64_t index) {
  return count / parts + (index % parts < count % parts ? 1 : 0);
}

absl::StatusOr<const CodecOracle*> OracleOf(const CodecSpec& codec) {
  const CodecInfo* const info = FindCodec(codec.name());
  if (info != nullptr) return info->oracle;
  return absl::UnimplementedError(
      absl::StrCat("codec \"", codec.name(), "\" has no formula of its size"));
}

// Both ways alike. A party gives away all but its own block, and gets that from others; coming back
// it hands on what it has, which doubles; the first of a pair also takes the second's data in and
// gives it the sum.
StepPayload HalvingDoublingPayload(int64_t count, int32_t ranks, int32_t rank) {
  int32_t parties = 1;
  while (2 * parties <= ranks) parties *= 2;
  const int32_t pairs = ranks - parties;
  if (rank < 2 * pairs && rank % 2 == 1) return {count, count, 0};
  const int32_t party = rank < 2 * pairs ? rank / 2 : rank - pairs;
  // Elements of the first `blocks` blocks, and of the first `chunks` chunks.
  const auto chunks_before = [&](int64_t chunks) {
    return chunks * (count / ranks) + std::min(chunks, count % ranks);
  };
  const auto blocks_before = [&](int64_t blocks) {
    return chunks_before(blocks * (ranks / parties) + std::min<int64_t>(blocks, ranks % parties));
  };
  int64_t elements = count - (blocks_before(party + 1) - blocks_before(party));
  for (int32_t held = 1; held < parties; held *= 2) {
    const int32_t first = party - party % held;
    elements += blocks_before(first + held) - blocks_before(first);
  }
  if (rank < 2 * pairs) elements += count;
  return {elements, elements, 0};
}

// Both ways alike: the whole bucket in each of log2 M rounds between M parties, M the largest power
// of two up to N; the first of a pair also takes the second's in and gives it the sum.
StepPayload RecursiveDoublingPayload(int64_t count, int32_t ranks, int32_t rank) {
  int32_t parties = 1;
  int64_t messages = 0;
  for (; 2 * parties <= ranks; parties *= 2) ++messages;
  const int32_t pairs = ranks - parties;
  if (rank < 2 * pairs) messages = rank % 2 == 1 ? 1 : messages + 1;
  return {messages * count, messages * count, 0};
}

absl::StatusOr<StepPayload> CollectivePayload(const std::string& collective, int64_t count,
                                              int32_t ranks, int32_t rank) {
  const auto chunk = [&](int64_t index) { return PartCount(count, ranks, index); };
  if (collective == "ring") {
    return StepPayload{2 * count - chunk(rank + 1) - chunk(rank + 2),
                       2 * count - chunk(rank) - chunk(rank + 1), 0};
  }
  if (collective == "direct") {
    const int64_t elements = count - chunk(rank) + (ranks - 1) * chunk(rank);
    return StepPayload{elements, elements, 0};
  }
  if (collective == "reduce_broadcast") {
    const int64_t elements = (rank == 0 ? ranks - 1 : 1) * count;
    return StepPayload{elements, elements, 0};
  }
  if (collective == "halving_doubling") return HalvingDoublingPayload(count, ranks, rank);
  if (collective == "recursive_doubling") return RecursiveDoublingPayload(count, ranks, rank);
  if (collective == "binomial_tree") {
    int64_t messages = rank == 0 ? 0 : 1;  // to the parent; one to every child
    for (int32_t stride = 1; stride < ranks && rank % (2 * stride) == 0; stride *= 2) {
      if (rank + stride < ranks) ++messages;
    }
    return StepPayload{messages * count, messages * count, 0};
  }
  return absl::UnimplementedError(
      absl::StrCat("collective \"", collective, "\" has no formula of its bytes"));
}

absl::StatusOr<StepPayload> AllReducePayload(const RunSpec& spec, const Bucket& bucket,
                                             int32_t rank) {
  const int32_t ranks = spec.training().workers();
  if (ranks == 1) return StepPayload{};
  RM_ASSIGN_OR_RETURN(const CodecOracle* const oracle, OracleOf(spec.codec()));
  const int64_t element_bytes = oracle->summed_element_bytes;
  if (element_bytes == 0) {
    const EncodedSize encoded = oracle->size(spec.codec(), bucket.count);
    const int64_t others = ranks - 1;
    return StepPayload{others * encoded.bytes, others * encoded.bytes,
                       others * encoded.index_bytes};
  }
  const std::string collective(
      ResolveCollective(spec.strategy().all_reduce().collective(),
                        {spec.transport().name(), ranks, bucket.count * element_bytes}));
  RM_ASSIGN_OR_RETURN(StepPayload payload,
                      CollectivePayload(collective, bucket.count, ranks, rank));
  payload.up *= element_bytes;
  payload.down *= element_bytes;
  return payload;
}

absl::StatusOr<StepPayload> ServerPayload(const RunSpec& spec, const Bucket& bucket, int32_t rank) {
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  RM_ASSIGN_OR_RETURN(const CodecOracle* const oracle, OracleOf(spec.codec()));
  StepPayload payload;
  for (int32_t k = 0; k < server.servers(); ++k) {
    if (server.placement() == ParameterServerSpec::COLOCATED && k == rank) continue;
    const int64_t count = PartCount(bucket.count, server.servers(), k);
    const EncodedSize encoded = oracle->size(spec.codec(), count);
    payload.up += encoded.bytes;
    payload.index_up += encoded.index_bytes;
    payload.down += kFloatBytes * count;
  }
  return payload;
}

}  // namespace

absl::StatusOr<StepPayload> PayloadFormula(const RunSpec& resolved, const ParamLayout& layout,
                                           int32_t rank) {
  StepPayload total;
  for (const Bucket& bucket : layout.buckets()) {
    StepPayload payload;
    if (resolved.strategy().has_all_reduce()) {
      RM_ASSIGN_OR_RETURN(payload, AllReducePayload(resolved, bucket, rank));
    } else if (resolved.strategy().has_parameter_server()) {
      RM_ASSIGN_OR_RETURN(payload, ServerPayload(resolved, bucket, rank));
    } else if (!resolved.strategy().has_single() && !resolved.strategy().has_solo()) {
      return absl::UnimplementedError("strategy: there is no formula of its payload");
    }
    total.up += payload.up;
    total.down += payload.down;
    total.index_up += payload.index_up;
  }
  return total;
}

}  // namespace ringmaster
