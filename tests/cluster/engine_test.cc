// Training with a collective library that is not ours, with the library's own processes and
// sockets.

#include <signal.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/engine/engines.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;

constexpr absl::Duration kStart = Patience(60);

#define SKIP_WITHOUT(engine) \
  if (!CheckEngine(engine).ok()) GTEST_SKIP() << CheckEngine(engine).message()

TEST(Engine, TwoWorkersEndWithTheRingsBitsAndTheirBytesAreNotMetered) {
  SKIP_WITHOUT("mpi");
  SKIP_WITHOUT("gloo");
  for (const char* transport : {"tcp", "shm"}) {
    const std::string out = NewFolder("out");
    const Finished finished = RunProgram(SmallRun(
        "compare", {"--arms", "ring,all-reduce-mpi,all-reduce-gloo", "--steps", "30", "--transport",
                    transport, "--evaluate-every", "100", "--json", "--out", out}));
    ASSERT_EQ(finished.exit_code, 0) << finished.err << finished.out;
    const json runs = json::parse(finished.out)["runs"];
    ASSERT_EQ(runs.size(), 3u);
    EXPECT_GT(runs[0]["bytes_up_per_step"], 0);
    for (const json& run : runs) {
      EXPECT_EQ(run["status"], "ok");
      EXPECT_EQ(run["weights_sha256"], runs[0]["weights_sha256"]) << run["arm"];
      EXPECT_EQ(run["final_loss"], runs[0]["final_loss"]) << run["arm"];
      EXPECT_EQ(run["bytes_up_per_step"].is_null(), run["arm"] != "ring") << run["arm"];
    }
    EXPECT_THAT(runs[1]["transport"].get<std::string>(),
                HasSubstr(std::string(transport) == "tcp" ? "over self,tcp" : "over self,vader"));
    EXPECT_EQ(runs[2]["transport"], "Gloo over tcp");
  }
}

TEST(Engine, FourWorkersWithExactSumsEndWithTheRingsBits) {
  SKIP_WITHOUT("mpi");
  SKIP_WITHOUT("gloo");
  const Finished finished = RunProgram(
      SmallRun("compare",
               {"--arms", "ring,all-reduce-mpi,all-reduce-gloo", "--steps", "10", "--workers", "4",
                "--set", "training.deterministic=true", "--json", "--out", NewFolder("out")}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  const json runs = json::parse(finished.out)["runs"];
  ASSERT_EQ(runs.size(), 3u);
  for (const json& run : runs)
    EXPECT_EQ(run["weights_sha256"], runs[0]["weights_sha256"]) << run["arm"];
}

// Its ranks are started by its own launcher, which is not Open MPI's.
TEST(Engine, MpichEndsWithTheRingsBitsAndSaysWhatCarriedThem) {
  SKIP_WITHOUT("mpich");
  for (const char* transport : {"tcp", "shm"}) {
    const std::string out = NewFolder("out");
    const Finished finished = RunProgram(
        SmallRun("compare", {"--arms", "ring,all-reduce-mpich", "--steps", "30", "--transport",
                             transport, "--evaluate-every", "100", "--out", out}));
    ASSERT_EQ(finished.exit_code, 0) << finished.err << finished.out;
    std::vector<json> runs;
    std::ifstream file(out + "/results.jsonl");
    for (std::string line; std::getline(file, line);) runs.push_back(json::parse(line));
    ASSERT_EQ(runs.size(), 2u);
    EXPECT_EQ(runs[1]["status"], "ok");
    EXPECT_EQ(runs[1]["weights_sha256"], runs[0]["weights_sha256"]);
    EXPECT_THAT(runs[1]["transport"].get<std::string>(), HasSubstr("MPICH 4"));
    EXPECT_EQ(runs[1]["series"][0]["engine_settings"]["UCX_TLS"],
              std::string(transport) == "tcp" ? "self,tcp" : "self,sm");
    EXPECT_EQ(runs[1]["series"][0]["engine_settings"]["address"], "127.0.0.1");
  }
}

TEST(Engine, NcclWithMoreWorkersThanGpusIsAMistakeThatStartsNothing) {
  SKIP_WITHOUT("nccl");
  const std::string spec = NewFolder("nccl") + "/run.textproto";
  std::ofstream(spec) << "name: \"nccl\" strategy { all_reduce { collective: \"nccl\" } }\n";
  const Finished run = RunProgram({"run", spec, "--data", "synthetic", "--workers", "64", "--steps",
                                   "5", "--out", NewFolder("out")});
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr("collective \"nccl\""));
  // No library, driver or device, or too few.
  EXPECT_THAT(run.err, AnyOf(HasSubstr(": cuda "), HasSubstr("NCCL takes one rank a GPU")));
  const Finished bench =
      RunProgram({"bench", "allreduce", "--engine", "nccl", "--workers", "64", "--sizes", "4KiB"});
  EXPECT_EQ(bench.exit_code, 2) << bench.err;
  EXPECT_THAT(bench.err, HasSubstr("\"nccl\""));
}

TEST(Engine, CudaIpcWithoutAGpuIsAMistakeThatStartsNothing) {
  SKIP_WITHOUT("cuda_ipc");
  std::vector<std::string> arguments =
      SmallRun("compare", {"--arms", "all-reduce-cuda-ipc", "--out", NewFolder("out")});
  const Finished on_the_cpu = RunProgram(arguments);
  EXPECT_EQ(on_the_cpu.exit_code, 2) << on_the_cpu.err;
  EXPECT_THAT(on_the_cpu.err, HasSubstr("cuda_ipc"));
  EXPECT_THAT(on_the_cpu.err, HasSubstr("use kernels \"cublas\""));
  const Finished bench = RunProgram(
      {"bench", "allreduce", "--engine", "cuda_ipc", "--sizes", "4KiB", "--iterations", "1"});
  if (bench.exit_code == 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(bench.exit_code, 2) << bench.err;
  EXPECT_THAT(bench.err, HasSubstr("engine \"cuda_ipc\": cuda "));
}

std::vector<std::string> EndlessRun(const std::string& arm) {
  return SmallRun("compare", {"--arms", arm, "--steps", "100000000", "--transport", "tcp",
                              "--evaluate-every", "0", "--out", NewFolder("out"), "--set",
                              "limits.wait_seconds=6", "--set", "limits.heartbeat_seconds=0.1"});
}

// The processes of the workers: those that the program started, or that mpirun did.
std::vector<pid_t> WorkersOf(const Program& program, const std::string& arm) {
  std::vector<pid_t> children = ChildrenOf(program.pid());
  return arm == "all-reduce-mpi" && !children.empty() ? ChildrenOf(children[0]) : children;
}

bool AllGoneBefore(const std::vector<pid_t>& processes, MonotonicTime deadline) {
  for (const pid_t process : processes) {
    while (kill(process, 0) == 0) {
      if (MonotonicNow() > deadline) return false;
    }
  }
  return true;
}

class EngineFailures : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, EngineFailures, testing::Values("all-reduce-mpi", "all-reduce-gloo"));

TEST_P(EngineFailures, AKilledWorkerEndsTheRunWithAStatusAndLeavesNobodyBehind) {
  const std::string arm = GetParam();
  SKIP_WITHOUT(arm.substr(11));
  Program program(EndlessRun(arm));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> workers = WorkersOf(program, arm);
  ASSERT_EQ(workers.size(), 2u);
  kill(workers[1], SIGKILL);
  const Finished finished = program.Wait(Patience(15));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("ended before its work was done"));
  EXPECT_TRUE(AllGoneBefore(workers, MonotonicNow() + Patience(5)));
}

