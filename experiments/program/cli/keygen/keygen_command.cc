#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/log/log.h"
#include "common/security/certificates.h"
#include "experiments/program/cli/commands.h"

namespace ringmaster {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  ringmaster keygen job-tls                                  for processes of this machine\n"
    "  ringmaster keygen job-tls --host 10.0.0.1 --host 10.0.0.2 --days 7\n"
    "  ringmaster keygen job-tls --host gpu-0.example --host 10.0.0.1 --force\n"
    "\n"
    "The certificate is good for localhost, 127.0.0.1, ::1 and each HOST. Name every address at "
    "which processes\n"
    "listen (transport.listen_address) and the host of --coordinator. Copy the folder to all "
    "machines, over a channel\n"
    "that you trust, and give every process --tls DIR. Whoever has key.pem belongs to the job: "
    "keep it yours (0600),\n"
    "and make a new folder for another job. The key of the authority is not kept.";

struct Flags {
  std::string folder;
  std::vector<std::string> hosts;
  int32_t days = 30;
  bool force = false;
};

int Keygen(const Flags& flags) {
  CertificateOptions options;
  options.hosts = flags.hosts;
  options.validity = flags.days * absl::Hours(24);
  const auto certificates = MakeCertificates(options);
  absl::Status status = certificates.status();
  if (status.ok()) status = WriteCertificates(*certificates, flags.folder, flags.force);
  if (!status.ok()) {
    Log(LogLevel::kError, status.message());
    return kExitUserError;
  }
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  hosts.insert(hosts.end(), flags.hosts.begin(), flags.hosts.end());
  std::printf("%s: certificates for %s, for %d days\n", flags.folder.c_str(),
              absl::StrJoin(hosts, ", ").c_str(), flags.days);
  return kExitOk;
}

// For --plan.
int ShowPlan(const Flags& flags) {
  std::printf("would make %s, with %s, %s and %s\n", flags.folder.c_str(), kAuthorityFile,
              kCertificateFile, kKeyFile);
  return kExitOk;
}

}  // namespace

void DeclareKeygen(Command program, Action* action) {
  Command command =
      program.AddCommand("keygen", "certificates by which the processes of a job know each other");
  command.SetFooter(kFooter);
  auto flags = std::make_shared<Flags>();
  command.AddOption("DIR", &flags->folder, "the folder to make").Required();
  command
      .AddOption("--host", &flags->hosts,
                 "a name or address at which a process is dialled; may be given several times")
      .Takes("NAME-or-IP");
  command.AddOption("--days", &flags->days, "how long they are good")
      .Between(1, 3650)
      .ShowDefault();
  command.AddFlag("--force", &flags->force, "replace the certificates that are there");
  command.OnChosen([action, flags] {
    *action = Action([flags] { return Keygen(*flags); }, [flags] { return ShowPlan(*flags); });
  });
}

}  // namespace ringmaster
