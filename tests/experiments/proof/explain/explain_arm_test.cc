// What `explain` says of arms and codecs follows from the registries: bytes are the formula's,
// refusals are validation's, and no trait changes without the text.

#include "experiments/proof/explain/explain_arm.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/codec/reducer.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/proof/explain/codec_facts.h"
#include "experiments/proof/explain/explain_gossip.h"
#include "experiments/proof/explain/scheme_facts.h"
#include "experiments/proof/explain/story_text.h"
#include "experiments/proof/verify/payload_formula.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/shard_core.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

// Small tensors and large ones, in buckets that no count of workers divides.
ParamLayout LayoutOf(const RunSpec& spec) {
  std::vector<Param> params(5);
  params[0].shape = {10, 84};
  params[1].shape = {10};
  params[2].shape = {84, 120};
  params[3].shape = {84};
  params[4].shape = {6, 1, 5, 5};
  for (size_t i = 0; i < params.size(); ++i) params[i].name = absl::StrCat("tensor", i);
  return ParamLayout(params, 1001, BucketLayoutOf(spec.training()));
}

RunSpec BaseOf(int32_t workers) {
  RunSpec base;
  base.mutable_training()->set_workers(workers);
  base.mutable_training()->set_steps(1);
  base.mutable_training()->set_kernels("cpu");
  base.mutable_data()->set_name("synthetic");
  return base;
}

RunSpec Resolved(const std::string& arm, RunSpec base) {
  if (arm.find("powersgd") != std::string::npos)
    base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  const auto made = MakeArm(arm, base);
  EXPECT_TRUE(made.ok()) << made.status();
  return *Resolve(*made, {});
}

// Empty where there is no such fact.
std::string TextOf(const std::vector<Fact>& facts, const std::string& name) {
  std::string text;
  for (const Fact& fact : facts) {
    if (fact.name != name) continue;
    EXPECT_EQ(text, "") << name << " is told twice";
    text = fact.text;
  }
  return text;
}

// The steps after which all begins again, and those before which something else is sent.
struct Steps {
  int64_t before = 0, period = 1;
};

// Of every worker, told or among those told together.
void ExpectBytes(const RunSpec& spec, const ParamLayout& layout, const Steps& steps) {
  const auto story = ExplainArm(spec, layout);
  ASSERT_TRUE(story.ok()) << spec.name() << ": " << story.status();
  const std::string text = TextOf(story->facts, "bytes");
  const int32_t workers = spec.training().workers();
  for (int32_t rank = 0; rank < workers; ++rank) {
    const auto all = PayloadFormula(spec, layout, rank, steps.before + steps.period);
    const auto before = PayloadFormula(spec, layout, rank, steps.before);
    ASSERT_TRUE(all.ok() && before.ok()) << all.status();
    const std::string sent = absl::StrCat(all->up - before->up, " bytes and receive");
    const std::string received = absl::StrCat(all->down - before->down, " (");
    const bool is_told = absl::StrContains(text, absl::StrCat(" ", sent, "s ", received)) ||
                         absl::StrContains(text, absl::StrCat(" ", sent, " ", received));
    EXPECT_TRUE(is_told) << spec.name() << " N=" << workers << " worker/" << rank << ": " << sent
                         << " " << received << "\n"
                         << text;
  }
}

Steps StepsOf(const RunSpec& spec) {
  const SchemeTraits traits = TraitsOf(spec);
  return {0, std::max<int64_t>(traits.exchange_every, std::max(1, traits.local_steps))};
}

TEST(ExplainArm, TellsTheFormulasBytesOfEveryArm) {
  for (const int32_t workers : {2, 4, 6}) {
    for (const std::string& name : ArmsThat(Exchanges)) {
      const RunSpec spec = Resolved(name, BaseOf(workers));
      ExpectBytes(spec, LayoutOf(spec), StepsOf(spec));
    }
  }
}

TEST(ExplainArm, TellsTheFormulasBytesOfEveryCodecAroundARingAndAtAServer) {
  for (const CodecInfo& codec : CodecsAndReducers()) {
    for (const std::string arm : {"ring", "ps", "delayed"}) {
      if (codec.traits.in_rounds && arm != "ring") continue;
      const RunSpec spec = Resolved(absl::StrCat(arm, "+", codec.name), BaseOf(4));
      const int64_t settled = *SettledStep(spec.codec());
      ExpectBytes(spec, LayoutOf(spec), {settled, 1});
    }
  }
}

