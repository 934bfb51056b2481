// What is said about data that is not there: ./run is named where it would fetch it, and nowhere
// else.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "experiments/program/run/resolve_spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kFetch[] = "./run";

class FetchAdvice : public testing::Test {
 protected:
  void SetUp() override {
    before_ = std::filesystem::current_path();
    std::filesystem::create_directories(checkout_ + "/third_party/setup");
    std::ofstream(checkout_ + "/third_party/setup/setup.sh") << "\n";
    std::ofstream(checkout_ + "/run") << "#!/bin/sh\n";
    chmod((checkout_ + "/run").c_str(), 0755);
    std::filesystem::create_directories(default_ + "/mnist");
  }
  void TearDown() override { std::filesystem::current_path(before_); }

  // What a user who stands in `folder` is told; `dir`: of --data-dir, or empty.
  std::string ErrorIn(const std::string& folder, const std::string& name,
                      const std::string& dir = "") {
    std::filesystem::current_path(folder);
    RunSpec spec;
    spec.mutable_strategy()->mutable_single();
    spec.mutable_data()->set_name(name);
    spec.mutable_data()->set_dir(dir);
    if (name == "text") spec.mutable_model()->set_name("transformer");
    return std::string(ResolveAndValidate(spec, default_).status().message());
  }

  const std::string checkout_ = NewFolder("checkout");
  const std::string elsewhere_ = NewFolder("elsewhere");
  const std::string default_ = NewFolder("cache");  // of all data sets
  std::filesystem::path before_;
};

TEST_F(FetchAdvice, OfMissingDataIsGivenInACheckoutAlone) {
  EXPECT_THAT(ErrorIn(checkout_, "mnist"), HasSubstr(", or run ./run once to fetch it"));
  EXPECT_THAT(ErrorIn(checkout_, "text"),
              HasSubstr(", or run ./run compare --data text once to fetch it"));
  for (const char* name : {"mnist", "text"}) {
    const std::string error = ErrorIn(elsewhere_, name);
    EXPECT_THAT(error, HasSubstr("cannot be opened (No such file or directory)"));
    EXPECT_THAT(error, Not(HasSubstr(kFetch)));
    EXPECT_THAT(error, Not(HasSubstr("third_party")));
  }
}

TEST_F(FetchAdvice, IsNotGivenForAFolderThatTheUserNamed) {
  const std::string error = ErrorIn(checkout_, "mnist", elsewhere_);
  EXPECT_THAT(error, HasSubstr(elsewhere_ + "/train-images-idx3-ubyte: cannot be opened"));
  EXPECT_THAT(error, HasSubstr("point --data-dir at a folder that has it"));
  EXPECT_THAT(error, Not(HasSubstr(kFetch)));
}

TEST_F(FetchAdvice, IsNotGivenForADamagedFile) {
  std::ofstream(default_ + "/mnist/train-images-idx3-ubyte")
      << "this is no image, whatever its name says";
  const std::string error = ErrorIn(checkout_, "mnist");
  EXPECT_THAT(error, HasSubstr("found magic number"));
  EXPECT_THAT(error, HasSubstr("put a sound copy in its place"));
  EXPECT_THAT(error, Not(HasSubstr(kFetch)));
}

TEST_F(FetchAdvice, OfOtherDataIsNone) {
  EXPECT_THAT(ErrorIn(checkout_, "cifar10"), Not(HasSubstr(kFetch)));
}

}  // namespace
}  // namespace ringmaster
