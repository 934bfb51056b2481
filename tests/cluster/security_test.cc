// Certificates made by `keygen`, runs by TLS, and strangers at the port of a run that trains.

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/transport/socket.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kLimit = Patience(60);

std::string Keygen(const std::string& name) {
  const std::string folder = NewFolder(name);
  const Finished made = RunProgram({"keygen", folder, "--host", "10.0.0.1"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("127.0.0.1"));
  return folder;
}

std::vector<std::string> Rank(int rank, const std::string& coordinator,
                              const std::vector<std::string>& more) {
  std::vector<std::string> arguments =
      SmallRun("node", {"--arm", "ring", "--steps", "200", "--rank", absl::StrCat(rank),
                        "--world-size", "2", "--coordinator", coordinator, "--out",
                        NewFolder("out"), "--set", "limits.join_seconds=300"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Where rank 0 leads a run, at a port that the system has chosen.
std::string EndpointOf(Program* zero) {
  constexpr char kLeads[] = "leads the run at ";
  const auto place = [&] {
    const std::string said = zero->ErrorSoFar();
    const size_t begin = said.find(kLeads);
    const size_t end = begin == std::string::npos ? begin : said.find('\n', begin);
    return end == std::string::npos
               ? std::string()
               : said.substr(begin + sizeof(kLeads) - 1, end - begin - sizeof(kLeads) + 1);
  };
  EXPECT_TRUE(WaitUntil(kLimit, [&] { return !place().empty(); })) << zero->ErrorSoFar();
  return place();
}

TEST(SecuredRun, EveryTransportTrainsByTls) {
  const std::string folder = Keygen("tls");
  std::vector<std::string> transports = ProcessTransports();
  transports.push_back("auto");
  for (const std::string& transport : transports) {
    const Finished ran =
        RunProgram(SmallRun("compare", {"--arms", "ring", "--steps", "5", "--transport", transport,
                                        "--tls", folder, "--out", NewFolder("out")}));
    EXPECT_EQ(ran.exit_code, 0) << transport << ": " << ran.err << ran.out;
  }
}

TEST(SecuredRun, AFolderThatIsMissingAndAFlagThatIsMissingAreNamed) {
  const Finished nowhere =
      RunProgram(SmallRun("compare", {"--arms", "ring", "--steps", "5", "--set",
                                      "transport.security=tls", "--out", NewFolder("out")}));
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.out + nowhere.err, HasSubstr("--tls DIR"));
  const Finished open = RunProgram(Rank(0, "0.0.0.0:0", {}), {"RINGMASTER_TOKEN=secret"});
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_THAT(open.err, HasSubstr("--insecure"));
}

TEST(SecuredRun, APlanLooksAtTheCertificates) {
  const std::string nowhere = NewFolder("nowhere") + "/none";
  for (const std::vector<std::string>& command :
       {SmallRun("compare", {"--arms", "ring", "--steps", "5", "--plan", "--tls", nowhere}),
        std::vector<std::string>{"sweep", "dp_vs_ddp", "--dry-run", "--tls", nowhere}}) {
    const Finished planned = RunProgram(command);
    EXPECT_EQ(planned.exit_code, 2) << command.front() << ": " << planned.out;
    EXPECT_THAT(planned.err, HasSubstr("ringmaster keygen " + nowhere)) << command.front();
  }
}

TEST(SecuredRun, ARankWithoutCertificatesIsToldSoAtOnce) {
  Program zero(Rank(0, "127.0.0.1:0", {"--tls", Keygen("tls")}));
  const std::string endpoint = EndpointOf(&zero);
  const Finished one = RunProgram(Rank(1, endpoint, {}));
  EXPECT_EQ(one.exit_code, 2) << one.err;
  EXPECT_THAT(one.err, HasSubstr("give every rank --tls DIR"));
  zero.Signal(15);
  zero.Wait(kLimit);
}

TEST(SecuredRun, InsecureIsSaidOnceAndStandsInTheRecord) {
  const std::string out = NewFolder("out");
  const Finished ran = RunProgram(
      SmallRun("compare", {"--arms", "ring,ps", "--steps", "5", "--insecure", "--out", out}));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const size_t first = ran.err.find("speak in clear");
  EXPECT_NE(first, std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("speak in clear", first + 1), std::string::npos) << ran.err;
  std::ostringstream record;
  record << std::ifstream(out + "/results.jsonl").rdbuf();
  EXPECT_THAT(record.str(), HasSubstr("\"insecure\""));
}

TEST(SecuredRun, SilentConnectionsAtItsPortDoNotStopARun) {
  const std::string folder = Keygen("tls");
  for (const bool tls : {false, true}) {
    std::vector<std::string> more;
    if (tls) more = {"--tls", folder};
    Program zero(Rank(0, "127.0.0.1:0", more));
    const std::string endpoint = EndpointOf(&zero);
    std::vector<Fd> silent;
    for (int i = 0; i < 200; ++i) silent.push_back(*StartConnecting(endpoint));
    Program one(Rank(1, endpoint, more));
    const Finished first = zero.Wait(kLimit);
    EXPECT_EQ(first.exit_code, 0) << first.err;
    const Finished second = one.Wait(kLimit);
    EXPECT_EQ(second.exit_code, 0) << second.err;
  }
}

TEST(SecuredRun, ARankWithAnotherJobsCertificateIsToldWhyAtOnce) {
  Program zero(Rank(0, "127.0.0.1:0", {"--tls", Keygen("tls")}));
  const std::string endpoint = EndpointOf(&zero);
  const Finished one = RunProgram(Rank(1, endpoint, {"--tls", Keygen("other")}));
  EXPECT_EQ(one.exit_code, 2) << one.err;
  EXPECT_THAT(one.err, HasSubstr("another authority has signed it"));
  zero.Signal(15);
  zero.Wait(kLimit);
}

}  // namespace
}  // namespace ringmaster
