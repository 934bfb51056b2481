#include "experiments/program/run/faults/injected_faults.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/fd.h"
#include "experiments/program/run/faults/cut_connections.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

constexpr NodeId kWorker0 = {Role::kWorker, 0};
constexpr NodeId kWorker1 = {Role::kWorker, 1};
constexpr NodeId kServer0 = {Role::kServer, 0};

std::unique_ptr<FaultGiver> Give(const std::vector<std::string>& texts) {
  auto faults = ReadFaults(texts);
  EXPECT_TRUE(faults.ok()) << faults.status();
  auto giver = FaultGiver::Create(*faults);
  EXPECT_TRUE(giver.ok()) << giver.status();
  return *std::move(giver);
}

std::unique_ptr<FaultTaker> Take(const FaultGiver& giver, std::vector<NodeId> nodes) {
  auto taker = FaultTaker::Open(giver.path(), std::move(nodes), {"127.0.0.1", 1});
  EXPECT_TRUE(taker.ok()) << taker.status();
  return *std::move(taker);
}

TEST(InjectedFaults, AWorkerIsKilledAtItsVeryStepAndTheLauncherKnowsWhen) {
  const auto giver = Give({"worker:1@step=5 kill"});
  EXPECT_FALSE(giver->OutcomeOf(0).seconds.has_value());
  const auto other = Take(*giver, {kWorker0});
  const auto taker = Take(*giver, {kWorker1});
  taker->Joined();
  EXPECT_EQ(other->OnStep(0, 5), 1);
  EXPECT_EQ(taker->OnStep(1, 4), 1);
  EXPECT_FALSE(giver->OutcomeOf(0).seconds.has_value());
  EXPECT_EXIT(taker->OnStep(1, 5), testing::KilledBySignal(SIGKILL), "");
  EXPECT_GE(giver->OutcomeOf(0).seconds, 0);
  // Whoever makes the step once more lives.
  EXPECT_EQ(taker->OnStep(1, 5), 1);
}

// In a process of its own whose step thread is not its main thread, as workers are.
TEST(InjectedFaults, AStoppedWorkerMakesNothingOfItsStepUntilItGoesOn) {
  for (int round = 0; round < 20; ++round) {
    const auto giver = Give({"worker:1@step=5 stop 1ms"});
    void* const page =
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    auto* const steps_begun = new (page) std::atomic<int>(0);
    const pid_t worker = fork();
    ASSERT_GE(worker, 0);
    if (worker == 0) {
      const auto taker = Take(*giver, {kWorker1});
      std::thread([&] {
        taker->OnStep(1, 5);
        steps_begun->fetch_add(1);
      }).join();
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(worker, &status, WUNTRACED), worker);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(steps_begun->load(), 0);
    EXPECT_TRUE(WaitUntil(Patience(10), [&] {
      giver->LetGoOn();
      return waitpid(worker, &status, WNOHANG) == worker;
    }));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(steps_begun->load(), 1);
    munmap(page, 4096);
  }
}

TEST(InjectedFaults, ASlowedWorkerStaysSlow) {
  const auto giver = Give({"worker:1@step=5 slow 2", "worker:1@step=7 slow 3"});
  const auto taker = Take(*giver, {kWorker0, kWorker1});
  EXPECT_EQ(taker->OnStep(1, 4), 1);
  EXPECT_EQ(taker->OnStep(1, 6), 2);  // lots pass over steps
  EXPECT_EQ(taker->OnStep(1, 7), 6);
  EXPECT_EQ(taker->OnStep(1, 8), 6);
  EXPECT_EQ(taker->OnStep(0, 8), 1);
  EXPECT_EQ(taker->SlownessOf(1), 6);
  EXPECT_EQ(taker->SlownessOf(0), 1);
}

TEST(InjectedFaults, AServerHearsOfAStepFromTheFirstWorkerThatBeginsIt) {
  const auto giver = Give({"server:0@step=5 cut"});
  const auto worker = Take(*giver, {kWorker0});
  const auto server = Take(*giver, {kServer0});
  worker->Joined();
  worker->OnStep(0, 4);
  EXPECT_FALSE(giver->OutcomeOf(0).seconds.has_value());
  worker->OnStep(0, 5);
  EXPECT_TRUE(WaitUntil(Patience(10), [&] { return giver->OutcomeOf(0).failure != ""; }));
  EXPECT_EQ(giver->OutcomeOf(0).failure, "it had no connection to cut");
}

TEST(InjectedFaults, SecondsCountFromWhenAllHaveJoined) {
  const auto giver = Give({"worker:0@seconds=0.05 cut"});
  const auto taker = Take(*giver, {kWorker0});
  taker->OnStep(0, 100);
  EXPECT_FALSE(giver->OutcomeOf(0).seconds.has_value());
  taker->Joined();
  EXPECT_TRUE(WaitUntil(Patience(10), [&] { return giver->OutcomeOf(0).seconds.has_value(); }));
  EXPECT_GE(giver->OutcomeOf(0).seconds, 0.05);
}

TEST(InjectedFaults, WhatComesBehindTheRunIsNoneOfTheRun) {
  const auto giver = Give({"worker:1@step=5 slow 2", "worker:1@step=7 slow 3"});
  const auto taker = Take(*giver, {kWorker1});
  taker->Joined();
  taker->OnStep(1, 5);
  giver->RunIsOver();
  taker->OnStep(1, 7);
  EXPECT_GE(giver->OutcomeOf(0).until_the_end, 0);
  EXPECT_TRUE(giver->OutcomeOf(0).seconds.has_value());
  EXPECT_FALSE(giver->OutcomeOf(1).seconds.has_value());
}

TEST(InjectedFaults, AStrangeFileIsRefused) {
  const HostPort nowhere = {"127.0.0.1", 1};
  EXPECT_FALSE(FaultTaker::Open("/nowhere", {kWorker0}, nowhere).ok());
  EXPECT_THAT(FaultTaker::Open("/proc/self/exe", {kWorker0}, nowhere).status().ToString(),
              testing::AnyOf(testing::HasSubstr("none of their files"),
                             testing::HasSubstr("cannot open"), testing::HasSubstr("busy")));
}

// Both ends of a connection over loopback; `port`: what the first one is connected to.
std::pair<Fd, Fd> Connect(int* port) {
  Fd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener.get(), generic, size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), generic, &size), 0);
  *port = ntohs(address.sin_port);
  Fd client(socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(connect(client.get(), generic, size), 0);
  return {std::move(client), Fd(accept(listener.get(), nullptr, nullptr))};
}

// Whether the connection has met its end.
bool IsCut(const Fd& fd) {
  char byte;
  return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
}

TEST(CutConnections, EndsAllButThoseToThePortThatIsKept) {
  int cut_port = 0;
  int kept_port = 0;
  const auto cut = Connect(&cut_port);
  auto kept = Connect(&kept_port);
  kept.second = Fd();  // lives in another process
  ASSERT_TRUE(CutConnections(kept_port).ok());
  EXPECT_TRUE(IsCut(cut.first));
  EXPECT_TRUE(IsCut(cut.second));
  EXPECT_TRUE(WaitUntil(Patience(10), [&] { return IsCut(kept.first); }));  // by its other end
  EXPECT_GE(send(kept.first.get(), "", 1, MSG_NOSIGNAL), 0);                // not by this one
}

}  // namespace
}  // namespace ringmaster
