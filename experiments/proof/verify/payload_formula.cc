#include "experiments/proof/verify/payload_formula.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/collective/choice.h"
#include "common/scheme/registry.h"
#include "common/scheme/server_exchange.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = 4;

// Elements of part `index` of `parts`: the first count mod parts parts have one more.
int64_t PartCount(int64_t count, int64_t parts, int64_t index) {
  return count / parts + (index % parts < count % parts ? 1 : 0);
}

absl::StatusOr<const CodecOracle*> OracleOf(const CodecSpec& codec) {
  const CodecInfo* const info = FindCodec(codec.name());
  if (info != nullptr && info->oracle != nullptr) return info->oracle;
  return absl::UnimplementedError(
      absl::StrCat("codec \"", codec.name(), "\" has no formula of its size"));
}

// Both ways alike. A party gives away all but its own block, and gets that from others; coming back
// it hands on what it has, which doubles; the first of a pair also takes the second's data in and
// gives it the sum.
Payload HalvingDoublingPayload(int64_t count, int32_t ranks, int32_t rank) {
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
Payload RecursiveDoublingPayload(int64_t count, int32_t ranks, int32_t rank) {
  int32_t parties = 1;
  int64_t messages = 0;
  for (; 2 * parties <= ranks; parties *= 2) ++messages;
  const int32_t pairs = ranks - parties;
  if (rank < 2 * pairs) messages = rank % 2 == 1 ? 1 : messages + 1;
  return {messages * count, messages * count, 0};
}

// The smallest divisor whose square is no less than `ranks`.
int32_t UsualGroup(int32_t ranks) {
  int32_t size = 1;
  while (size * size < ranks || ranks % size != 0) ++size;
  return size;
}

// How workers stand in groups: ranks by place, and how many neighbours are on one host, run by run.
struct Order {
  std::vector<int32_t> ranks;
  std::vector<int32_t> together;

  int32_t PlaceOf(int32_t rank) const {
    return static_cast<int32_t>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
  }
  // The largest size of which every host's neighbours are whole groups; 0: there is none above 1,
  // or one host.
  int32_t SizeByHosts() const {
    const int32_t shortest = *std::min_element(together.begin(), together.end());
    for (int32_t size = together.size() > 1 ? shortest : 1; size > 1; --size) {
      if (std::all_of(together.begin(), together.end(), [=](int32_t n) { return n % size == 0; }))
        return size;
    }
    return 0;
  }
};

// What strategy.group_order says: "0,2|1,3" has two hosts; a word, or nothing: by rank.
Order OrderOf(const RunSpec& spec) {
  Order order;
  const std::string& text = spec.strategy().group_order();
  for (const absl::string_view host : absl::StrSplit(text, '|')) {
    int32_t& together = order.together.emplace_back(0);
    for (const absl::string_view word : absl::StrSplit(host, ',')) {
      int32_t rank = 0;
      if (!absl::SimpleAtoi(word, &rank)) continue;
      order.ranks.push_back(rank);
      ++together;
    }
  }
  if (!order.ranks.empty()) return order;
  order.together = {spec.training().workers()};
  for (int32_t rank = 0; rank < spec.training().workers(); ++rank) order.ranks.push_back(rank);
  return order;
}

// Groups of `size` ranks: a ring inside each over blocks of ranks / size chunks, then a ring across
// the groups over the chunks of the block that the first half has left, then the second half
// inside.
Payload HierarchicalPayload(int64_t count, int32_t ranks, int32_t rank, int32_t size) {
  const int32_t groups = ranks / size;
  const int32_t place = rank % size;
  const int32_t group = rank / size;
  const auto block = [&](int32_t index) {
    int64_t elements = 0;
    for (int32_t chunk = 0; chunk < groups; ++chunk)
      elements += PartCount(count, ranks, index % size * groups + chunk);
    return elements;
  };
  const auto chunk = [&](int32_t index) {
    return PartCount(count, ranks, (place + 1) % size * groups + index % groups);
  };
  const int64_t own = block(place + 1);
  const int64_t across_up = 2 * own - chunk(group + 1) - chunk(group + 2);
  const int64_t across_down = 2 * own - chunk(group) - chunk(group + 1);
  return {2 * count - own - block(place + 2) + across_up,
          2 * count - block(place) - own + across_down, 0};
}

// Of two trees, numbered in order, in which node `node` of `nodes` is; the neighbours that it has
// there, to each of which it sends and from each of which it gets one half.
int32_t TreeNeighbours(int32_t node, int32_t nodes, bool has_parent) {
  const int32_t left = nodes == 1 ? 0 : nodes / 2 | 1;
  const int32_t right = nodes - 1 - left;
  if (node < left) return TreeNeighbours(node, left, true);
  if (node > left) return TreeNeighbours(node - left - 1, right, true);
  return (has_parent ? 1 : 0) + (left > 0 ? 1 : 0) + (right > 0 ? 1 : 0);
}

Payload DoubleBinaryTreePayload(int64_t count, int32_t ranks, int32_t rank) {
  const int32_t mirrored = ranks - 1 - rank;
  const int32_t shifted = rank == 0 ? ranks - 1 : rank - 1;
  const int64_t elements =
      PartCount(count, 2, 0) * TreeNeighbours(rank, ranks, false) +
      PartCount(count, 2, 1) * TreeNeighbours(ranks % 2 == 0 ? mirrored : shifted, ranks, false);
  return {elements, elements, 0};
}

// Of the worker at place `rank`. `group_size`: of "hierarchical"; 0: the usual one.
absl::StatusOr<Payload> CollectivePayload(const std::string& collective, int64_t count,
                                          int32_t ranks, int32_t rank, int32_t group_size) {
  const auto chunk = [&](int64_t index) { return PartCount(count, ranks, index); };
  if (collective == "ring") {
    return Payload{2 * count - chunk(rank + 1) - chunk(rank + 2),
                   2 * count - chunk(rank) - chunk(rank + 1), 0};
  }
  if (collective == "direct") {
    const int64_t elements = count - chunk(rank) + (ranks - 1) * chunk(rank);
    return Payload{elements, elements, 0};
  }
  if (collective == "reduce_broadcast") {
    const int64_t elements = (rank == 0 ? ranks - 1 : 1) * count;
    return Payload{elements, elements, 0};
  }
  if (collective == "halving_doubling") return HalvingDoublingPayload(count, ranks, rank);
  if (collective == "hierarchical") {
    return HierarchicalPayload(count, ranks, rank, group_size > 0 ? group_size : UsualGroup(ranks));
  }
  if (collective == "double_binary_tree") return DoubleBinaryTreePayload(count, ranks, rank);
  if (collective == "recursive_doubling") return RecursiveDoublingPayload(count, ranks, rank);
  if (collective == "binomial_tree") {
    int64_t messages = rank == 0 ? 0 : 1;  // to the parent; one to every child
    for (int32_t stride = 1; stride < ranks && rank % (2 * stride) == 0; stride *= 2) {
      if (rank + stride < ranks) ++messages;
    }
    return Payload{messages * count, messages * count, 0};
  }
  return absl::UnimplementedError(
      absl::StrCat("collective \"", collective, "\" has no formula of its bytes"));
}

// Of one sum over the ranks.
// Of one encoding in `step`: what the oracle says, or the floats of a warm-up.
EncodedSize SizeIn(const CodecOracle& oracle, const CodecSpec& codec, int64_t step, int64_t count) {
  if (step < codec.warmup_steps()) return {kFloatBytes * count, 0};
  return oracle.size_in != nullptr ? oracle.size_in(codec, step, count) : oracle.size(codec, count);
}

// Elements of `slice` that go as floats: of tensors smaller than codec.min_tensor_elements.
int64_t FloatsOf(const CodecSpec& codec, const ParamLayout& layout, const Range& slice) {
  int64_t floats = 0;
  for (const Param& param : layout.params()) {
    const int64_t common =
        std::min(param.begin + param.count, slice.end()) - std::max(param.begin, slice.begin);
    if (param.count < codec.min_tensor_elements() && common > 0) floats += common;
  }
  return floats;
}

// Of one encoding of `slice` in each of the first `steps` steps, all together.
absl::StatusOr<EncodedSize> SizeOf(const CodecSpec& codec, const ParamLayout& layout,
                                   const Range& slice, int64_t steps) {
  RM_ASSIGN_OR_RETURN(const CodecOracle* const oracle, OracleOf(codec));
  const int64_t floats = FloatsOf(codec, layout, slice);
  const int64_t count = slice.count - floats;
  EncodedSize sum;
  sum.bytes = steps * kFloatBytes * floats;
  if (count == 0) return sum;
  const int64_t alike =
      oracle->size_in != nullptr ? 0 : std::max<int64_t>(0, steps - codec.warmup_steps());
  for (int64_t step = 0; step < steps - alike; ++step) {
    const EncodedSize size = SizeIn(*oracle, codec, step, count);
    sum.bytes += size.bytes;
    sum.index_bytes += size.index_bytes;
  }
  const EncodedSize size = oracle->size(codec, count);
  return EncodedSize{sum.bytes + alike * size.bytes, sum.index_bytes + alike * size.index_bytes};
}

// Which collective sums, as the spec names it.
struct Sum {
  std::string collective;
  int32_t group_size = 0;  // 0: the usual one
};

// Elements that are summed once, and the bytes of each.
struct Summed {
  int64_t count = 0;
  int64_t element_bytes = 0;
};

absl::StatusOr<Payload> CollectiveBytes(const RunSpec& spec, const Sum& sum, const Summed& data,
                                        int32_t rank) {
  const int32_t ranks = spec.training().workers();
  const std::string collective(ResolveCollective(
      sum.collective, {spec.transport().name(), ranks, data.count * data.element_bytes}));
  const Order order = OrderOf(spec);
  const int32_t group_size = sum.group_size > 0 ? sum.group_size : order.SizeByHosts();
  RM_ASSIGN_OR_RETURN(Payload payload, CollectivePayload(collective, data.count, ranks,
                                                         order.PlaceOf(rank), group_size));
  payload.up *= data.element_bytes;
  payload.down *= data.element_bytes;
  return payload;
}

// Of a codec that is summed in rounds: every round a sum of floats.
absl::StatusOr<Payload> RoundsPayload(const RunSpec& spec, const ReducerOracle& oracle,
                                      const ParamLayout& layout, const Sum& sum, int32_t rank,
                                      int64_t steps) {
  Payload total;
  if (spec.training().workers() == 1) return total;
  for (int64_t step = 0; step < steps; ++step) {
    for (const Bucket& bucket : layout.buckets()) {
      for (const int64_t count : oracle.round_elements(spec.codec(), layout, bucket, step)) {
        RM_ASSIGN_OR_RETURN(const Payload payload,
                            CollectiveBytes(spec, sum, {count, kFloatBytes}, rank));
        total.up += payload.up;
        total.down += payload.down;
      }
    }
  }
  return total;
}

absl::StatusOr<Payload> SumPayload(const RunSpec& spec, const ParamLayout& layout, const Sum& sum,
                                   const Bucket& bucket, int32_t rank, int64_t steps) {
  const int32_t ranks = spec.training().workers();
  if (ranks == 1) return Payload{};
  RM_ASSIGN_OR_RETURN(const CodecOracle* const oracle, OracleOf(spec.codec()));
  const int64_t element_bytes =
      oracle->summed_element_bytes == nullptr ? 0 : oracle->summed_element_bytes(spec.codec());
  if (element_bytes == 0) {
    RM_ASSIGN_OR_RETURN(const EncodedSize encoded,
                        SizeOf(spec.codec(), layout, {bucket.begin, bucket.count}, steps));
    const int64_t others = ranks - 1;
    return Payload{others * encoded.bytes, others * encoded.bytes, others * encoded.index_bytes};
  }
  // An encoding need not have as many elements as the bucket.
  const int64_t summed_bytes = oracle->size(spec.codec(), bucket.count).bytes;
  RM_ASSIGN_OR_RETURN(
      Payload payload,
      CollectiveBytes(spec, sum, {summed_bytes / element_bytes, element_bytes}, rank));
  payload.up *= steps;
  payload.down *= steps;
  return payload;
}

// As the spec names them.
struct Servers {
  int32_t count = 0;
  bool beside_workers = false;      // server k lives with worker k
  int64_t steps_alone = 1;          // that a worker makes between two exchanges
  const CodecSpec* down = nullptr;  // of differences of weights; null: they are floats
};

// An exchange after every so many steps, and one for those that are left over.
absl::StatusOr<Payload> ServerPayload(const RunSpec& spec, const Servers& servers,
                                      const ParamLayout& layout, const Bucket& bucket, int32_t rank,
                                      int64_t steps) {
  const int64_t alone = servers.steps_alone;
  const int64_t exchanges = steps / alone + (steps % alone > 0 ? 1 : 0);
  Payload payload;
  Range part = {bucket.begin, 0};
  for (int32_t k = 0; k < servers.count; ++k) {
    part = {part.end(), PartCount(bucket.count, servers.count, k)};
    const int64_t count = part.count;
    if (servers.beside_workers && k == rank) continue;
    if (count == 0) continue;
    RM_ASSIGN_OR_RETURN(const EncodedSize encoded, SizeOf(spec.codec(), layout, part, exchanges));
    payload.up += encoded.bytes;
    payload.index_up += encoded.index_bytes;
    if (servers.down == nullptr) {
      payload.down += exchanges * kFloatBytes * count;
      continue;
    }
    RM_ASSIGN_OR_RETURN(const EncodedSize answer, SizeOf(*servers.down, layout, part, exchanges));
    payload.down += answer.bytes;
  }
  return payload;
}

// A bucket of floats, summed once over all workers.
absl::StatusOr<Payload> FloatsPayload(const RunSpec& spec, const std::string& collective,
                                      int64_t count, int32_t rank) {
  if (spec.training().workers() == 1) return Payload{};
  return CollectiveBytes(spec, {collective}, {count, kFloatBytes}, rank);
}

// A bucket that goes around the ring in two halves, of which worker/r has chunk r + 1 in between,
// wherever it stands.
Payload HalvesPayload(const RunSpec& spec, int64_t count, int32_t rank) {
  const int32_t ranks = spec.training().workers();
  if (ranks == 1) return Payload{};
  const Order order = OrderOf(spec);
  // What the worker so many places on has.
  const auto chunk_of = [&](int32_t places_on) {
    const int32_t place = (order.PlaceOf(rank) + places_on + ranks) % ranks;
    return PartCount(count, ranks, order.ranks[place] + 1);
  };
  return {kFloatBytes * (2 * count - chunk_of(0) - chunk_of(1)),
          kFloatBytes * (2 * count - chunk_of(-1) - chunk_of(0)), 0};
}

// A bucket's bytes in one exchange and the exchanges that there are in `steps` steps; or its bytes
// in all of them, once.
struct Exchanges {
  Payload payload;
  int64_t times = 0;
};

absl::StatusOr<Exchanges> ExchangesOf(const RunSpec& spec, const ParamLayout& layout,
                                      const Bucket& bucket, int32_t rank, int64_t steps) {
  const StrategySpec& strategy = spec.strategy();
  Exchanges all;
  all.times = steps;
  if (strategy.has_all_reduce()) {
    all.times = 1;
    const AllReduceSpec& sum = strategy.all_reduce();
    RM_ASSIGN_OR_RETURN(all.payload, SumPayload(spec, layout, {sum.collective(), sum.group_size()},
                                                bucket, rank, steps));
  } else if (strategy.has_delayed()) {
    all.times = 1;
    RM_ASSIGN_OR_RETURN(all.payload, SumPayload(spec, layout, {strategy.delayed().collective()},
                                                bucket, rank, steps));
  } else if (strategy.has_sharded_optimizer()) {
    all.payload = HalvesPayload(spec, bucket.count, rank);
  } else if (strategy.has_parameter_server()) {
    const ParameterServerSpec& server = strategy.parameter_server();
    const Servers servers = {server.servers(), server.placement() == ParameterServerSpec::COLOCATED,
                             std::max<int64_t>(1, server.local_steps()),
                             server.has_down_codec() ? &server.down_codec() : nullptr};
    all.times = 1;
    RM_ASSIGN_OR_RETURN(all.payload, ServerPayload(spec, servers, layout, bucket, rank, steps));
  } else if (strategy.has_local_sgd()) {
    const LocalSgdSpec& local = strategy.local_sgd();
    const int64_t alone = std::max<int64_t>(0, steps - local.synchronous_steps());
    all.times = steps - alone + alone / local.local_steps();
    RM_ASSIGN_OR_RETURN(all.payload, FloatsPayload(spec, local.collective(), bucket.count, rank));
  } else if (strategy.has_elastic()) {
    const ElasticSpec& elastic = strategy.elastic();
    if (elastic.mode() == ElasticSpec::ASYNCHRONOUS) {
      const Servers servers = {elastic.servers(), false, elastic.period()};
      all.times = 1;
      RM_ASSIGN_OR_RETURN(all.payload, ServerPayload(spec, servers, layout, bucket, rank, steps));
      return all;
    }
    all.times = steps / elastic.period();
    RM_ASSIGN_OR_RETURN(all.payload, FloatsPayload(spec, elastic.collective(), bucket.count, rank));
  } else if (strategy.has_gossip()) {
    const int64_t others = spec.training().workers() - 1;
    const int64_t peers = strategy.gossip().graph() == GossipSpec::RING ? 2 : 1;
    const int64_t bytes = std::min(peers, others) * kFloatBytes * bucket.count;
    all.times = steps / strategy.gossip().every_steps();
    all.payload = {bytes, bytes, 0};
  } else if (!strategy.has_single() && !strategy.has_solo()) {
    return absl::UnimplementedError("strategy: there is no formula of its payload");
  }
  return all;
}

// Of encodings without a fixed length.
absl::Status CheckLimit(const char* of, int32_t rank, int64_t reported, int64_t limit) {
  if (reported <= limit) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the encoders ", of, " worker/", rank,
                                                    " report ", reported,
                                                    " bytes; the formula's limits are ", limit));
}

}  // namespace

