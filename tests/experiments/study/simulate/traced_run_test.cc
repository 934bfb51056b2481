// What is traced of a simulated run is what is traced of a real one: the same messages at the same
// nodes, between the same ends.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/scheme/registry.h"
#include "common/transport/forwarding.h"
#include "experiments/study/simulate/simulated_run.h"
#include "experiments/trace/chrome_trace.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/experiments/study/simulate/same_as_real.h"
#include "tests/fairness/in_process_run.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

// As a transport between machines: nothing is borrowed, which is no message in a simulation.
class WithoutLoans : public ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    return below_.Send(message.WithoutLoan());
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    return below_.Receive(message.WithoutLoan());
  }
};

SimulationOptions Played(bool learns) {
  SimulationOptions options = Learning();
  options.learns = learns;
  return options;
}

constexpr int kSteps = 5;

// Every step of a few is traced: which ones a worker's late messages belong to may differ.
RunSpec AllTraced(const std::string& arm, int32_t workers) {
  RunSpec base = SmallSpec(workers, /*exact_sums=*/false);
  base.mutable_training()->set_steps(kSteps);
  base.mutable_training()->set_warmup_steps(0);
  base.mutable_output()->set_trace_steps(kSteps);
  base.clear_codec();
  RunSpec spec = ArmOf(arm, base);
  ExchangeOften(&spec);
  // Claims fall to whoever is free.
  spec.mutable_strategy()->set_work(StrategySpec::DEALT);
  return spec;
}

// At which node, sent or received, kind, peer, bucket, round, piece and bytes.
using End = std::tuple<std::string, std::string, std::string, std::string, int32_t, int32_t,
                       int32_t, int64_t>;

// How often each end is there.
std::map<End, int> EndsOf(const RunRecord& record, bool of_received_alone) {
  std::map<End, int> ends;
  for (const ProcessReport& process : record.reports()) {
    for (const ThreadTrace& trace : process.traces()) {
      const auto add = [&](const std::string& way, const auto& messages) {
        for (const TraceMessage& message : messages)
          ++ends[{trace.node(), way, message.kind(), message.peer(), message.bucket(),
                  message.round(), message.piece(), message.payload_bytes()}];
      };
      EXPECT_EQ(trace.dropped(), 0);
      if (!of_received_alone) add("sent", trace.sent());
      add("received", trace.received());
    }
  }
  return ends;
}

std::string ToText(const std::map<End, int>& ends) {
  std::string text;
  for (const auto& [end, count] : ends) {
    std::apply([&](const auto&... part) { (absl::StrAppend(&text, part, " "), ...); }, end);
    absl::StrAppend(&text, "x", count, "\n");
  }
  return text;
}

// With backup workers chance decides who is late, and what it does then.
bool IsTraced(const ArmUnderTest& arm) {
  return Exchanges(arm) && arm.traits.backup_workers == 0 &&
         CheckSimulatable(OnNetwork(arm.spec), Played(/*learns=*/true)).ok();
}

class EveryArm : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(TracedRun, EveryArm, testing::ValuesIn(ArmsThat(IsTraced)),
                         [](const auto& info) { return TestName(info.param); });

TEST_P(EveryArm, HasTheMessagesOfARealRun) {
  for (const int32_t workers : {2, 3}) {
    SCOPED_TRACE(workers);
    const RunSpec spec = AllTraced(GetParam(), workers);
    RunSeams seams;
    seams.wrap = [](int32_t, Transport& real) { return std::make_unique<WithoutLoans>(real); };
    const RunRecord real = RunInProcess(spec, seams);
    ASSERT_EQ(real.status(), "ok");
    const RunRecord simulated = SimulateRun(OnNetwork(spec), Played(/*learns=*/true));
    ASSERT_EQ(simulated.status(), "ok");
    // What a real worker still sends of a late exchange while it drains belongs to no step.
    const bool of_received_alone = TraitsOf(spec).delay > 0;
    const std::map<End, int> ends = EndsOf(simulated, of_received_alone);
    EXPECT_FALSE(ends.empty());
    EXPECT_EQ(ToText(ends), ToText(EndsOf(real, of_received_alone)));
  }
}

// A viewer draws a message from a span to a span, and spans of a thread within each other.
TEST_P(EveryArm, IsATraceOfWhichAViewerDrawsEveryMessage) {
  const RunSpec spec = OnNetwork(AllTraced(GetParam(), 3));
  const SimulationOptions alone = Played(/*learns=*/false);
  const bool learns = !CheckSimulatable(spec, alone).ok();  // the length of encodings varies
  const RunRecord record = SimulateRun(spec, Played(learns));
  ASSERT_EQ(record.status(), "ok");
  const ChromeTrace trace = MakeChromeTrace(record);
  EXPECT_EQ(trace.single_ends, 0);
  EXPECT_EQ(trace.steps, kSteps);
  EXPECT_EQ(trace.dropped, 0);
  int64_t sent = 0;
  bool server_updates = false;
  for (const ProcessReport& process : record.reports()) {
    for (const ThreadTrace& thread : process.traces()) {
      sent += thread.sent_size();
      std::vector<int64_t> open;  // ends
      for (const TraceSpan& span : thread.spans()) {
        const int64_t end = span.begin_ns() + span.duration_ns();
        while (!open.empty() && open.back() <= span.begin_ns()) open.pop_back();
        EXPECT_TRUE(open.empty() || end <= open.back())
            << thread.node() << " " << thread.thread() << " " << span.DebugString();
        open.push_back(end);
        server_updates |= thread.thread() == "shard" && span.phase() == "update";
      }
    }
  }
  EXPECT_GT(sent, 0);
  EXPECT_EQ(trace.messages, sent);
  EXPECT_EQ(server_updates, TraitsOf(spec).servers > 0);
}

