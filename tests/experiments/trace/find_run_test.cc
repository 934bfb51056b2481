#include "experiments/trace/find_run.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

RunRecord RunOf(const char* run_id, const char* arm, bool traced) {
  RunRecord record;
  record.set_run_id(run_id);
  record.set_status("ok");
  record.mutable_spec()->set_name(arm);
  record.mutable_spec()->mutable_training()->set_workers(2);
  record.mutable_spec()->mutable_training()->set_warmup_steps(10);
  record.mutable_spec()->mutable_output()->set_trace_steps(3);
  record.mutable_summary()->set_transport("tcp");
  ProcessReport* report = record.add_reports();
  if (traced) report->add_traces()->add_spans();
  return record;
}

const std::vector<RunRecord>& Runs() {
  static const auto* const kRuns = new std::vector<RunRecord>{
      RunOf("20261125T01-aa", "ring", true), RunOf("20261125T02-bb", "ps", true),
      RunOf("20261125T02-bc", "ring", true), RunOf("20261126T03-dd", "solo", false)};
  return *kRuns;
}

std::string IdOf(const std::string& name) {
  const auto run = FindRun(Runs(), name);
  return run.ok() ? (*run)->run_id() : run.status().ToString();
}

TEST(FindRun, TakesAnIdAUniqueBeginningAnArmOrLast) {
  EXPECT_EQ(IdOf("20261125T02-bb"), "20261125T02-bb");
  EXPECT_EQ(IdOf("20261126"), "20261126T03-dd");
  EXPECT_EQ(IdOf("ring"), "20261125T02-bc");  // the newest
  EXPECT_EQ(IdOf("last"), "20261126T03-dd");
}

TEST(FindRun, NamesTwoThatBeginSoAndSaysWhenThereIsNone) {
  EXPECT_THAT(IdOf("20261125T02"),
              HasSubstr("INVALID_ARGUMENT: \"20261125T02\" is the beginning of 2 run ids, "
                        "20261125T02-bb and 20261125T02-bc"));
  EXPECT_THAT(IdOf("rings"),
              HasSubstr("NOT_FOUND: no run \"rings\" (did you mean \"ring\"?) among 4"));
  EXPECT_TRUE(absl::IsNotFound(FindRun({}, "last").status()));
}

TEST(FindRun, ListsTheNewestRunsThatHaveTraces) {
  const std::string text = TracedRunsText(Runs(), 2);
  EXPECT_THAT(text, HasSubstr("20261125T02-bb  ps    2 workers, tcp, 3 steps traced\n"
                              "20261125T02-bc  ring  2 workers, tcp, 3 steps traced\n"
                              "and 1 older ones\n"));
  EXPECT_THAT(text, Not(HasSubstr("solo")));
  EXPECT_EQ(TracedRunsText({}, 2), "");
}

TEST(WhyNoTraces, SaysWhetherItFailedWasNotAskedOrWasTooShort) {
  RunRecord run = RunOf("id", "ring", false);
  EXPECT_THAT(WhyNoTraces(run), HasSubstr("no step after its 10 of warm-up"));
  run.mutable_spec()->mutable_output()->set_trace_steps(0);
  EXPECT_THAT(WhyNoTraces(run), HasSubstr("run it with --set output.trace_steps=3"));
  run.set_status("UNAVAILABLE: gone");
  EXPECT_THAT(WhyNoTraces(run),
              HasSubstr("failed, and none of its processes could tell its last events: "
                        "UNAVAILABLE: gone"));
}

TEST(FindRun, AFailedRunWhoseLastEventsAreKnownIsListedAsSuch) {
  RunRecord run = RunOf("id", "ring", false);
  run.clear_reports();
  run.add_last_words()->add_nodes();
  EXPECT_FALSE(HasTraces(run));
  run.mutable_last_words(0)->mutable_nodes(0)->add_threads()->add_spans();
  EXPECT_TRUE(HasTraces(run));
  EXPECT_EQ(TracedRunsText({run}, 2), "id  ring  2 workers, failed, its last events\n");
}

}  // namespace
}  // namespace ringmaster
