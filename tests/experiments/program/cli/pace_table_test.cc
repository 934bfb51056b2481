#include "experiments/program/cli/pace_table.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

RunSpec Arm(const char* name) {
  RunSpec spec;
  spec.set_name(name);
  spec.mutable_training()->set_workers(2);
  spec.mutable_training()->set_batch_per_worker(32);
  spec.mutable_training()->set_accumulate(1);
  if (spec.name() == "solo") {
    spec.mutable_strategy()->mutable_solo();
  } else {
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
  }
  return spec;
}

TEST(PaceTable, HasStepsOfTurnsAndTheShareOfSolo) {
  const std::vector<RunSpec> specs = {Arm("ring"), Arm("solo"), Arm("late")};
  const std::string table =
      PaceTable(specs, {{{194, 0.97}, 0.25}, {{97, 0.388}, 0}, {{0, 0}, 0}}, {2, 71.4});
  EXPECT_EQ(table,
            "so far, after 2 turns of each arm (1 m 11 s); a table with all figures comes at the "
            "end\n"
            "  arm   timed steps   ms a step   samples/s   of solo      loss\n"
            "  ring          194        5.00      12 800      80 %    0.2500\n"
            "  solo           97        4.00      16 000     100 %\n"
            "  late            0");
}

TEST(PaceTable, WithoutSoloThereIsNoShare) {
  const std::string table = PaceTable({Arm("ring")}, {{{100, 1}, 0.5}}, {1, 3});
  EXPECT_THAT(table, HasSubstr("after 1 turn of each arm (3 s)"));
  EXPECT_THAT(table, HasSubstr("10.00"));
  EXPECT_THAT(table, Not(HasSubstr("%")));
}

TEST(PaceTable, IsShownAfterOneTwoFourRoundsAndSoOn) {
  std::vector<int64_t> shown;
  for (int64_t rounds = 0; rounds <= 20; ++rounds) {
    if (IsTableRound(rounds)) shown.push_back(rounds);
  }
  EXPECT_EQ(shown, (std::vector<int64_t>{1, 2, 4, 8, 16}));
}

}  // namespace
}  // namespace ringmaster
