// What a worker sends and receives is what the formulae say, to the byte.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/partition.h"
#include "common/codec/codec.h"
#include "common/config/resolve.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 3;
constexpr int64_t kCount = 305;  // buckets of 101, 101, 101 and 2 elements
constexpr int64_t kBucketElements = 101;

struct PayloadBytes {
  int64_t sent = 0;
  int64_t received = 0;
};

PayloadBytes Of(const Traffic& traffic, MessageKind up, MessageKind down) {
  const auto bytes = [](const std::map<MessageKind, TrafficCount>& counts, MessageKind kind) {
    const auto found = counts.find(kind);
    return found == counts.end() ? 0 : found->second.payload_bytes;
  };
  return {bytes(traffic.sent, up), bytes(traffic.received, down)};
}

// The payload of all kinds but Drain's.
PayloadBytes OfSteps(const Traffic& traffic) {
  PayloadBytes sum;
  for (const auto& [kind, count] : traffic.sent)
    sum.sent += kind == MessageKind::kDrain ? 0 : count.payload_bytes;
  for (const auto& [kind, count] : traffic.received) {
    sum.received += kind == MessageKind::kDrain ? 0 : count.payload_bytes;
  }
  return sum;
}

struct Measured {
  std::vector<Traffic> by_rank;
  std::vector<int64_t> index_bytes;
  std::vector<Bucket> buckets;
};

Measured Measure(const RunSpec& spec) {
  StrategyGroup group(spec, std::vector<float>(kCount, 1.0f), kBucketElements);
  const absl::Status status = group.Run([](GroupWorker& worker) {
    const auto source = [](int32_t rank, int64_t step, const Bucket& bucket,
                           absl::Span<float> out) {
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = 0.001f * static_cast<float>(i + 7 * rank + step + bucket.id);
    };
    const absl::Status stepped = worker.Steps(0, kSteps, source);
    return stepped.ok() ? worker.strategy().Drain() : stepped;
  });
  EXPECT_TRUE(status.ok()) << status;
  Measured measured;
  for (int32_t rank = 0; rank < group.workers(); ++rank)
    measured.by_rank.push_back(group.worker(rank).traffic());
  measured.index_bytes = group.index_bytes();
  measured.buckets.assign(group.layout().buckets().begin(), group.layout().buckets().end());
  return measured;
}

std::unique_ptr<Codec> CodecOf(const CodecSpec& spec) {
  RunSpec run;
  run.mutable_training()->set_steps(1);
  *run.mutable_codec() = spec;
  return *CreateCodec(Resolve(run, {})->codec());
}

// Encoded bytes of the parts of all buckets that do not lie on `local_server` (-1: none does).
int64_t PartBytes(const std::vector<Bucket>& buckets, int32_t servers, int32_t local_server,
                  const Codec& codec) {
  int64_t bytes = 0;
  for (const Bucket& bucket : buckets) {
    for (int32_t server = 0; server < servers; ++server) {
      const int64_t count = Part(bucket.count, servers, server).count;
      if (server != local_server && count > 0) bytes += codec.MaxEncodedBytes(count);
    }
  }
  return bytes;
}