TEST(ExplainArm, TellsBytesAfterTheStepsThatGoOtherwise) {
  RunSpec base = BaseOf(4);
  base.mutable_codec()->set_warmup_steps(7);
  RunSpec spec = Resolved("ring+topk", base);
  ExpectBytes(spec, LayoutOf(spec), {7, 1});
  EXPECT_THAT(TextOf(ExplainArm(spec, LayoutOf(spec))->facts, "bytes"),
              HasSubstr("after the first 7"));
  base = BaseOf(4);
  base.mutable_codec()->mutable_dgc()->set_ramp_steps(9);
  spec = Resolved("ring+dgc", base);
  ExpectBytes(spec, LayoutOf(spec), {9, 1});
  base = BaseOf(4);
  base.mutable_strategy()->mutable_local_sgd()->set_synchronous_steps(5);
  spec = Resolved("local-sgd", base);
  ExpectBytes(spec, LayoutOf(spec), {5, 8});
  EXPECT_THAT(TextOf(ExplainArm(spec, LayoutOf(spec))->facts, "exchanged"),
              HasSubstr("In the first 5 steps gradients are averaged"));
}

TEST(ExplainArm, TellsOfEveryArmWhatADecisionAboutItNeeds) {
  for (const std::string& name : ArmsThat(Exchanges)) {
    const RunSpec spec = Resolved(name, BaseOf(4));
    const auto story = ExplainArm(spec, LayoutOf(spec));
    ASSERT_TRUE(story.ok()) << name << ": " << story.status();
    EXPECT_GE(story->scenes.size(), 2u) << name;
    for (const char* fact :
         {"bytes", "update", "exchanged", "waits", "weights", "model", "staleness", "memory",
          "rate", "momentum", "clipping", "batches", "a loss"})
      EXPECT_NE(TextOf(story->facts, fact), "") << name << " " << fact;
    const std::string text = StoryText(*story, 100);
    for (const Fact& fact : story->facts) EXPECT_THAT(text, HasSubstr(fact.name)) << name;
  }
}

// Whether validation takes the spec with `change`.
bool Takes(RunSpec spec, const std::function<void(OptimizerSpec*)>& change) {
  change(spec.mutable_optimizer());
  return ResolveAndValidate(spec, "").ok();
}

TEST(ExplainArm, RefusesWhatValidationRefuses) {
  for (const std::string& name : ArmsThat(Exchanges)) {
    const RunSpec spec = Resolved(name, BaseOf(4));
    const auto story = ExplainArm(spec, LayoutOf(spec));
    ASSERT_TRUE(story.ok()) << name;
    EXPECT_EQ(absl::StrContains(TextOf(story->facts, "clipping"), "refused"),
              !Takes(spec, [](OptimizerSpec* optimizer) { optimizer->set_clip_norm(1); }))
        << name;
    EXPECT_EQ(absl::StrContains(TextOf(story->facts, "momentum"), "Refused"),
              !Takes(spec, [](OptimizerSpec* optimizer) { optimizer->set_name("momentum"); }))
        << name;
  }
}

std::string FactsText(const SchemeTraits& traits) {
  std::string text;
  for (const Fact& fact : SchemeFacts(traits, LayoutOf(BaseOf(4)), 1))
    absl::StrAppend(&text, fact.name, " ", fact.text, "\n");
  return text;
}

// The traits of the first arm for which `wanted` holds.
SchemeTraits TraitsWhere(const std::function<bool(const SchemeTraits&)>& wanted) {
  for (const std::string& name : ArmsThat(Exchanges)) {
    const SchemeTraits traits = TraitsOf(Resolved(name, BaseOf(4)));
    if (wanted(traits)) return traits;
  }
  ADD_FAILURE() << "there is no such arm";
  return {};
}

struct TraitChange {
  const char* trait;
  SchemeTraits traits;  // of an arm for which it means something
  std::function<void(SchemeTraits*)> change;
};

