#include "common/config/validate_emulation.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

constexpr double kRateMin = 1e-3;  // Mbit/s
constexpr double kRateMax = 1e6;
constexpr double kDelayMax = 60'000;      // ms
constexpr double kPauseMax = 86'400'000;  // ms: a day

void CheckRate(const std::string& field, bool is_set, double rate, Problems* problems) {
  if (is_set)
    problems->Range<double>(field, rate, kRateMin, kRateMax,
                            "in Mbit/s; leave it out for no limit");
}

void CheckDelay(const std::string& field, double milliseconds, Problems* problems) {
  problems->Range<double>(field, milliseconds, 0, kDelayMax, "in milliseconds");
}

// A worker must be of the run. A server need not: the arms of a comparison have one network, and
// not all have servers.
void CheckNode(const std::string& field, const std::string& name, const RunSpec& spec,
               Problems* problems) {
  const auto node = ReadNodeName(name);
  if (!node.has_value()) {
    problems->AddName(field, name,
                      "expected the name of a node, for example \"worker/0\" or \"server/1\"");
    return;
  }
  const int32_t workers = spec.training().workers();
  const int32_t count = node->is_server ? std::max(workers, TraitsOf(spec).servers) : workers;
  if (node->index < count) return;
  problems->AddName(
      field, name,
      absl::StrCat(
          "there are ", workers, " workers", TraitsOf(spec).servers > 0 ? " and " : "",
          TraitsOf(spec).servers > 0 ? absl::StrCat(TraitsOf(spec).servers, " servers") : "",
          ", numbered from 0; name one of them"));
}

void CheckNodesAndLinks(const RunSpec& spec, Problems* problems) {
  const NetworkSpec& network = spec.transport().network();
  std::set<std::string> seen;
  for (int i = 0; i < network.nodes_size(); ++i) {
    const NodeNetworkSpec& node = network.nodes(i);
    const std::string field = absl::StrCat("transport.network.nodes[", i, "]");
    CheckNode(field + ".node", node.node(), spec, problems);
    if (!seen.insert(node.node()).second) {
      problems->AddName(field + ".node", node.node(),
                        "stands twice in the list; say all of a node at once");
    }
    CheckRate(field + ".egress_megabits_per_second", node.has_egress_megabits_per_second(),
              node.egress_megabits_per_second(), problems);
    CheckRate(field + ".ingress_megabits_per_second", node.has_ingress_megabits_per_second(),
              node.ingress_megabits_per_second(), problems);
  }
  std::set<std::pair<std::string, std::string>> links;
  for (int i = 0; i < network.links_size(); ++i) {
    const LinkSpec& link = network.links(i);
    const std::string field = absl::StrCat("transport.network.links[", i, "]");
    CheckNode(field + ".from", link.from(), spec, problems);
    CheckNode(field + ".to", link.to(), spec, problems);
    if (!links.emplace(link.from(), link.to()).second) {
      problems->AddName(field, absl::StrCat(link.from(), " to ", link.to()),
                        "stands twice in the list; say all of a link at once");
    }
    CheckRate(field + ".megabits_per_second", link.has_megabits_per_second(),
              link.megabits_per_second(), problems);
    CheckDelay(field + ".latency_ms", link.latency_ms(), problems);
    CheckDelay(field + ".jitter_ms", link.jitter_ms(), problems);
  }
}

void CheckRacks(const RunSpec& spec, Problems* problems) {
  if (!spec.transport().network().has_racks()) return;
  const RacksSpec& racks = spec.transport().network().racks();
  const int32_t workers = spec.training().workers();
  constexpr char kField[] = "transport.network.racks.workers_each";
  if (!racks.has_workers_each()) {
    problems->Add(kField, "(none)", "racks need it: how many workers, neighbouring ranks, one has");
  } else {
    problems->Range<int64_t>(kField, racks.workers_each(), 1, workers,
                             "racks hold workers, and one may hold them all");
  }
  CheckRate("transport.network.racks.uplink_megabits_per_second",
            racks.has_uplink_megabits_per_second(), racks.uplink_megabits_per_second(), problems);
  CheckDelay("transport.network.racks.uplink_latency_ms", racks.uplink_latency_ms(), problems);
}