absl::StatusOr<Payload> PayloadFormula(const RunSpec& resolved, const ParamLayout& layout,
                                       int32_t rank, int64_t steps) {
  const ReducerDefinition* const reducer = FindReducer(resolved.codec().name());
  if (reducer != nullptr && resolved.strategy().has_all_reduce()) {
    const AllReduceSpec& sum = resolved.strategy().all_reduce();
    return RoundsPayload(resolved, *reducer->oracle, layout, {sum.collective(), sum.group_size()},
                         rank, steps);
  }
  Payload total;
  for (const Bucket& bucket : layout.buckets()) {
    RM_ASSIGN_OR_RETURN(const Exchanges all, ExchangesOf(resolved, layout, bucket, rank, steps));
    total.up += all.times * all.payload.up;
    total.down += all.times * all.payload.down;
    total.index_up += all.times * all.payload.index_up;
  }
  return total;
}

absl::StatusOr<Payload> ExpectedPayload(const RunSpec& resolved, const ParamLayout& layout,
                                        int32_t rank, int64_t steps,
                                        absl::Span<const EncodedSums> sums) {
  RM_ASSIGN_OR_RETURN(Payload payload, PayloadFormula(resolved, layout, rank, steps));
  const EncodedSums& own = sums[rank];
  if (const CodecSpec* const down = DownCodecOf(resolved); down != nullptr) {
    const std::optional<CodecTraits> codec = CodecTraitsOf(*down);
    if (codec.has_value() && !codec->fixed_size) {
      RM_RETURN_IF_ERROR(CheckLimit("of what was sent to", rank, own.down, payload.down));
      payload.down = own.down;
    }
  }
  const std::optional<CodecTraits> codec = CodecTraitsOf(resolved.codec());
  if (!codec.has_value() || codec->fixed_size) return payload;
  RM_RETURN_IF_ERROR(CheckLimit("of", rank, own.up, payload.up));
  RM_RETURN_IF_ERROR(CheckLimit("of the indices of", rank, own.index_up, payload.index_up));
  payload.up = own.up;
  payload.index_up = own.index_up;
  if (TraitsOf(resolved).weights == WeightHolder::kServers) return payload;
  // Everybody has sent each of the others the same.
  payload.down = 0;
  for (size_t other = 0; other < sums.size(); ++other) {
    if (static_cast<int32_t>(other) != rank)
      payload.down += sums[other].up / static_cast<int64_t>(sums.size() - 1);
  }
  return payload;
}

}  // namespace ringmaster