TEST(SchemeFacts, ChangeWithEveryTrait) {
  // A new trait does not compile here: say below what it changes.
  [[maybe_unused]] const auto& [workers, servers, beside, processes, weights, divisor, replicas,
                                updates, bound, delay, updated, backups, local_steps, attraction,
                                compensates, weights_encoded, work, yardstick, exchanges,
                                collective, group_size, engine, in_rounds, exchanged, every,
                                synchronous, gossip, continues, reforms, averages, arenas,
                                server_arenas] = SchemeTraits();
  using T = SchemeTraits;
  const T sum = TraitsWhere([](const T& t) { return !t.collective.empty(); });
  const T server = TraitsWhere([](const T& t) { return t.servers == 1 && t.processes > 4; });
  const T bounded = TraitsWhere([](const T& t) { return t.staleness_bound.has_value(); });
  const T late = TraitsWhere([](const T& t) { return t.delay > 0; });
  const T alone = TraitsWhere([](const T& t) { return t.exchanged == Exchanged::kWeightsAfter; });
  const T neighbours = TraitsWhere([](const T& t) { return t.gossip.has_value(); });
  const T claimed = TraitsWhere([](const T& t) { return t.work == Work::kClaimed; });
  const T backup = TraitsWhere([](const T& t) { return t.backup_workers > 0; });
  const T geo = TraitsWhere([](const T& t) { return t.local_steps > 0; });
  const T shared = TraitsWhere([](const T& t) { return t.updated != nullptr && t.servers == 0; });
  const TraitChange changes[] = {
      {"workers", sum, [](T* t) { t->workers = 3; }},
      {"servers", server, [](T* t) { t->servers = 2; }},
      {"servers_beside_workers", server, [](T* t) { t->servers_beside_workers = true; }},
      {"weights", server, [](T* t) { t->weights = WeightHolder::kWorkers; }},
      {"divisor", sum, [](T* t) { t->divisor = Divisor::kOwnBatches; }},
      {"replicas", sum, [](T* t) { t->replicas = Replicas::kOnAverage; }},
      {"replicas", sum, [](T* t) { t->replicas = Replicas::kEqualAfterDrain; }},
      {"updates", server, [](T* t) { t->updates = Updates::kOnArrival; }},
      {"staleness_bound", bounded, [](T* t) { t->staleness_bound = 5; }},
      {"staleness_bound", bounded, [](T* t) { t->staleness_bound.reset(); }},
      {"delay", sum, [](T* t) { t->delay = 1; }},
      {"delay", late, [](T* t) { t->delay = 2; }},
      {"updated", shared, [](T* t) { t->updated = nullptr; }},
      {"backup_workers", backup, [](T* t) { t->backup_workers = 2; }},
      {"local_steps", geo, [](T* t) { t->local_steps = 7; }},
      {"attraction", geo, [](T* t) { t->attraction = 0.25; }},
      {"weights_encoded", server, [](T* t) { t->weights_encoded = true; }},
      {"work", claimed, [](T* t) { t->work = Work::kDealt; }},
      {"exchanged", alone, [](T* t) { t->exchanged = Exchanged::kGradients; }},
      {"exchanged", alone, [](T* t) { t->exchanged = Exchanged::kWeightsAhead; }},
      {"exchange_every", alone, [](T* t) { t->exchange_every = 3; }},
      {"synchronous_steps", alone, [](T* t) { t->synchronous_steps = 3; }},
      {"may_continue", claimed, [](T* t) { t->may_continue = !t->may_continue; }},
      {"may_reform", sum, [](T* t) { t->may_reform = !t->may_reform; }},
      {"gossip", neighbours, [](T* t) { t->gossip = GossipGraph::kOnePeerExponential; }},
      {"marks_are_averages", neighbours, [](T* t) { t->marks_are_averages = false; }},
      {"exchange_arenas", alone, [](T* t) { t->exchange_arenas = 5; }},
      {"server_arenas", claimed, [](T* t) { t->server_arenas = 5; }},
  };
  for (const TraitChange& change : changes) {
    SchemeTraits after = change.traits;
    change.change(&after);
    EXPECT_NE(FactsText(change.traits), FactsText(after)) << change.trait;
  }
}

