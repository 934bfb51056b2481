// What every fabric does with memory that one node lends to another.
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "common/transport/metered.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"

namespace ringmaster {
namespace {

class LoansOverEveryFabric : public testing::TestWithParam<std::string> {
 protected:
  FabricGroup Join() {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, {1, 1});
    EXPECT_TRUE(group.ok()) << group.status();
    return *std::move(group);
  }
};

#define ASSERT_OK(expression)                       \
  do {                                              \
    const absl::Status status_of_it = (expression); \
    ASSERT_TRUE(status_of_it.ok()) << status_of_it; \
  } while (false)

TEST_P(LoansOverEveryFabric, MemoryThatIsLentComesBackAsTheBorrowerLeftItOrIsSentLikeAnyOther) {
  FabricGroup group = Join();
  const auto meter = [&](int rank) {
    return CreateMeteredTransport(group.worker(rank), *group.fabrics[group.homes[rank]], [](NodeId) { return false; });
  };
  const auto lender = meter(0), borrower = meter(1);
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(6 << 20);
  ASSERT_OK(memory.status());
  std::vector<float> elsewhere(memory->float_span().size());
  int64_t step = 0, bytes_there = 0, bytes_back = 0, loans = 0;
  for (const int64_t count : {1, 64, 65, 1000, 100'001, 1'300'000}) {
    for (const bool in_exchange : {true, false}) {
      for (const bool lends : {true, false}) {
        for (const bool borrows : {true, false}) {
          for (const bool post_first : {true, false}) {
            SCOPED_TRACE(testing::Message() << count << " floats, in_exchange=" << in_exchange << " lends=" << lends
                                            << " borrows=" << borrows << " post_first=" << post_first);
            const Tag tag = TestTag(++step);
            const absl::Span<float> lent =
                (in_exchange ? memory->float_span() : absl::MakeSpan(elsewhere)).subspan(step, count);
            std::iota(lent.begin(), lent.end(), 0.0f);
            std::vector<float> own(count, 0.5f);
            const absl::Span<std::byte> lent_bytes(reinterpret_cast<std::byte*>(lent.data()), count * 4);
            const absl::Span<std::byte> own_bytes(reinterpret_cast<std::byte*>(own.data()), count * 4);
            Loan loan;
            bool returned = false;
            const auto post = [&] {
              return borrows ? borrower->PostLoan(Worker(0), tag, own_bytes, ReceiveMode::kAddFloat32, &loan)
                             : borrower->Post(Worker(0), tag, own_bytes, ReceiveMode::kAddFloat32);
            };
            absl::StatusOr<OpId> posted = -1;
            if (post_first) posted = post();
            const absl::StatusOr<OpId> send = lends ? lender->StartLoan(Worker(1), tag, lent_bytes, &returned)
                                                    : lender->StartSend(Worker(1), tag, lent_bytes);
            ASSERT_OK(send.status());
            if (!post_first) posted = post();
            ASSERT_OK(posted.status());
            ASSERT_OK(borrower->Wait(*posted, Soon()));
            const bool is_lent = !loan.memory.empty();
            if (GetParam() == "shm" && in_exchange && lends && borrows && count > 64) EXPECT_TRUE(is_lent);
            if (!in_exchange || !lends || !borrows) EXPECT_FALSE(is_lent);
            if (is_lent) {
              ASSERT_EQ(loan.memory.size(), lent_bytes.size());
              ASSERT_EQ(std::memcmp(loan.memory.data(), lent_bytes.data(), lent_bytes.size()), 0);
              for (const float value : own) ASSERT_EQ(value, 0.5f);  // as it was
              EXPECT_EQ(lender->Wait(*send, absl::InfinitePast()).code(), absl::StatusCode::kDeadlineExceeded);
              auto* const floats = reinterpret_cast<float*>(loan.memory.data());
              for (int64_t i = 0; i < count; ++i) floats[i] = -floats[i];
              borrower->Return(Worker(0), tag, loan);
              ++loans;
              bytes_back += count * 4;
            }
            bytes_there += count * 4;
            ASSERT_OK(lender->Wait(*send, Soon()));
            EXPECT_EQ(returned, is_lent);
            for (int64_t i = 0; i < count; ++i) {
              ASSERT_EQ(lent[i], is_lent ? -static_cast<float>(i) : static_cast<float>(i));
              ASSERT_EQ(own[i], is_lent ? 0.5f : i + 0.5f);
            }
          }
        }
      }
    }
  }
  const auto bytes = [](const std::map<MessageKind, TrafficCount>& by_kind) {
    return by_kind.empty() ? 0 : by_kind.at(MessageKind::kTest).payload_bytes;
  };
  EXPECT_EQ(bytes(lender->traffic().sent), bytes_there);
  EXPECT_EQ(bytes(borrower->traffic().received), bytes_there);
  EXPECT_EQ(bytes(borrower->traffic().sent), bytes_back);
  EXPECT_EQ(bytes(lender->traffic().received), bytes_back);
  if (GetParam() == "shm") EXPECT_GE(loans, 8);
}

TEST_P(LoansOverEveryFabric, LentMemoryOfAnotherSizeThanIsExpectedFailsTheReceiveAndComesBack) {
  FabricGroup group = Join();
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(100'000);
  ASSERT_OK(memory.status());
  std::vector<std::byte> out(99'996);
  Loan loan;
  bool returned = true;
  const auto post =
      group.worker(1).PostLoan(Worker(0), TestTag(1), absl::MakeSpan(out), ReceiveMode::kAddFloat32, &loan);
  const auto send = group.worker(0).StartLoan(
      Worker(1), TestTag(1), absl::MakeSpan(reinterpret_cast<std::byte*>(memory->float_span().data()), 100'000), &returned);
  ASSERT_TRUE(post.ok() && send.ok());
  EXPECT_EQ(group.worker(1).Wait(*post, Soon()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(loan.memory.empty());
  ASSERT_OK(group.worker(0).Wait(*send, Soon()));
  EXPECT_FALSE(returned);
}

INSTANTIATE_TEST_SUITE_P(All, LoansOverEveryFabric, testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
