#include "common/scheme/parameter_server/parameter_server.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/scheme/server_exchange.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr char kServers[] = "strategy.parameter_server.servers";
// What arms leave open.
constexpr char kDown[] = "strategy.parameter_server.down_codec";
constexpr char kServersAndDown[] =
    "strategy.parameter_server.servers,strategy.parameter_server.down_codec";
constexpr char kServersDownAndWork[] =
    "strategy.parameter_server.servers,strategy.parameter_server.down_codec,strategy.work";
constexpr char kServersDownAndMemory[] =
    "strategy.parameter_server.servers,strategy.parameter_server.down_codec,codec.error_feedback";

constexpr ArmInfo kArms[] = {
    {"dp",
     "one process, N worker threads, the server beside worker 0, copies in memory: data "
     "parallelism in a process",
     30, true,
     "strategy { parameter_server { consistency: BSP placement: COLOCATED servers: 1 } launch: "
     "THREADS } transport { name: 'inproc' }",
     ""},
    {"ps",
     "a central parameter server of its own, one update a step from the sum of all workers (BSP)",
     40, true, "strategy { parameter_server { consistency: BSP placement: DEDICATED } }",
     kServersAndDown},
    {"ps-sharded",
     "a server beside every worker, each with a part of the weights (BSP): the ring's bytes in "
     "another pattern",
     50, true, "strategy { parameter_server { consistency: BSP placement: COLOCATED } }", kDown},
    {"ssp",
     "the central server with an update per arrival, no worker more than a bound of clocks ahead "
     "(SSP)",
     60, true, "strategy { parameter_server { consistency: SSP placement: DEDICATED } }",
     "strategy.parameter_server.servers,strategy.parameter_server.down_codec,"
     "strategy.parameter_server.staleness_bound"},
    {"async",
     "the central server with an update per arrival and no bound: workers claim their batches", 80,
     true, "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED } }",
     kServersDownAndWork},
    {"async-topk", "async, sending the largest 1 % of every bucket with error feedback", 90, true,
     "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED } } codec { "
     "name: 'topk' }",
     "strategy.parameter_server.servers,strategy.parameter_server.down_codec,strategy.work,"
     "codec.density,codec.error_feedback"},
    {"backup",
     "ps that makes each update from the first gradients of a step and drops the last one (backup "
     "workers)",
     45, false,
     "strategy { parameter_server { consistency: BSP placement: DEDICATED backup_workers: 1 } }",
     "strategy.parameter_server.servers,strategy.parameter_server.down_codec,"
     "strategy.parameter_server.backup_workers"},
    {"geo",
     "the central server adds how far each worker has come in several steps alone, as it comes", 97,
     false,
     "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED local_steps: 4 "
     "} }",
     "strategy.parameter_server.servers,strategy.parameter_server.down_codec,"
     "strategy.parameter_server.local_steps,strategy.work"},
    {"dc-async",
     "async whose server corrects late gradients towards the weights it applies them to (delay "
     "compensation)",
     95, false,
     "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED "
     "delay_compensation { adaptive: true } } }",
     "strategy.parameter_server.servers,strategy.work,"
     "strategy.parameter_server.delay_compensation.lambda,"
     "strategy.parameter_server.delay_compensation.decay"},
    {"ps-fp16", "ps with gradients in half precision", 210, false,
     "strategy { parameter_server { consistency: BSP placement: DEDICATED } } codec { name: 'fp16' "
     "}",
     kServersDownAndMemory},
    {"ps-onebit", "ps with one bit a gradient element and error feedback", 220, false,
     "strategy { parameter_server { consistency: BSP placement: DEDICATED } } codec { name: "
     "'onebit' }",
     kServersDownAndMemory},
};

// The values of the paper's experiments on CIFAR-10 (Zheng et al. 2017, section 6).
void ResolveCompensation(DelayCompensationSpec* compensation) {
  if (!compensation->has_adaptive()) compensation->set_adaptive(false);
  if (!compensation->has_lambda()) compensation->set_lambda(compensation->adaptive() ? 2 : 0.04);
  if (compensation->adaptive() && !compensation->has_decay()) compensation->set_decay(0.95);
}

// What it leaves out is never lost: the options are those of error feedback.
void ResolveDownCodec(CodecSpec* codec) {
  if (codec->name().empty()) codec->set_name(kNoCodec);
  const CodecInfo* const info = FindCodec(codec->name());
  if (!codec->has_error_feedback() && info != nullptr && !info->traits.exact)
    codec->set_error_feedback(true);
  SetCodecDefaults(codec);
}

void Resolve(int32_t workers, StrategySpec* strategy) {
  ParameterServerSpec* server = strategy->mutable_parameter_server();
  if (server->consistency() == ParameterServerSpec::CONSISTENCY_UNSET) {
    server->set_consistency(ParameterServerSpec::BSP);
  }
  if (server->placement() == ParameterServerSpec::PLACEMENT_UNSET)
    server->set_placement(ParameterServerSpec::DEDICATED);
  if (!server->has_servers()) {
    server->set_servers(server->placement() == ParameterServerSpec::COLOCATED ? workers : 1);
  }
  if (server->consistency() == ParameterServerSpec::SSP && !server->has_staleness_bound()) {
    server->set_staleness_bound(2);
  }
  if (server->consistency() == ParameterServerSpec::ASYNCHRONOUS &&
      strategy->work() == StrategySpec::WORK_UNSET) {
    strategy->set_work(StrategySpec::CLAIMED);
  }
  if (server->has_delay_compensation()) ResolveCompensation(server->mutable_delay_compensation());
  if (server->has_down_codec()) ResolveDownCodec(server->mutable_down_codec());
}

