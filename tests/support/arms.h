#ifndef RINGMASTER_TESTS_SUPPORT_ARMS_H_
#define RINGMASTER_TESTS_SUPPORT_ARMS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/codec/codec.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Which arms, codecs and transports a test runs over comes from the registries: what is registered
// is under test the same day. A test names two or three of its own where it is about these.

// An arm, and what its registries say of it: resolved for two workers.
struct ArmUnderTest {
  std::string name;
  RunSpec spec;
  SchemeTraits traits;
  CodecTraits codec;
};
// RM_CHECKs that there is such an arm.
ArmUnderTest DescribeArm(const std::string& name);
using WantedArm = absl::FunctionRef<bool(const ArmUnderTest&)>;

// Names of arms, in the order of tables. All of them.
std::vector<std::string> AllArms();
// Those for which `wanted` holds.
std::vector<std::string> ArmsThat(WantedArm wanted);

// What tests ask for. Needs no library of others.
bool RunsEverywhere(const ArmUnderTest& arm);
// Some message goes between workers or to servers, and all are ours.
bool Exchanges(const ArmUnderTest& arm);
// Its updates are made from the exact sum of all gradients: the bits of "single", where N is 2 or
// sums are exact. "single" itself too.
bool HasOneTrajectory(const ArmUnderTest& arm);
// Both.
bool ExchangesOnOneTrajectory(const ArmUnderTest& arm);

// Of each scheme the first of those arms that runs in processes of its own: for what follows from
// who holds the weights, in tests that start programs.
std::vector<std::string> OneArmOfEachScheme(WantedArm wanted);

// Names of codecs. Those for which `wanted` holds.
std::vector<std::string> CodecsThat(absl::FunctionRef<bool(const CodecInfo&)> wanted);
std::vector<std::string> AllCodecs();
// Those that leave something out.
std::vector<std::string> LossyCodecs();

// Makes `spec` that codec with the options' own defaults, but for top-k's density, which is large
// enough for a bucket of ten elements.
void ChooseCodec(const std::string& name, CodecSpec* spec);

// Has workers that exchange weights now and then do so every third step, or in every one where
// nothing else moves the model: for tests of few steps. Does nothing to others.
void ExchangeOften(RunSpec* spec);

// "ps,ring": what `--arms` takes.
std::string Joined(const std::vector<std::string>& names);
// As the name of a parameterized test: letters, digits and underscores.
std::string TestName(const std::string& name);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_ARMS_H_