// The scenes, and the update's rule, tell what facts do not: collective, group_size,
// compensates_delay. Nothing that is explained follows from processes, yardstick and
// sums_in_rounds.
TEST(ExplainArm, TellsNoTwoArmsAlike) {
  std::map<std::string, std::string> told;
  for (const std::string& name : ArmsThat(Exchanges)) {
    const RunSpec spec = Resolved(name, BaseOf(4));
    Story story = *ExplainArm(spec, LayoutOf(spec));
    story.title.clear();
    const auto [before, is_new] = told.insert({StoryText(story, 100), name});
    EXPECT_TRUE(is_new) << name << " is told as " << before->second << " is";
  }
}

// Worker 1 stands still while worker 0 goes as far ahead as it may, and reads; then worker 1 goes
// as far ahead as it may, and worker 0's gradient meets all its updates.
TEST(SchemeFacts, StalenessMaxIsReachedAndNotPassed) {
  for (const int64_t bound : {0, 1, 3}) {
    ShardPlan plan;
    plan.workers = 2;
    plan.contributions_per_update = 1;
    plan.staleness_bound = bound;
    plan.global_batch = 2;
    plan.part_counts = {1};
    OptimizerSpec sgd;
    sgd.set_name("sgd");
    sgd.set_learning_rate(1);
    UpdateScope scope;
    scope.count = 1;
    ShardCore core(plan, *CreateUpdateRule(sgd, scope), std::vector<float>{0});
    const float gradient = 1;
    int64_t read[2] = {0, 0}, clock[2] = {0, 0};
    // Steps of a worker until it is parked.
    const auto run = [&](int32_t worker) {
      for (std::vector<Reply> ready;; ready.clear()) {
        ASSERT_TRUE(
            core.OnPush({worker, 0, clock[worker], read[worker], {&gradient, 1}}, &ready).ok());
        ++clock[worker];
        for (const Reply& reply : ready) read[reply.worker] = core.versions()[0];
        ready.clear();
        ASSERT_TRUE(core.OnPull({worker, clock[worker], false}, &ready).ok());
        if (ready.empty()) return;
        read[worker] = core.versions()[0];
      }
    };
    run(0);  // parked one step beyond the bound, with the read before that used up
    run(1);  // lets worker 0 go on its way, and stops at its own bound
    run(0);
    run(1);
    const auto histogram = core.staleness_histogram();
    int64_t most = 0;
    for (size_t s = 0; s < histogram.size(); ++s) {
      if (histogram[s] > 0) most = static_cast<int64_t>(s);
    }
    EXPECT_EQ(most, StalenessMax(bound, 2)) << bound;
  }
}

TEST(CodecFacts, FollowFromTheCodecsTraits) {
  for (const CodecInfo& info : CodecsAndReducers()) {
    for (const std::string arm : {"ps", "geo", "ring"}) {
      if (info.traits.in_rounds && arm != "ring") continue;
      const RunSpec spec = Resolved(absl::StrCat(arm, "+", info.name), BaseOf(4));
      const ParamLayout layout = LayoutOf(spec);
      const SchemeTraits traits = TraitsOf(spec);
      const auto facts = CodecFacts(spec.codec(), traits, layout);
      ASSERT_TRUE(facts.ok()) << info.name << facts.status();
      EXPECT_EQ(facts->empty(), info.traits.exact) << info.name;
      if (facts->empty()) continue;
      SCOPED_TRACE(spec.name());
      EXPECT_THAT(TextOf(*facts, "codec"), HasSubstr(info.name));
      for (const CodecOption& option : info.options) {
        if (!option.is_set(spec.codec())) continue;
        EXPECT_THAT(TextOf(*facts, "options"), HasSubstr(absl::StrCat("codec.", option.field)));
      }
      const std::string remembered = TextOf(*facts, "remembered");
      EXPECT_EQ(absl::StrContains(remembered, "error feedback"),
                spec.codec().error_feedback() && info.traits.memory_floats == 0);
      if (info.traits.in_rounds) {
        EXPECT_THAT(remembered,
                    HasSubstr(absl::StrCat(
                        FindReducer(info.name)->memory_bytes(spec.codec(), layout), " bytes")));
        continue;
      }
      if (const int64_t bytes = CodecMemoryBytes(spec.codec(), layout.count()); bytes > 0) {
        EXPECT_THAT(remembered, HasSubstr(absl::StrCat(bytes, " bytes")));
      }
      EXPECT_EQ(absl::StrContains(remembered, "plain sgd"), info.traits.has_momentum);
      const std::string added = TextOf(*facts, "added up");
      EXPECT_EQ(absl::StrContains(added, "majority vote"),
                info.traits.majority_vote && traits.updates == Updates::kTogether);
      EXPECT_EQ(absl::StrContains(added, "added on the wire as they are"),
                traits.servers == 0 && info.traits.summable_as.has_value());
      EXPECT_EQ(!TextOf(*facts, "drawn").empty(), info.traits.is_random);
      EXPECT_EQ(absl::StrContains(TextOf(*facts, "left out"), "unbiased"), info.traits.unbiased);
      EXPECT_EQ(absl::StrContains(TextOf(*facts, "codec"), "depends on the values"),
                !info.traits.fixed_size);
    }
  }
}

