// What every fabric does with memory that one node lends to another.
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/monotonic.h"
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

  // Whether a message of `bytes` bytes that is sent or lent is borrowed: within a process where the
  // receive was posted first, between processes of one host what is in exchange memory and not
  // small.
  static bool IsBorrowed(bool is_beside, bool in_exchange, bool post_first, int64_t bytes,
                         int64_t small_bytes) {
    if (is_beside) return post_first && bytes > 0;
    return SharesMemory(GetParam(), 0, 1) && in_exchange && bytes > small_bytes;
  }
};

// How one message of floats goes from a lender to a borrower, who adds it to what it has.
struct LoanCase {
  int64_t count;
  bool in_exchange, lends, borrows, post_first;
};

std::vector<LoanCase> LoanCases() {
  std::vector<LoanCase> cases;
  for (const int64_t count : {1, 64, 65, 1000, 100'001, 1'300'000}) {
    for (int bits = 0; bits < 16; ++bits) {
      cases.push_back({count, (bits & 8) == 0, (bits & 4) == 0, (bits & 2) == 0, (bits & 1) == 0});
    }
  }
  return cases;
}

struct LoanEnds {
  Transport* lender;
  Transport* borrower;
};

// Sends `lent`, whose values are made here, by that case, and gives it back negated where it was
// lent; `*is_lent` says whether it was.
void LendAndReturn(const LoanCase& c, const Tag& tag, absl::Span<float> lent, const LoanEnds& ends,
                   bool* is_lent) {
  const auto [lender, borrower] = ends;
  std::iota(lent.begin(), lent.end(), 0.0f);
  std::vector<float> own(c.count, 0.5f);
  const absl::Span<std::byte> lent_bytes(reinterpret_cast<std::byte*>(lent.data()), c.count * 4);
  const absl::Span<std::byte> own_bytes(reinterpret_cast<std::byte*>(own.data()), c.count * 4);
  Loan loan;
  bool returned = false;
  const auto post = [&] {
    constexpr ReceiveMode kAdd = ReceiveMode::kAddFloat32;
    return c.borrows ? borrower->Receive({Worker(0), tag, own_bytes, kAdd, &loan})
                     : borrower->Receive({Worker(0), tag, own_bytes, kAdd});
  };
  absl::StatusOr<OpId> posted = -1;
  if (c.post_first) posted = post();
  const absl::StatusOr<OpId> send = c.lends ? lender->Send({Worker(1), tag, lent_bytes, &returned})
                                            : lender->Send({Worker(1), tag, lent_bytes});
  ASSERT_OK(send.status());
  if (!c.post_first) posted = post();
  ASSERT_OK(posted.status());
  ASSERT_OK(borrower->Wait(*posted, Soon()));
  *is_lent = !loan.memory.empty();
  if (*is_lent) {
    ASSERT_EQ(loan.memory.size(), lent_bytes.size());
    ASSERT_EQ(std::memcmp(loan.memory.data(), lent_bytes.data(), lent_bytes.size()), 0);
    for (const float value : own) ASSERT_EQ(value, 0.5f);  // as it was
    EXPECT_EQ(lender->Wait(*send, MonotonicTime::InfinitePast()).code(),
              absl::StatusCode::kDeadlineExceeded);
    auto* const floats = reinterpret_cast<float*>(loan.memory.data());
    for (int64_t i = 0; i < c.count; ++i) floats[i] = -floats[i];
    borrower->Return(Worker(0), tag, loan);
  }
  ASSERT_OK(lender->Wait(*send, Soon()));
  EXPECT_EQ(returned, *is_lent);
  for (int64_t i = 0; i < c.count; ++i) {
    ASSERT_EQ(lent[i], *is_lent ? -static_cast<float>(i) : static_cast<float>(i));
    ASSERT_EQ(own[i], *is_lent ? 0.5f : i + 0.5f);
  }
}

TEST_P(LoansOverEveryFabric, MemoryThatIsLentComesBackAsTheBorrowerLeftItOrIsSentLikeAnyOther) {
  FabricGroup group = Join();
  const auto meter = [&](int rank) {
    return CreateMeteredTransport(group.worker(rank), *group.fabrics[group.homes[rank]],
                                  [](NodeId) { return false; });
  };
  const auto lender = meter(0), borrower = meter(1);
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(6 << 20);
  ASSERT_OK(memory.status());
  std::vector<float> elsewhere(memory->float_span().size());
  int64_t step = 0, bytes_there = 0, bytes_back = 0, loans = 0;
  for (const LoanCase& c : LoanCases()) {
    SCOPED_TRACE(testing::Message()
                 << c.count << " floats, in_exchange=" << c.in_exchange << " lends=" << c.lends
                 << " borrows=" << c.borrows << " post_first=" << c.post_first);
    ++step;
    const absl::Span<float> memory_of_case =
        c.in_exchange ? memory->float_span() : absl::MakeSpan(elsewhere);
    bool is_lent = false;
    LendAndReturn(c, TestTag(step), memory_of_case.subspan(step, c.count),
                  {lender.get(), borrower.get()}, &is_lent);
    if (HasFatalFailure()) return;
    EXPECT_EQ(is_lent, c.lends && c.borrows &&
                           IsBorrowed(GetParam() == "inproc", c.in_exchange, c.post_first,
                                      c.count * 4, 256));
    bytes_there += c.count * 4;
    if (is_lent) {
      bytes_back += c.count * 4;
      ++loans;
    }
  }
  const auto bytes = [](const std::map<MessageKind, TrafficCount>& by_kind) {
    return by_kind.empty() ? 0 : by_kind.at(MessageKind::kTest).payload_bytes;
  };
  EXPECT_EQ(bytes(lender->traffic().sent), bytes_there);
  EXPECT_EQ(bytes(borrower->traffic().received), bytes_there);
  EXPECT_EQ(bytes(borrower->traffic().sent), bytes_back);
  EXPECT_EQ(bytes(lender->traffic().received), bytes_back);
  if (SharesMemory(GetParam(), 0, 1) || GetParam() == "inproc") {
    EXPECT_GE(loans, 8);
  }
}

// Floats that worker 0 sends and another worker asks to read in place.
struct Reading {
  int64_t count = 0;
  bool in_exchange = false;
  bool lends = false;
  bool post_first = false;
};

class ReadingsOverEveryFabric : public LoansOverEveryFabric {
 protected:
  // `reader`: a worker beside worker 0, or of another process.
  void Begin(int32_t reader) {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, {2, 1});
    ASSERT_OK(group.status());
    group_ = *std::move(group);
    sender_ = Meter(0);
    reader_ = Meter(reader);
    to_ = Worker(reader);
    is_beside_ = group_.homes[reader] == group_.homes[0];
    absl::StatusOr<Buffer> memory = group_.fabrics[0]->AllocateExchange(6 << 20);
    ASSERT_OK(memory.status());
    memory_ = *std::move(memory);
    elsewhere_.resize(memory_.float_span().size());
  }

  void Read(const Reading& reading) {
    Tag tag = TestTag(++step_);
    tag.note = 7 * step_;
    const absl::Span<float> sent =
        (reading.in_exchange ? memory_.float_span() : absl::MakeSpan(elsewhere_))
            .subspan(step_, reading.count);
    std::iota(sent.begin(), sent.end(), 1.0f);
    const absl::Span<std::byte> bytes(reinterpret_cast<std::byte*>(sent.data()), reading.count * 4);
    std::vector<std::byte> out(bytes.size() + 4);  // more than comes
    Loan loan;
    Received received;
    bool returned = true;
    absl::StatusOr<OpId> posted = -1;
    const auto post = [&] {
      posted = reader_->Receive({Worker(0), tag, absl::MakeSpan(out), &received, &loan});
    };
    if (reading.post_first) post();
    const absl::StatusOr<OpId> send = reading.lends ? sender_->Send({to_, tag, bytes, &returned})
                                                    : sender_->Send({to_, tag, bytes});
    ASSERT_OK(send.status());
    if (!reading.post_first) post();
    ASSERT_OK(posted.status());
    ASSERT_OK(reader_->Wait(*posted, Soon()));
    EXPECT_EQ(received.bytes, static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(received.note, 7 * step_);
    const bool is_borrowed = !loan.memory.empty();
    EXPECT_EQ(is_borrowed, IsBorrowed(is_beside_, reading.in_exchange, reading.post_first,
                                      bytes.size(), reading.lends ? 256 : 4096));
    if (is_borrowed) {
      ASSERT_EQ(loan.memory.size(), bytes.size());
      EXPECT_EQ(sender_->Wait(*send, MonotonicTime::InfinitePast()).code(),
                absl::StatusCode::kDeadlineExceeded);
    }
    const std::byte* const begin = is_borrowed ? loan.memory.data() : out.data();
    if (!bytes.empty()) {
      EXPECT_EQ(std::memcmp(begin, bytes.data(), bytes.size()), 0);
    }
    if (is_borrowed) reader_->Return(Worker(0), tag, loan);
    ASSERT_OK(sender_->Wait(*send, Soon()));
    if (reading.lends) {
      EXPECT_FALSE(returned);  // nothing was left there
    }
    bytes_read_ += bytes.size();
  }

  std::unique_ptr<MeteredTransport> Meter(int32_t rank) {
    return CreateMeteredTransport(group_.worker(rank), *group_.fabrics[group_.homes[rank]],
                                  [](NodeId) { return false; });
  }

  FabricGroup group_;
  std::unique_ptr<MeteredTransport> sender_, reader_;
  NodeId to_;
  bool is_beside_ = false;
  Buffer memory_;
  std::vector<float> elsewhere_;
  int64_t step_ = 0;
  int64_t bytes_read_ = 0;
};

TEST_P(ReadingsOverEveryFabric, AMessageIsReadWhereItLiesUntilItIsReturnedOrStoredLikeAnyOther) {
  for (const int32_t reader : {1, 2}) {
    Begin(reader);
    for (const int64_t count : {0, 1, 1024, 1025, 100'001, 1'300'000}) {
      for (const bool in_exchange : {true, false}) {
        for (const bool lends : {true, false}) {
          for (const bool post_first : {true, false}) {
            SCOPED_TRACE(testing::Message() << "to worker/" << reader << ", " << count
                                            << " floats, in_exchange=" << in_exchange
                                            << " lends=" << lends << " post_first=" << post_first);
            Read({count, in_exchange, lends, post_first});
            if (HasFatalFailure()) return;
          }
        }
      }
    }
    EXPECT_EQ(sender_->traffic().sent.at(MessageKind::kTest).payload_bytes, bytes_read_);
    EXPECT_EQ(reader_->traffic().received.at(MessageKind::kTest).payload_bytes, bytes_read_);
    EXPECT_TRUE(reader_->traffic().sent.empty());
    EXPECT_TRUE(sender_->traffic().received.empty());
    bytes_read_ = 0;
  }
}

TEST_P(LoansOverEveryFabric, WhoeverWantsToWriteDoesNotGetWhatIsOnlySent) {
  FabricGroup group = Join();
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(100'000);
  ASSERT_OK(memory.status());
  std::vector<float> out(25'000, 1.0f);
  const absl::Span<std::byte> out_bytes(reinterpret_cast<std::byte*>(out.data()), 100'000);
  Loan loan;
  const auto post =
      group.worker(1).Receive({Worker(0), TestTag(1), out_bytes, ReceiveMode::kAddFloat32, &loan});
  const auto send = group.worker(0).Send(
      {Worker(1), TestTag(1),
       absl::MakeSpan(reinterpret_cast<std::byte*>(memory->float_span().data()), 100'000)});
  ASSERT_TRUE(post.ok() && send.ok());
  ASSERT_OK(group.worker(1).Wait(*post, Soon()));
  ASSERT_TRUE(loan.memory.empty());
  ASSERT_OK(group.worker(0).Wait(*send, Soon()));
}

TEST_P(LoansOverEveryFabric, AnAbortWakesWhoHasLentAndWhoseMemoryIsRead) {
  for (const bool lends : {true, false}) {
    FabricGroup group = Join();
    absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(100'000);
    ASSERT_OK(memory.status());
    const absl::Span<std::byte> bytes(reinterpret_cast<std::byte*>(memory->float_span().data()),
                                      100'000);
    std::vector<std::byte> out(100'000);
    Received received;
    Loan loan;
    bool returned = false;
    const auto post =
        group.worker(1).Receive({Worker(0), TestTag(1), absl::MakeSpan(out), &received, &loan});
    const auto send = lends ? group.worker(0).Send({Worker(1), TestTag(1), bytes, &returned})
                            : group.worker(0).Send({Worker(1), TestTag(1), bytes});
    ASSERT_TRUE(post.ok() && send.ok());
    ASSERT_OK(group.worker(1).Wait(*post, Soon()));
    if (loan.memory.empty()) {  // the fabric has sent it
      ASSERT_OK(group.worker(0).Wait(*send, Soon()));
      return;
    }
    absl::Status status;
    std::thread waiter([&] { status = group.worker(0).Wait(*send, Soon()); });
    // The one that has borrowed goes: its process where it has one.
    if (group.fabrics.size() > 1) {
      group.fabrics[1].reset();
    } else {
      group.fabrics[0]->Abort(absl::UnavailableError("worker/1 has failed"));
    }
    waiter.join();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_NE(status.message().find("worker/1"), absl::string_view::npos) << status;
    if (group.fabrics[1 % group.fabrics.size()] != nullptr)
      group.worker(1).Return(Worker(0), TestTag(1), loan);
  }
}

TEST_P(LoansOverEveryFabric, LentMemoryOfAnotherSizeThanIsExpectedFailsTheReceiveAndComesBack) {
  FabricGroup group = Join();
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(100'000);
  ASSERT_OK(memory.status());
  std::vector<std::byte> out(99'996);
  Loan loan;
  bool returned = true;
  const auto post = group.worker(1).Receive(
      {Worker(0), TestTag(1), absl::MakeSpan(out), ReceiveMode::kAddFloat32, &loan});
  const auto send = group.worker(0).Send(
      {Worker(1), TestTag(1),
       absl::MakeSpan(reinterpret_cast<std::byte*>(memory->float_span().data()), 100'000),
       &returned});
  ASSERT_TRUE(post.ok() && send.ok());
  EXPECT_EQ(group.worker(1).Wait(*post, Soon()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(loan.memory.empty());
  ASSERT_OK(group.worker(0).Wait(*send, Soon()));
  EXPECT_FALSE(returned);
}

INSTANTIATE_TEST_SUITE_P(All, LoansOverEveryFabric, testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(All, ReadingsOverEveryFabric, testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