TEST_P(EngineFailures, AHangingWorkerEndsTheRunWithAStatusAndLeavesNobodyBehind) {
  const std::string arm = GetParam();
  SKIP_WITHOUT(arm.substr(11));
  Program program(EndlessRun(arm));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> workers = WorkersOf(program, arm);
  ASSERT_EQ(workers.size(), 2u);
  kill(workers[1], SIGSTOP);
  const Finished finished = program.Wait(Patience(15));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("no heartbeat"));
  EXPECT_TRUE(AllGoneBefore(workers, MonotonicNow() + Patience(5)));
}

TEST_P(EngineFailures, AnInterruptEndsTheRunAndLeavesNobodyBehind) {
  const std::string arm = GetParam();
  SKIP_WITHOUT(arm.substr(11));
  Program program(EndlessRun(arm));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> workers = WorkersOf(program, arm);
  program.Signal(SIGINT);
  EXPECT_EQ(program.Wait(Patience(15)).exit_code, 130);
  EXPECT_TRUE(AllGoneBefore(workers, MonotonicNow() + Patience(5)));
}

TEST(Engine, WorkersDieWithTheProgramThatLeadsThem) {
  SKIP_WITHOUT("mpi");
  Program program(EndlessRun("all-reduce-mpi"));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  std::vector<pid_t> processes = WorkersOf(program, "all-reduce-mpi");
  ASSERT_EQ(processes.size(), 2u);
  processes.push_back(ChildrenOf(program.pid())[0]);  // mpirun
  program.Signal(SIGKILL);
  EXPECT_TRUE(AllGoneBefore(processes, MonotonicNow() + Patience(10)));
}

TEST(Engine, WithoutMpirunItSaysWhatToInstall) {
  SKIP_WITHOUT("mpi");
  const Finished run =
      RunProgram(SmallRun("compare", {"--arms", "all-reduce-mpi", "--out", NewFolder("out")}),
                 {"PATH=/nonexistent"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.out, HasSubstr("not on the PATH (/nonexistent); install openmpi-bin"));
  const Finished bench =
      RunProgram({"bench", "allreduce", "--against", "mpi"}, {"PATH=/nonexistent"});
  EXPECT_EQ(bench.exit_code, 2);
  EXPECT_THAT(bench.err, HasSubstr("install openmpi-bin"));
}

TEST(Engine, OneThatIsNotInTheBuildSaysWhatToInstall) {
  // A copy of the program without the engines around it is a build without them.
  const std::string copy = NewFolder("alone") + "/ringmaster";
  std::filesystem::copy_file("experiments/ringmaster", copy);
  for (const std::string command :
       {" bench allreduce --against gloo", " compare --arms all-reduce-gloo --data synthetic"}) {
    FILE* pipe = popen((copy + command + " 2>&1").c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    std::string said(4096, '\0');
    said.resize(fread(said.data(), 1, said.size(), pipe));
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 2) << said;
    EXPECT_THAT(
        said,
        HasSubstr(
            "engine \"gloo\" is not in this build: libgloo-dev was not found when it was built; "
            "install it and build again"));
  }
}

}  // namespace
}  // namespace ringmaster
