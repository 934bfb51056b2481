#include "common/config/arms.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"

namespace ringmaster {
namespace {

using Consistency = ParameterServerSpec::Consistency;

constexpr ArmInfo kArms[] = {
    {"single", "one worker computes the global batch alone, as N micro-batches: the base of speed-up", true},
    {"solo", "N workers that exchange nothing: the ceiling of efficiency, and nothing else", true},
    {"dp",
     "one process, N worker threads, the server beside worker 0, copies in memory: data parallelism in a process",
     true},
    {"ps", "a central parameter server of its own, one update a step from the sum of all workers (BSP)", true},
    {"ps-sharded",
     "a server beside every worker, each with a part of the weights (BSP): the ring's bytes in another pattern",
     true},
    {"ssp", "the central server with an update per arrival, no worker more than a bound of clocks ahead (SSP)", true},
    {"ring", "ring all-reduce of the gradients, every worker applies the update", true},
    {"async", "the central server with an update per arrival and no bound", true},
    {"async-topk", "async, sending the largest 1 % of every bucket with error feedback", true},
    {"direct", "all-reduce in two rounds in which everybody sends to everybody", false},
    {"reduce-broadcast", "gradients to rank 0, summed there and sent out: a central server built from collectives",
     false},
    {"halving-doubling", "all-reduce by recursive halving and doubling: about the ring's bytes in fewer rounds", false},
    {"binomial-tree", "all-reduce up a tree to rank 0 and down again", false},
    {"recursive-doubling", "all-reduce by whole buckets between pairs: the fewest rounds, for more bytes", false},
    {"all-reduce-auto", "all-reduce, for every bucket by the collective that its size and N choose", false},
    {"all-reduce-mpi", "all-reduce by Open MPI, whose ranks mpirun starts; its bytes are not metered", false},
    {"all-reduce-gloo", "all-reduce by Gloo, over sockets of its own; its bytes are not metered", false},
    {"all-reduce-cuda-ipc", "all-reduce in the memory of the GPU that workers share; its bytes are not metered", false},
    {"ring-fp16", "the ring in half precision, summed on the wire", false},
    {"ring-topk", "the largest 1 % of every bucket with error feedback, gathered around the ring", false},
    {"ps-fp16", "ps with gradients in half precision", false},
    {"ps-onebit", "ps with one bit a gradient element and error feedback", false},
};

// The central server, with as many dedicated shards as the base says.
void SetServer(const RunSpec& base, Consistency consistency, StrategySpec* strategy) {
  const ParameterServerSpec& from = base.strategy().parameter_server();
  ParameterServerSpec* server = strategy->mutable_parameter_server();
  server->set_consistency(consistency);
  server->set_placement(ParameterServerSpec::DEDICATED);
  if (from.has_servers()) server->set_servers(from.servers());
  if (consistency == ParameterServerSpec::SSP && from.has_staleness_bound()) {
    server->set_staleness_bound(from.staleness_bound());
  }
}

void SetColocated(int32_t servers_or_zero, StrategySpec* strategy) {
  ParameterServerSpec* server = strategy->mutable_parameter_server();
  server->set_consistency(ParameterServerSpec::BSP);
  server->set_placement(ParameterServerSpec::COLOCATED);
  if (servers_or_zero > 0) server->set_servers(servers_or_zero);  // else Resolve makes it the number of workers
}

void SetTopK(const RunSpec& base, CodecSpec* codec) {
  codec->set_name("topk");
  if (base.codec().has_density()) codec->set_density(base.codec().density());
}

// Writes the arm's strategy and codec; false for an unknown name.
bool Fill(absl::string_view arm, const RunSpec& base, RunSpec* spec) {
  StrategySpec* strategy = spec->mutable_strategy();
  CodecSpec* codec = spec->mutable_codec();
  codec->set_name("none");
  strategy->set_launch(PROCESSES);
  if (arm == "single") {
    strategy->mutable_single();
  } else if (arm == "solo") {
    strategy->mutable_solo();
  } else if (arm == "dp") {
    SetColocated(1, strategy);
    strategy->set_launch(THREADS);
    spec->mutable_transport()->set_name("inproc");
  } else if (arm == "ps" || arm == "ps-fp16" || arm == "ps-onebit") {
    SetServer(base, ParameterServerSpec::BSP, strategy);
    if (arm != "ps") codec->set_name(std::string(arm.substr(3)));
  } else if (arm == "ps-sharded") {
    SetColocated(0, strategy);
  } else if (arm == "ssp") {
    SetServer(base, ParameterServerSpec::SSP, strategy);
  } else if (arm == "async" || arm == "async-topk") {
    SetServer(base, ParameterServerSpec::ASYNCHRONOUS, strategy);
    if (arm == "async-topk") SetTopK(base, codec);
  } else if (arm == "ring" || arm == "ring-fp16" || arm == "ring-topk") {
    strategy->mutable_all_reduce()->set_collective("ring");
    if (arm == "ring-fp16") codec->set_name("fp16");
    if (arm == "ring-topk") SetTopK(base, codec);
  } else if (arm == "direct") {
    strategy->mutable_all_reduce()->set_collective("direct");
  } else if (arm == "halving-doubling") {
    strategy->mutable_all_reduce()->set_collective("halving_doubling");
  } else if (arm == "binomial-tree") {
    strategy->mutable_all_reduce()->set_collective("binomial_tree");
  } else if (arm == "recursive-doubling") {
    strategy->mutable_all_reduce()->set_collective("recursive_doubling");
  } else if (arm == "all-reduce-auto") {
    strategy->mutable_all_reduce()->set_collective("auto");
  } else if (arm == "all-reduce-mpi") {
    strategy->mutable_all_reduce()->set_collective("mpi");
  } else if (arm == "all-reduce-gloo") {
    strategy->mutable_all_reduce()->set_collective("gloo");
  } else if (arm == "all-reduce-cuda-ipc") {
    strategy->mutable_all_reduce()->set_collective("cuda_ipc");
  } else if (arm == "reduce-broadcast") {
    strategy->mutable_all_reduce()->set_collective("reduce_broadcast");
  } else {
    return false;
  }
  return true;
}

}  // namespace

absl::Span<const ArmInfo> Arms() { return kArms; }

absl::StatusOr<RunSpec> MakeArm(absl::string_view arm, const RunSpec& base) {
  RunSpec spec = base;
  spec.set_name(std::string(arm));
  spec.clear_strategy();
  spec.clear_codec();
  if (Fill(arm, base, &spec)) return spec;
  return absl::InvalidArgumentError(
      absl::StrCat("arm \"", arm, "\": no such arm; ", KnownWordsText(arm, RegistryNames(kArms))));
}

}  // namespace ringmaster
