#include "common/collective/choice.h"

#include <algorithm>
#include <string>

#include "common/base/known_words.h"
#include "common/transport/fabric.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(ChooseCollective, NamesAScheduleForEverySizeAndNumberOfRanks) {
  for (const std::string& transport : RegistryNames(Transports())) {
    for (int32_t ranks = 1; ranks <= 1024; ranks = ranks < 20 ? ranks + 1 : ranks * 2) {
      for (int64_t bytes = 0; bytes < int64_t{1} << 36; bytes = 2 * bytes + 1) {
        EXPECT_TRUE(CreateSchedule(ChooseCollective({transport, ranks, bytes})).ok())
            << transport << ", " << ranks << " ranks, " << bytes << " bytes";
      }
    }
  }
}

TEST(ChooseCollective, TakesFewRoundsForFewBytesAndFewBytesForMany) {
  for (const int32_t ranks : {4, 8, 17}) {
    const auto rounds = [&](int64_t bytes) {
      int32_t most = 0;
      for (const Step& step :
           (*CreateSchedule(ChooseCollective({"tcp", ranks, bytes})))->StepsOf(0, ranks)) {
        most = std::max(most, step.round + 1);
      }
      return most;
    };
    EXPECT_LT(rounds(4096), 2 * (ranks - 1));
    const auto schedule = CreateSchedule(ChooseCollective({"tcp", ranks, 64 << 20}));
    for (int32_t rank = 0; rank < ranks; ++rank) {
      // No rank sends more than its share of 2S(N-1)/N.
      EXPECT_LE(SentBytes(**schedule, rank, ranks, 1000 * ranks, 4), 2 * 4000 * (ranks - 1));
    }
  }
}

TEST(ChooseCollective, SendsManyBytesAllToAllWhereFewRanksShareMemory) {
  EXPECT_EQ(ChooseCollective({"shm", 4, 16 << 20}), "direct");
  EXPECT_EQ(ChooseCollective({"tcp", 4, 16 << 20}), "ring");
}

TEST(ChooseCollective, ExchangesOnceWhereAPairsMessagesAreFew) {
  EXPECT_EQ(ChooseCollective({"tcp", 2, 256 << 10}), "recursive_doubling");
  EXPECT_EQ(ChooseCollective({"tcp", 2, 512 << 10}), "direct");
  EXPECT_EQ(ChooseCollective({"grpc", 2, 64 << 10}), "direct");
  EXPECT_EQ(ChooseCollective({"auto", 2, 64 << 10}), "direct") << "memory may turn out shared";
}

TEST(ResolveCollective, LeavesAllNamesButAuto) {
  for (const CollectiveInfo& info : CollectiveChoices()) {
    const absl::string_view resolved = ResolveCollective(info.name, {"tcp", 4, 1 << 20});
    EXPECT_EQ(resolved == info.name, std::string(info.name) != "auto");
    EXPECT_NE(resolved, "auto");
  }
  EXPECT_EQ(CollectiveChoices().size(), Collectives().size() + 1);
}

}  // namespace
}  // namespace ringmaster