TEST(ParameterServerTraffic, IsTheEncodedModelUpAndTheModelDownAStepWithoutTheOwnPart) {
  CodecSpec exact;
  exact.set_name("none");
  // Of lengths that follow from the count alone.
  const auto is_fixed = [](const CodecInfo& info) { return info.traits.fixed_size; };
  for (const std::string& codec_name : CodecsThat(is_fixed)) {
    for (const auto consistency :
         {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
      for (const auto placement :
           {ParameterServerSpec::DEDICATED, ParameterServerSpec::COLOCATED}) {
        for (int32_t workers = 1; workers <= 4; ++workers) {
          for (int32_t servers = 1;
               servers <= (placement == ParameterServerSpec::DEDICATED ? 3 : workers); ++servers) {
            SCOPED_TRACE(absl::StrCat(codec_name, " consistency=", consistency,
                                      " placement=", placement, " N=", workers, " K=", servers));
            RunSpec spec = GroupSpec(workers, 0.01f);
            ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
            ps->set_consistency(consistency);
            ps->set_placement(placement);
            ps->set_servers(servers);
            spec.mutable_codec()->set_name(codec_name);
            const Measured measured = Measure(spec);
            const auto codec = CodecOf(spec.codec());
            for (int32_t rank = 0; rank < workers; ++rank) {
              const int32_t local = placement == ParameterServerSpec::COLOCATED ? rank : -1;
              const PayloadBytes bytes =
                  Of(measured.by_rank[rank], MessageKind::kPush, MessageKind::kWeights);
              EXPECT_EQ(bytes.sent, kSteps * PartBytes(measured.buckets, servers, local, *codec));
              EXPECT_EQ(bytes.received,
                        kSteps * PartBytes(measured.buckets, servers, local, *CodecOf(exact)));
              // Four bytes of each element that top-k sends, and four of its value.
              EXPECT_EQ(measured.index_bytes[rank],
                        codec->traits().index_bearing ? bytes.sent / 2 : 0);
              // Requests, and weights for evaluations, are no part of a step's payload.
              EXPECT_EQ(OfSteps(measured.by_rank[rank]).sent, bytes.sent);
              EXPECT_EQ(OfSteps(measured.by_rank[rank]).received, bytes.received);
              if (placement == ParameterServerSpec::DEDICATED && codec_name == kNoCodec) {
                EXPECT_EQ(bytes.sent, kSteps * kCount * 4);
                EXPECT_EQ(bytes.received, kSteps * kCount * 4);
              }
            }
          }
        }
      }
    }
  }
}

RunSpec AllReduceSpecOf(int32_t workers, const char* collective, const char* codec) {
  RunSpec spec = GroupSpec(workers, 0.01f);
  spec.mutable_strategy()->mutable_all_reduce()->set_collective(collective);
  spec.mutable_codec()->set_name(codec);
  return spec;
}

TEST(RingTraffic, IsTwiceTheBucketLessTwoChunksSummedOverBuckets) {
  for (const auto& [codec, element_bytes] :
       {std::pair<const char*, int64_t>{"none", 4}, {"fp16", 2}}) {
    for (int32_t workers = 1; workers <= 4; ++workers) {
      SCOPED_TRACE(absl::StrCat(codec, " N=", workers));
      const Measured measured = Measure(AllReduceSpecOf(workers, "ring", codec));
      int64_t total = 0;
      for (int32_t rank = 0; rank < workers; ++rank) {
        int64_t elements = 0;
        for (const Bucket& bucket : measured.buckets) {
          elements += 2 * bucket.count - Part(bucket.count, workers, (rank + 1) % workers).count -
                      Part(bucket.count, workers, (rank + 2) % workers).count;
        }
        EXPECT_EQ(OfSteps(measured.by_rank[rank]).sent, kSteps * elements * element_bytes)
            << "worker/" << rank;
        total += OfSteps(measured.by_rank[rank]).sent;
      }
      EXPECT_EQ(total, kSteps * 2 * (workers - 1) * kCount * element_bytes);
    }
  }
}

TEST(DirectTraffic, IsEveryOthersChunkAndTheOwnSumToEveryOther) {
  for (int32_t workers = 1; workers <= 4; ++workers) {
    SCOPED_TRACE(absl::StrCat("N=", workers));
    const Measured measured = Measure(AllReduceSpecOf(workers, "direct", "none"));
    for (int32_t rank = 0; rank < workers; ++rank) {
      int64_t elements = 0;
      for (const Bucket& bucket : measured.buckets) {
        const int64_t own = Part(bucket.count, workers, rank).count;
        elements += bucket.count - own + (workers - 1) * own;
      }
      EXPECT_EQ(OfSteps(measured.by_rank[rank]).sent, kSteps * elements * 4) << "worker/" << rank;
    }
  }
}

TEST(ReduceBroadcastTraffic, IsTheModelOnceAndFromTheRootOnceToEveryOther) {
  for (int32_t workers = 1; workers <= 4; ++workers) {
    SCOPED_TRACE(absl::StrCat("N=", workers));
    const Measured measured = Measure(AllReduceSpecOf(workers, "reduce_broadcast", "none"));
    for (int32_t rank = 0; rank < workers; ++rank) {
      const PayloadBytes bytes = OfSteps(measured.by_rank[rank]);
      EXPECT_EQ(bytes.sent, kSteps * kCount * 4 * (rank == 0 ? workers - 1 : 1))
          << "worker/" << rank;
      EXPECT_EQ(bytes.received, kSteps * kCount * 4 * (rank == 0 ? workers - 1 : 1))
          << "worker/" << rank;
    }
  }
}

TEST(GatheredTraffic, IsOneRanksEncodedBucketsForEveryOther) {
  // Of lengths that follow from the count alone.
  const auto is_gathered = [](const CodecInfo& info) {
    return !info.traits.summable_as && info.traits.fixed_size;
  };
  for (const std::string& name : CodecsThat(is_gathered)) {
    for (int32_t workers = 1; workers <= 4; ++workers) {
      SCOPED_TRACE(absl::StrCat(name, " N=", workers));
      const RunSpec spec = AllReduceSpecOf(workers, "ring", name.c_str());
      const Measured measured = Measure(spec);
      const auto codec = CodecOf(spec.codec());
      int64_t encoded = 0;
      for (const Bucket& bucket : measured.buckets) encoded += codec->MaxEncodedBytes(bucket.count);
      for (int32_t rank = 0; rank < workers; ++rank) {
        const PayloadBytes bytes = OfSteps(measured.by_rank[rank]);
        EXPECT_EQ(bytes.sent, kSteps * (workers - 1) * encoded) << "worker/" << rank;
        EXPECT_EQ(bytes.received, kSteps * (workers - 1) * encoded) << "worker/" << rank;
        const int64_t index_share = codec->traits().index_bearing ? bytes.sent / 2 : 0;
        EXPECT_EQ(measured.index_bytes[rank], index_share) << "worker/" << rank;
      }
    }
  }
}

TEST(SoloTraffic, IsNone) {
  RunSpec spec = GroupSpec(3, 0.01f);
  spec.mutable_strategy()->mutable_solo();
  for (const Traffic& traffic : Measure(spec).by_rank) {
    EXPECT_TRUE(traffic.sent.empty());
    EXPECT_TRUE(traffic.received.empty());
  }
}

}  // namespace
}  // namespace ringmaster