// Where a step begins no sooner than the exchange of the one before is over. What is pushed in a
// drain is of none.
TEST_P(EveryArm, ExchangesInTheStepsThatTheTraceNames) {
  const RunSpec spec = OnNetwork(AllTraced(GetParam(), 2));
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.delay > 0 || (traits.updates == Updates::kOnArrival && traits.local_steps == 0))
    GTEST_SKIP() << "its steps and exchanges overlap";
  const RunRecord record = SimulateRun(spec, Played(/*learns=*/true));
  ASSERT_EQ(record.status(), "ok");
  int exchanges = 0;
  for (const ProcessReport& process : record.reports()) {
    std::map<std::string, std::map<int64_t, const TraceSpan*>> steps;  // by node and number
    for (const ThreadTrace& thread : process.traces()) {
      for (const TraceSpan& span : thread.spans()) {
        if (span.phase() == "step") steps[thread.node()][span.step()] = &span;
        if (span.phase() != "exchange") continue;
        const TraceSpan* const step = steps[thread.node()][span.step()];
        ASSERT_NE(step, nullptr) << span.DebugString();
        EXPECT_GE(span.begin_ns(), step->begin_ns() - 1) << thread.node();  // of rounding
        EXPECT_LE(span.begin_ns(), step->begin_ns() + step->duration_ns() + 1) << thread.node();
        ++exchanges;
      }
    }
  }
  EXPECT_GT(exchanges, 0);
}

// A pull that comes too early for the bound waits, and the trace has how long.
TEST(TracedRun, HasTheWaitsOfPullsAtTheGate) {
  RunSpec spec = AllTraced("ssp", 2);
  spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(0);
  SlowdownSpec* const slowdown = spec.mutable_training()->add_slowdowns();
  slowdown->add_ranks(0);
  slowdown->set_factor(4);
  const RunRecord record = SimulateRun(OnNetwork(spec), Played(/*learns=*/false));
  ASSERT_EQ(record.status(), "ok");
  int64_t parked_ns = 0;
  for (const ProcessReport& process : record.reports()) {
    for (const ThreadTrace& thread : process.traces()) {
      EXPECT_NE(thread.thread(), "parked worker/0") << "nobody is slower";
      if (thread.thread() != "parked worker/1") continue;
      for (const TraceSpan& span : thread.spans()) parked_ns += span.duration_ns();
    }
  }
  EXPECT_GT(parked_ns, 5'000'000);
}

// Each traced step is filled by its phases, one after the other.
TEST(TracedRun, HasTheStepsThatAreAskedFor) {
  for (const char* arm : {"ring", "async", "local-sgd"}) {
    SCOPED_TRACE(arm);
    RunSpec spec = OnNetwork(ArmOf(arm, SmallSpec(2, /*exact_sums=*/false)));
    spec.mutable_output()->set_trace_steps(3);
    const SimulationOptions options = Played(/*learns=*/false);
    const RunRecord record = SimulateRun(spec, options);
    ASSERT_EQ(record.status(), "ok");
    const ProcessReport& process = record.reports(0);
    const auto trace = std::find_if(process.traces().begin(), process.traces().end(),
                                    [](const ThreadTrace& t) { return t.thread() == "step"; });
    ASSERT_NE(trace, process.traces().end());
    EXPECT_EQ(trace->node(), "worker/0");
    int steps = 0;
    int64_t filled = 0, whole = 0;
    for (const TraceSpan& span : trace->spans()) {
      if (span.phase() != "step") {
        filled += span.duration_ns();
        continue;
      }
      whole += span.duration_ns();
      const float step_ms = process.workers(0).step_ms(static_cast<int>(span.step()));
      EXPECT_NEAR(1e-6 * static_cast<double>(span.duration_ns()), step_ms, 1e-4 * step_ms);
      ++steps;
    }
    EXPECT_EQ(steps, 3);
    EXPECT_NEAR(static_cast<double>(filled), static_cast<double>(whole), 100) << "rounding";
    spec.mutable_output()->set_trace_steps(0);
    EXPECT_EQ(SimulateRun(spec, options).reports(0).traces_size(), 0);
  }
}

// One is played and all are reported: each names its own peers.
TEST(TracedRun, OfMergedWorkersHasTheMessagesOfAll) {
  RunSpec base = SmallSpec(4, /*exact_sums=*/false);
  base.mutable_training()->set_bucket_bytes(1 << 30);
  const RunSpec spec = OnNetwork(ArmOf("ring", base));
  SimulationOptions options = Played(/*learns=*/false);
  const std::map<End, int> whole = EndsOf(SimulateRun(spec, options), false);
  options.merges = true;
  const std::map<End, int> merged = EndsOf(SimulateRun(spec, options), false);
  ASSERT_EQ(whole.size(), merged.size());
  EXPECT_TRUE(std::equal(whole.begin(), whole.end(), merged.begin(),
                         [](const auto& a, const auto& b) {
                           // Merged chunks are rounded up to equal ones.
                           End own = a.first, others = b.first;
                           std::get<int64_t>(own) = std::get<int64_t>(others) = 0;
                           return own == others && a.second == b.second;
                         }))
      << ToText(whole) << ToText(merged);
}

}  // namespace
}  // namespace ringmaster