void CheckCompensation(const ParameterServerSpec& server, Problems* problems) {
  if (!server.has_delay_compensation()) return;
  const DelayCompensationSpec& compensation = server.delay_compensation();
  constexpr char kField[] = "strategy.parameter_server.delay_compensation";
  if (server.consistency() == ParameterServerSpec::BSP) {
    problems->Add(kField, "{...}",
                  "under BSP no gradient is late; leave it out, or use consistency ASYNCHRONOUS or "
                  "SSP");
  }
  problems->Range<double>(absl::StrCat(kField, ".lambda"), compensation.lambda(), 0, 1e6,
                          "0 corrects nothing");
  if (!compensation.adaptive() && compensation.has_decay()) {
    problems->Add(absl::StrCat(kField, ".decay"), compensation.decay(),
                  "it is that of the moving average, which only an adaptive lambda needs; leave it "
                  "out, or set adaptive");
  } else if (!(compensation.decay() >= 0 && compensation.decay() < 1)) {
    problems->Add(absl::StrCat(kField, ".decay"), compensation.decay(),
                  "expected at least 0 and below 1, for example 0.95");
  }
}

// What of the codec itself is wrong, the config's checks say.
void CheckDownCodec(const ParameterServerSpec& server, Problems* problems) {
  const CodecInfo* const info = FindCodec(server.down_codec().name());
  if (!server.has_down_codec() || info == nullptr || info->traits.exact) return;
  if (server.has_delay_compensation()) {
    problems->Add("strategy.parameter_server.delay_compensation", "{...}",
                  "it goes by the weights that a gradient was computed from, and with down_codec "
                  "these are not what the server had; leave one of them out");
  }
}

void CheckBackupWorkers(const RunSpec& spec, Problems* problems) {
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  if (!server.has_backup_workers()) return;
  constexpr char kField[] = "strategy.parameter_server.backup_workers";
  const int32_t backups = server.backup_workers();
  if (server.consistency() != ParameterServerSpec::BSP) {
    problems->Add(kField, backups,
                  "an update on arrival waits for nobody, and nobody is dropped; leave it out, or "
                  "use consistency BSP");
    return;
  }
  const int32_t workers = spec.training().workers();
  if (backups < 0 || backups >= workers) {
    problems->Add(kField, backups,
                  absl::StrCat("of ", workers,
                               " workers at least one must be waited for; expected "
                               "0 to ",
                               workers - 1));
  }
  if (backups > 0 && !spec.output().dump_batches().empty()) {
    problems->Add("output.dump_batches", spec.output().dump_batches(),
                  "a file of batches has as many rows as there are steps, and a worker that is "
                  "late skips some; leave it out, or set backup_workers=0");
  }
}

void CheckLocalSteps(const ParameterServerSpec& server, Problems* problems) {
  if (!server.has_local_steps()) return;
  constexpr char kField[] = "strategy.parameter_server.local_steps";
  if (server.consistency() != ParameterServerSpec::ASYNCHRONOUS) {
    problems->Add(kField, server.local_steps(),
                  "what workers push after steps made alone is added as it comes; leave it out, or "
                  "use consistency ASYNCHRONOUS");
    return;
  }
  problems->Range<int64_t>(kField, server.local_steps(), 1, 1 << 20,
                           "leave it out to push every gradient");
  if (server.has_delay_compensation()) {
    problems->Add("strategy.parameter_server.delay_compensation", "{...}",
                  "it corrects gradients, and with local_steps none is pushed; leave one of them "
                  "out");
  }
}

void Check(const RunSpec& spec, Problems* problems) {
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  problems->Range<int64_t>(kServers, server.servers(), 1, kServersMax, "set --servers");
  if (server.placement() == ParameterServerSpec::COLOCATED &&
      server.servers() > spec.training().workers()) {
    problems->Add(kServers, server.servers(),
                  absl::StrCat("co-located servers live beside workers, and there are ",
                               spec.training().workers(),
                               "; use at most as many servers, or placement DEDICATED"));
  }
  constexpr char kBound[] = "strategy.parameter_server.staleness_bound";
  if (server.consistency() == ParameterServerSpec::SSP) {
    if (!server.has_staleness_bound()) {
      problems->Add(
          kBound, "(none)",
          "SSP needs one, 0 or more; set it, or use consistency ASYNCHRONOUS for no bound");
    } else {
      problems->Range<int64_t>(kBound, server.staleness_bound(), 0, 1 << 20);
    }
  } else if (server.has_staleness_bound()) {
    problems->Add(kBound, server.staleness_bound(),
                  absl::StrCat("only for consistency SSP, and it is ",
                               ParameterServerSpec::Consistency_Name(server.consistency()),
                               "; leave it out"));
  }
  CheckCompensation(server, problems);
  CheckBackupWorkers(spec, problems);
  CheckLocalSteps(server, problems);
  CheckDownCodec(server, problems);
}

