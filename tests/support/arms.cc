#include "tests/support/arms.h"

#include <optional>
#include <set>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/check.h"
#include "common/base/known_words.h"
#include "common/config/arms.h"
#include "common/config/resolve.h"

namespace ringmaster {

ArmUnderTest DescribeArm(const std::string& name) {
  RunSpec base;
  base.mutable_training()->set_workers(2);
  base.mutable_training()->set_steps(1);
  ArmUnderTest arm;
  arm.name = name;
  arm.spec = *Resolve(*MakeArm(name, base), {});
  arm.traits = TraitsOf(arm.spec);
  const std::optional<CodecTraits> codec = CodecTraitsOf(arm.spec.codec());
  RM_CHECK(codec.has_value());
  arm.codec = *codec;
  return arm;
}

std::vector<std::string> AllArms() { return RegistryNames(Arms()); }

std::vector<std::string> ArmsThat(WantedArm wanted) {
  std::vector<std::string> names;
  for (const std::string& name : AllArms()) {
    if (wanted(DescribeArm(name))) names.push_back(name);
  }
  return names;
}

bool RunsEverywhere(const ArmUnderTest& arm) { return arm.traits.engine.empty(); }

bool Exchanges(const ArmUnderTest& arm) { return arm.traits.exchanges && RunsEverywhere(arm); }

bool HasOneTrajectory(const ArmUnderTest& arm) {
  return RunsEverywhere(arm) && arm.traits.updates == Updates::kTogether && arm.traits.delay == 0 &&
         arm.traits.replicas == Replicas::kEqualAfterStep && arm.codec.exact;
}

bool ExchangesOnOneTrajectory(const ArmUnderTest& arm) {
  return Exchanges(arm) && HasOneTrajectory(arm);
}

std::vector<std::string> OneArmOfEachScheme(WantedArm wanted) {
  std::set<StrategySpec::KindCase> seen;
  return ArmsThat([&](const ArmUnderTest& arm) {
    return arm.spec.strategy().launch() == PROCESSES && wanted(arm) &&
           seen.insert(arm.spec.strategy().kind_case()).second;
  });
}

std::vector<std::string> CodecsThat(absl::FunctionRef<bool(const CodecInfo&)> wanted) {
  std::vector<std::string> names;
  for (const CodecInfo& info : Codecs()) {
    if (wanted(info)) names.push_back(info.name);
  }
  return names;
}

std::vector<std::string> AllCodecs() { return RegistryNames(Codecs()); }

std::vector<std::string> LossyCodecs() {
  return CodecsThat([](const CodecInfo& info) { return !info.traits.exact; });
}

void ChooseCodec(const std::string& name, CodecSpec* spec) {
  const CodecInfo* const info = FindCodec(name);
  RM_CHECK(info != nullptr);
  spec->Clear();
  spec->set_name(name);
  SetCodecDefaults(spec);
  if (FindOption(*info, "density") != nullptr) spec->set_density(0.1);
}

void ExchangeOften(RunSpec* spec) {
  StrategySpec* strategy = spec->mutable_strategy();
  if (strategy->has_local_sgd()) strategy->mutable_local_sgd()->set_local_steps(3);
  if (strategy->has_elastic()) strategy->mutable_elastic()->set_period(1);
}

std::string Joined(const std::vector<std::string>& names) { return absl::StrJoin(names, ","); }

std::string TestName(const std::string& name) { return absl::StrReplaceAll(name, {{"-", "_"}}); }

}  // namespace ringmaster