TEST(CodecFacts, NameWarmUpSmallTensorsAndDecay) {
  RunSpec base = BaseOf(4);
  base.mutable_training()->set_bucket_layout(TrainingSpec::WHOLE_TENSORS);
  CodecSpec* codec = base.mutable_codec();
  codec->set_warmup_steps(7);
  codec->set_min_tensor_elements(100);
  codec->set_feedback_decay(0.5);
  const RunSpec spec = Resolved("ring+topk", base);
  const ParamLayout layout = LayoutOf(spec);
  const auto facts = CodecFacts(spec.codec(), TraitsOf(spec), layout);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_THAT(TextOf(*facts, "sizes"), HasSubstr("262144 bytes from step 0 on"));
  EXPECT_THAT(TextOf(*facts, "sizes"), HasSubstr("from step 7 on"));
  EXPECT_THAT(TextOf(*facts, "small tensors"), HasSubstr("2 of 5, 94 of "));
  EXPECT_THAT(TextOf(*facts, "remembered"), HasSubstr("times 0.5"));
}

TEST(ExplainArm, TellsTheVoteWhereTheUpdateIsMade) {
  for (const std::string arm : {"ring", "ps"}) {
    const RunSpec spec = Resolved(arm + "+signsgd", BaseOf(4));
    EXPECT_THAT(StoryText(*ExplainArm(spec, LayoutOf(spec)), 1000), HasSubstr("majority vote"));
    const RunSpec plain = Resolved(arm + "+onebit", BaseOf(4));
    EXPECT_THAT(StoryText(*ExplainArm(plain, LayoutOf(plain)), 1000),
                Not(HasSubstr("majority vote")));
  }
}

TEST(ExplainArm, TellsAllSumsOfACodecThatNeedsSeveral) {
  const RunSpec spec = Resolved("ring-powersgd", BaseOf(4));
  const ParamLayout layout = LayoutOf(spec);
  const std::string text = StoryText(*ExplainArm(spec, layout), 1000);
  const Bucket* most = &layout.buckets()[0];
  for (const Bucket& bucket : layout.buckets()) {
    if (bucket.count > most->count) most = &bucket;
  }
  const auto sums = FindReducer("powersgd")->round_elements(spec.codec(), layout, *most, 0);
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_THAT(text, HasSubstr(absl::StrCat("first ", sums[0])));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("Sum 2 of 2: the same rounds once more, of ", sums[1])));
}

// By the formulae of the graphs' matrices: a ring's second eigenvalue; and the exponential graph,
// exact at powers of two.
TEST(ExplainGossip, SaysWhatIsLeftOfADisagreement) {
  EXPECT_NEAR(DisagreementLeft(GossipGraph::kRing, 2), 0, 1e-9);
  EXPECT_NEAR(DisagreementLeft(GossipGraph::kRing, 3), 0, 1e-9);
  EXPECT_NEAR(DisagreementLeft(GossipGraph::kRing, 4), 1.0 / 3, 1e-6);
  EXPECT_NEAR(DisagreementLeft(GossipGraph::kRing, 6), 2.0 / 3, 1e-6);
  EXPECT_NEAR(DisagreementLeft(GossipGraph::kOnePeerExponential, 8), 0, 1e-9);
  const double left = DisagreementLeft(GossipGraph::kOnePeerExponential, 6);
  EXPECT_GT(left, 0.01);
  EXPECT_LT(left, 1);
}

}  // namespace
}  // namespace ringmaster