void CheckNetwork(const RunSpec& spec, bool is_loopback, Problems* problems) {
  if (!spec.transport().has_network()) return;
  const NetworkSpec& network = spec.transport().network();
  CheckRate("transport.network.megabits_per_second", network.has_megabits_per_second(),
            network.megabits_per_second(), problems);
  CheckDelay("transport.network.latency_ms", network.latency_ms(), problems);
  CheckDelay("transport.network.jitter_ms", network.jitter_ms(), problems);
  CheckNodesAndLinks(spec, problems);
  CheckRacks(spec, problems);
  constexpr char kField[] = "transport.network";
  if (spec.strategy().launch() == THREADS) {
    problems->Add(kField, "{...}",
                  "shapes what processes say to each other, and strategy.launch is THREADS, one "
                  "process; launch PROCESSES, or leave the network out");
  }
  const absl::string_view engine = TraitsOf(spec).engine;
  if (!engine.empty()) {
    problems->Add(kField, "{...}",
                  absl::StrCat("collective \"", engine,
                               "\" has connections of its own, which cannot be shaped; use "
                               "collective \"ring\", or leave the network out"));
  }
  if (!is_loopback || spec.transport().allow_remote()) {
    problems->Add(kField, "{...}",
                  "is a network between processes of one host, and transport.listen_address or "
                  "transport.allow_remote lets others join; use 127.0.0.1 without allow_remote, or "
                  "leave the network out where there is a real one");
  }
}

void CheckPause(const std::string& field, double milliseconds, Problems* problems) {
  problems->Range<double>(field, milliseconds, 0, kPauseMax, "in milliseconds");
}

void CheckSlowdown(const std::string& field, const SlowdownSpec& slowdown, const RunSpec& spec,
                   Problems* problems) {
  if (slowdown.ranks().empty())
    problems->Add(field + ".ranks", "(none)", "name the ranks that are slow");
  for (const int32_t rank : slowdown.ranks()) {
    problems->Range<int64_t>(field + ".ranks", rank, 0, std::max(0, spec.training().workers() - 1),
                             absl::StrCat("there are ", spec.training().workers(), " workers"));
  }
  switch (slowdown.kind_case()) {
    case SlowdownSpec::kFactor:
      problems->Range<double>(field + ".factor", slowdown.factor(), 1, 1000,
                              "4 takes four times as long");
      break;
    case SlowdownSpec::kRandom:
      problems->Range<double>(field + ".random.probability", slowdown.random().probability(), 0, 1);
      CheckPause(field + ".random.milliseconds", slowdown.random().milliseconds(), problems);
      break;
    case SlowdownSpec::kPeriodic:
      problems->Range<int64_t>(field + ".periodic.every_steps", slowdown.periodic().every_steps(),
                               1, int64_t{1} << 40);
      CheckPause(field + ".periodic.milliseconds", slowdown.periodic().milliseconds(), problems);
      break;
    case SlowdownSpec::kPause:
      problems->Range<int64_t>(field + ".pause.step", slowdown.pause().step(), 0,
                               std::max<int64_t>(0, spec.training().steps() - 1),
                               "steps are numbered from 0");
      CheckPause(field + ".pause.milliseconds", slowdown.pause().milliseconds(), problems);
      break;
    case SlowdownSpec::KIND_NOT_SET:
      problems->Add(field, "{...}",
                    "says nothing of how slow; set one of factor, random, periodic, pause");
      break;
  }
}

void CheckEmulatedCompute(const RunSpec& spec, Problems* problems) {
  if (!spec.training().has_emulated_compute()) return;
  const EmulatedComputeSpec& compute = spec.training().emulated_compute();
  constexpr char kField[] = "training.emulated_compute";
  if (!compute.has_milliseconds()) {
    problems->Add("training.emulated_compute.milliseconds", "(none)",
                  "how long forward and backward of one batch take; set it, for example to 10");
  } else {
    CheckPause("training.emulated_compute.milliseconds", compute.milliseconds(), problems);
  }
  problems->Range<double>("training.emulated_compute.backward_share", compute.backward_share(), 0,
                          1);
  const auto refuse = [&](bool given, absl::string_view what) {
    if (!given) return;
    problems->Add(
        kField, "{...}",
        absl::StrCat("nothing is computed, so ", what, "; leave that out, or compute for real"));
  };
  refuse(spec.has_evaluation(), "there is nothing for evaluation to score");
  refuse(!spec.training().init_weights().empty(), "training.init_weights start nothing");
  refuse(!spec.output().save_weights().empty(),
         "output.save_weights would keep what random gradients have moved");
  refuse(!spec.output().dump_gradients().empty(),
         "output.dump_gradients would keep random numbers");
  refuse(spec.training().report_weights(),
         "training.report_weights would report what random gradients have moved");
}

}  // namespace

void CheckEmulation(const RunSpec& spec, bool is_loopback, Problems* problems) {
  CheckNetwork(spec, is_loopback, problems);
  CheckEmulatedCompute(spec, problems);
  for (int i = 0; i < spec.training().slowdowns_size(); ++i) {
    CheckSlowdown(absl::StrCat("training.slowdowns[", i, "]"), spec.training().slowdowns(i), spec,
                  problems);
  }
  if (spec.has_evaluation() && spec.training().slowdowns_size() > 0) {
    problems->Add("training.slowdowns", "{...}",
                  "an evaluation trains nothing that could be slowed; leave them out");
  }
}

}  // namespace ringmaster
