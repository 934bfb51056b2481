// All-reduce of buffers that the fabric shares between processes: sums are written in place, with
// the bits of messages.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "common/transport/fabric.h"
#include "common/transport/forwarding.h"
#include "common/transport/metered.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/common/collective/executor_ranks.h"
#include "tests/contract/transport/fabric_group.h"

namespace ringmaster {
namespace {

// Counts the loans that are returned.
class LoanCounter : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  void Return(NodeId from, const Tag& tag, const Loan& loan) override {
    ++returned_;
    below_.Return(from, tag, loan);
  }
  int64_t returned() const { return returned_; }

 private:
  int64_t returned_ = 0;
};

// Which ranks' data lies in exchange memory.
enum class Shared { kNone, kAll, kEvenRanks };

// Ranks on shared memory, each in a fabric of its own, that sum several buckets at once.
class SharingRanks {
 public:
  explicit SharingRanks(int32_t ranks) : ranks_(ranks) {
    FabricOptions options;
    options.name = "shm";
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, std::vector<int>(ranks, 1));
    EXPECT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
    ExecutorOptions executor_options;
    executor_options.wait_limit = kLimit;
    executor_options.piece_bytes = 4096;
    executor_options.limits.ahead_bytes = 16384;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      meters_.push_back(CreateMeteredTransport(group_.worker(rank), *group_.fabrics[rank],
                                               [](NodeId) { return false; }));
      counters_.push_back(std::make_unique<LoanCounter>(*meters_[rank]));
      executors_.push_back(std::make_unique<CollectiveExecutor>(*counters_[rank], AllWorkers(ranks),
                                                                executor_options));
      exchange_.push_back(*group_.fabrics[rank]->AllocateExchange(kBuckets * kBucketBytesMax));
      private_.push_back(*Buffer::AllocateHost(kBuckets * kBucketBytesMax));
    }
  }

  // The sums of `given` ([ranks][bytes]), which all buckets start with, as each rank and bucket has
  // them.
  std::vector<std::vector<std::byte>> Sum(const Schedule& schedule, ElementType type, Shared shared,
                                          const std::vector<std::vector<std::byte>>& given) {
    const size_t bytes = given[0].size();
    std::vector<std::vector<std::byte>> sums(ranks_ * kBuckets);
    OnAllRanks(ranks_, step_, [&](int32_t rank) {
      const bool is_shared =
          shared == Shared::kAll || (shared == Shared::kEvenRanks && rank % 2 == 0);
      auto* const memory = reinterpret_cast<std::byte*>(
          (is_shared ? exchange_ : private_)[rank].float_span().data());
      for (int bucket = 0; bucket < kBuckets; ++bucket) {
        const absl::Span<std::byte> data(memory + bucket * kBucketBytesMax, bytes);
        if (bytes > 0) std::memcpy(data.data(), given[rank].data(), bytes);
        const auto ticket = executors_[rank]->Start(schedule, step_, bucket, type, data);
        EXPECT_TRUE(ticket.ok()) << ticket.status();
      }
      const absl::Status status = FinishAll(*executors_[rank]);
      EXPECT_TRUE(status.ok()) << status;
      for (int bucket = 0; bucket < kBuckets; ++bucket) {
        sums[rank * kBuckets + bucket].assign(memory + bucket * kBucketBytesMax,
                                              memory + bucket * kBucketBytesMax + bytes);
      }
    });
    ++step_;
    return sums;
  }

  int64_t LoansReturned() const {
    int64_t count = 0;
    for (const auto& counter : counters_) count += counter->returned();
    return count;
  }

  int64_t PayloadSent(int32_t rank) const {
    const Traffic traffic = meters_[rank]->traffic();
    return traffic.sent.count(MessageKind::kCollective) == 0
               ? 0
               : traffic.sent.at(MessageKind::kCollective).payload_bytes;
  }

  static constexpr int kBuckets = 3;
  static constexpr int64_t kBucketBytesMax = 256 << 10;

 private:
  const int32_t ranks_;
  std::vector<Buffer> exchange_, private_;
  FabricGroup group_;
  std::vector<std::unique_ptr<MeteredTransport>> meters_;
  std::vector<std::unique_ptr<LoanCounter>> counters_;
  std::vector<std::unique_ptr<CollectiveExecutor>> executors_;
  int64_t step_ = 0;
};

std::vector<std::vector<std::byte>> Given(int32_t ranks, ElementType type, int64_t count,
                                          uint64_t seed) {
  std::vector<std::vector<std::byte>> given;
  for (const Floats& gradient : RandomGradients(ranks, count, seed)) {
    std::vector<std::byte> bytes(count * ElementBytes(type));
    if (type == ElementType::kFloat32) {
      if (count > 0) std::memcpy(bytes.data(), gradient.data(), bytes.size());
    } else {
      // As bfloat16 any bits of moderate halves are moderate too.
      ToFloat16(gradient, absl::MakeSpan(reinterpret_cast<uint16_t*>(bytes.data()), count));
    }
    given.push_back(std::move(bytes));
  }
  return given;
}

TEST(ExecutorOnExchangeMemory, WritesSumsInPlaceWithTheBitsOfMessagesAndCountsThemAsSuch) {
  for (int32_t ranks = 2; ranks <= 5; ++ranks) {
    SharingRanks sharing(ranks);
    for (const CollectiveInfo& info : Collectives()) {
      const auto schedule = Create(info.name);
      for (const ElementType type :
           {ElementType::kFloat32, ElementType::kFloat16, ElementType::kBfloat16}) {
        for (const int64_t count : {0, 3, 333, 6000, 60'001}) {
          const auto given = Given(ranks, type, count, 10 * count + ranks);
          const int64_t loans_before = sharing.LoansReturned();
          const auto expected = sharing.Sum(*schedule, type, Shared::kNone, given);
          EXPECT_EQ(sharing.LoansReturned(), loans_before);
          for (const auto& sum : expected)
            ASSERT_TRUE(sum == expected[0]) << info.name << " ranks=" << ranks;
          for (const Shared shared : {Shared::kAll, Shared::kEvenRanks}) {
            SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " count=", count, " bytes=",
                                      ElementBytes(type), " shared=", static_cast<int>(shared)));
            std::vector<int64_t> sent_before;
            for (int32_t rank = 0; rank < ranks; ++rank)
              sent_before.push_back(sharing.PayloadSent(rank));
            ASSERT_TRUE(sharing.Sum(*schedule, type, shared, given) == expected);
            for (int32_t rank = 0; rank < ranks; ++rank) {
              EXPECT_EQ(sharing.PayloadSent(rank) - sent_before[rank],
                        SharingRanks::kBuckets *
                            SentBytes(*schedule, rank, ranks, count, ElementBytes(type)));
            }
          }
          // Two ranks need no other message, whatever the schedule, if what is sent comes back at
          // all, and at once.
          if (ranks == 2 && count >= 333 && info.name != std::string("recursive_doubling") &&
              info.name != std::string("double_binary_tree")) {
            EXPECT_GE(sharing.LoansReturned() - loans_before, SharingRanks::kBuckets);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace ringmaster
