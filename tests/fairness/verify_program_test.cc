// The command as its user starts it.

#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

TEST(VerifyCommand, AnInterruptEndsItWithItsProcesses) {
  Program program({"verify", "--data-dir", "/nonexistent"});
  ASSERT_TRUE(program.WaitForError("run 1: ", Patience(60))) << program.ErrorSoFar();
  program.Signal(SIGINT);
  const Finished finished = program.Wait(Patience(30));
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
  EXPECT_TRUE(ChildrenOf(program.pid()).empty());
}

TEST(VerifyCommand, AnUnknownKernelLibraryIsTheUsersMistake) {
  const Finished finished = RunProgram({"verify", "--kernels", "abacus"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr("abacus"));
}

}  // namespace
}  // namespace ringmaster