// Workers get all weights from the servers.
std::vector<Range> UpdateNothing(const ParamLayout&, int32_t, int32_t) { return {}; }

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const ParameterServerSpec& server = strategy.parameter_server();
  SchemeTraits traits;
  traits.workers = workers;
  traits.servers = server.servers();
  traits.servers_beside_workers = server.placement() == ParameterServerSpec::COLOCATED;
  traits.weights = WeightHolder::kServers;
  const bool bounded = server.consistency() == ParameterServerSpec::SSP;
  if (bounded || server.consistency() == ParameterServerSpec::ASYNCHRONOUS) {
    traits.updates = Updates::kOnArrival;
    traits.replicas = Replicas::kEqualAfterDrain;
  }
  if (bounded) traits.staleness_bound = server.staleness_bound();
  traits.backup_workers = server.backup_workers();
  // A worker that was late has not had every update's weights.
  if (traits.backup_workers > 0) traits.replicas = Replicas::kEqualAfterDrain;
  traits.local_steps = server.local_steps();
  if (traits.local_steps > 0) traits.divisor = Divisor::kOwnBatches;
  // Who is lost must hold no weights that nobody else has.
  traits.may_reform = traits.updates == Updates::kTogether && traits.backup_workers == 0 &&
                      !(traits.servers_beside_workers && traits.servers >= workers);
  // Nobody waits for one worker alone, and servers hold the model: of who is lost it lacks at most
  // what it had not pushed.
  traits.may_continue = (traits.updates == Updates::kOnArrival || traits.backup_workers > 0) &&
                        !traits.servers_beside_workers;
  traits.compensates_delay = server.has_delay_compensation();
  const CodecInfo* const down =
      server.has_down_codec() ? FindCodec(server.down_codec().name()) : nullptr;
  traits.weights_encoded = down != nullptr && !down->traits.exact;
  // What arrives; of steps alone where they began and how far the worker has come.
  traits.exchange_arenas = traits.local_steps > 0 ? 3 : 1;
  // An answer lies in a copy for its worker, but where all wait for the same update.
  if (traits.updates == Updates::kOnArrival || traits.backup_workers > 0)
    traits.server_arenas = workers;
  // What each worker was sent: the last copy, and without a bound the one before it.
  if (traits.compensates_delay) traits.server_arenas += (bounded ? 1 : 2) * workers;
  if (server.delay_compensation().adaptive()) ++traits.server_arenas;
  // Who makes steps alone updates its own weights.
  if (traits.local_steps == 0) traits.updated = UpdateNothing;
  return traits;
}

absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  return ServerTraffic(spec, Traits(spec.strategy(), spec.training().workers()), layout, node,
                       steps);
}

std::string CompensationRule(const DelayCompensationSpec& compensation) {
  std::string text = absl::StrCat(
      " Before that a gradient g that was computed from weights w0, and meets weights w, becomes g "
      "+ L g g (w - w0), element by element, with L = ",
      compensation.lambda());
  if (compensation.adaptive()) {
    absl::StrAppend(&text, " divided by the root of a moving mean of g g, which decays by ",
                    compensation.decay(), " an update");
  }
  return absl::StrCat(text, "; g is there the worker's own mean.");
}

std::string Rule(const RunSpec& spec) {
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  const SchemeTraits traits = Traits(spec.strategy(), spec.training().workers());
  const std::string who = traits.servers == 1 ? "the server" : "each server, of its parts,";
  if (traits.local_steps > 0) {
    return absl::StrCat("Every worker's own optimizer updates its weights for ", traits.local_steps,
                        " steps. It pushes how far they have come, divided by N; ", who,
                        " adds that to its weights, as it comes, and the worker goes on from what "
                        "is there then.");
  }
  if (traits.backup_workers > 0) {
    return absl::StrCat("Of a step's gradients ", who, " adds the first ",
                        traits.workers - traits.backup_workers,
                        " in rank order and scales the sum to their average, of which its "
                        "optimizer makes one update.");
  }
  if (traits.updates == Updates::kTogether) {
    return absl::StrCat("Each gradient carries the factor 1/N. Of a step's gradients ", who,
                        " adds all in rank order, and its optimizer makes one update of the sum, "
                        "which is their average.");
  }
  return absl::StrCat(
      "Each gradient carries the factor 1/N. The optimizer of ", who,
      " makes an update of every one that arrives, so N of them weigh as much as one update of "
      "their average.",
      traits.compensates_delay ? CompensationRule(server.delay_compensation()) : "");
}

}  // namespace

constexpr Scheme kParameterServerScheme = {
    "parameter_server",
    "K servers hold the weights; BSP, SSP(s) or asynchronous; dedicated or co-located",
    kArms,
    Resolve,
    Check,
    Traits,
    TrafficOf,
    Rule,
};

}  // namespace ringmaster
