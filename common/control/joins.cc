#include "common/control/joins.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"

namespace ringmaster {
namespace {

constexpr char kNotTheToken[] =
    "it belongs to another job, or differs in spec or flags, which stand in for a token that is "
    "not set; give every rank the same RINGMASTER_TOKEN, or the same spec and flags";

// All that a join says, but for the proof. Of one build's messages, which have no maps, it is the
// same at both ends.
std::string SaidBy(const Join& join) {
  Join said = join;
  said.clear_proof();
  std::string text;
  google::protobuf::io::StringOutputStream stream(&text);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  said.SerializeToCodedStream(&coded);
  coded.Trim();
  return text;
}

// What all processes of a host have in common, and no other process has.
std::string NameOfHost(const Join& join) {
  if (!join.boot_id().empty() && join.network_namespace() != 0)
    return absl::StrCat("boot ", join.boot_id(), " ", join.network_namespace());
  const auto endpoint = HostPort::Parse(join.data_endpoint());
  return absl::StrCat("address ", endpoint.ok() ? endpoint->host : join.data_endpoint());
}

}  // namespace

void SayWhoJoins(Join* join) {
  const HostIdentity host = ReadHostIdentity();
  join->set_pid(getpid());
  join->set_pid_namespace(host.pid_namespace);
  join->set_boot_id(host.boot_id);
  join->set_network_namespace(host.network_namespace);
}

HostIdentity HostOf(const Join& join) {
  return {join.boot_id(), join.network_namespace(), join.pid_namespace()};
}

std::vector<int32_t> NumberHosts(const std::vector<Join>& joins) {
  std::map<std::string, int32_t> numbers;
  std::vector<int32_t> hosts;
  for (const Join& join : joins) {
    const auto next = static_cast<int32_t>(numbers.size());
    hosts.push_back(numbers.emplace(NameOfHost(join), next).first->second);
  }
  return hosts;
}

std::string NodesOf(const Join& join) {
  return absl::StrJoin(join.nodes(), "+", [](std::string* out, const NodeName& node) {
    absl::StrAppend(out, node.server() ? "server/" : "worker/", node.index());
  });
}

TokenExaminer::TokenExaminer(std::string token, const Nonce& nonce) : token_(std::move(token)) {
  exchange_.version = kControlVersion;
  exchange_.answerer = nonce;
}

absl::StatusOr<Challenge> TokenExaminer::OnFirst(const FromProcess& message) {
  // Builds that knew no hello began with the join.
  if (message.has_join() || (message.has_hello() && message.hello().version() != kControlVersion)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the rank speaks version ", message.has_join() ? 1 : message.hello().version(),
                     " of the control protocol, the coordinator ", kControlVersion,
                     "; use one build for all ranks"));
  }
  if (!message.has_hello() || !ReadNonce(message.hello().nonce(), &exchange_.opener))
    return absl::InvalidArgumentError("say hello first");
  Challenge challenge;
  challenge.set_nonce(BytesOf(exchange_.answerer));
  challenge.set_proof(BytesOf(Prove(token_, Prover::kCoordinator, exchange_, "")));
  return challenge;
}

absl::Status TokenExaminer::OnJoin(const Join& join) const {
  if (IsProof(join.proof(), token_, Prover::kProcess, exchange_, SaidBy(join)))
    return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("the rank's token is not the coordinator's: ", kNotTheToken));
}

TokenCandidate::TokenCandidate(std::string token, const Nonce& nonce) : token_(std::move(token)) {
  exchange_.version = kControlVersion;
  exchange_.opener = nonce;
}

Hello TokenCandidate::hello() const {
  Hello hello;
  hello.set_version(kControlVersion);
  hello.set_nonce(BytesOf(exchange_.opener));
  return hello;
}

absl::Status TokenCandidate::OnChallenge(const Challenge& challenge, Join* join) {
  if (!ReadNonce(challenge.nonce(), &exchange_.answerer) ||
      !IsProof(challenge.proof(), token_, Prover::kCoordinator, exchange_, "")) {
    return absl::PermissionDeniedError(
        absl::StrCat("the coordinator's token is not this rank's: ", kNotTheToken));
  }
  join->set_proof(BytesOf(Prove(token_, Prover::kProcess, exchange_, SaidBy(*join))));
  return absl::OkStatus();
}

}  // namespace ringmaster
