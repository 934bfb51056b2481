#include "tests/common/network/simgrid/simgrid_network.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <simgrid/s4u.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/message.h"

namespace ringmaster {
namespace {

namespace s4u = simgrid::s4u;

constexpr double kNanoseconds = 1e9;  // a second
constexpr double kAnySpeed = 1e9;     // nothing is computed

std::vector<std::string> Arguments(SimGridModel model) {
  std::vector<std::string> arguments = {"simgrid", "--log=root.thres:error"};
  if (model == SimGridModel::kDefault) return arguments;
  for (const char* setting : {
           "network/model:CM02",      // no factors of latency and bandwidth
           "network/crosstraffic:0",  // nothing goes back
           "network/TCP-gamma:0",     // no window
           "surf/precision:1e-9",     // seconds
       }) {
    arguments.push_back(absl::StrCat("--cfg=", setting));
  }
  return arguments;
}

// A set's hosts and links in SimGrid.
class Platform {
 public:
  explicit Platform(const FlowSet& set) : set_(set), zone_(s4u::create_full_zone("zone")) {
    const NetworkShape& shape = set.shape;
    for (int32_t host = 0; host < set.hosts; ++host) {
      hosts_.push_back(zone_->create_host(absl::StrCat("host", host), kAnySpeed));
      egress_.push_back(NewLink(absl::StrCat("egress", host), shape.rate));
      ingress_.push_back(NewLink(absl::StrCat("ingress", host), shape.rate));
    }
    for (const NetworkShape::Card& card : shape.cards) {
      egress_[card.node.index]->set_bandwidth(card.egress);
      ingress_[card.node.index]->set_bandwidth(card.ingress);
    }
    for (s4u::Link* link : egress_) link->set_latency(absl::ToDoubleSeconds(shape.latency));
    for (const NetworkShape::Link& link : shape.links) {
      own_[{link.from.index, link.to.index}] =
          NewLink(absl::StrCat("link", link.from.index, "-", link.to.index), link.rate);
    }
    for (int32_t rack = 0; shape.racks.has_value() && rack <= RackOf(set.hosts - 1); ++rack) {
      up_.push_back(NewLink(absl::StrCat("up", rack), shape.racks->uplink));
      down_.push_back(NewLink(absl::StrCat("down", rack), shape.racks->uplink));
      up_.back()->set_latency(absl::ToDoubleSeconds(shape.racks->latency));
    }
    for (const FlowSet::Message& message : set.messages) {
      AddRoute(message.from, message.to);
      AddRoute(message.to, message.from);
    }
    zone_->seal();
  }

  s4u::Host* host(int32_t host) const { return hosts_[host]; }

 private:
  s4u::Link* NewLink(const std::string& name, double rate) {
    return zone_->create_link(name, rate);
  }

  int32_t RackOf(int32_t host) const { return host / set_.shape.racks->workers_each; }

  void AddRoute(int32_t from, int32_t to) {
    if (!routes_.emplace(std::make_pair(from, to), true).second) return;
    std::vector<s4u::LinkInRoute> links = {s4u::LinkInRoute(egress_[from])};
    const auto own = own_.find({from, to});
    if (own != own_.end()) links.emplace_back(own->second);
    if (!up_.empty() && RackOf(from) != RackOf(to)) {
      links.emplace_back(up_[RackOf(from)]);
      links.emplace_back(down_[RackOf(to)]);
    }
    links.emplace_back(ingress_[to]);
    zone_->add_route(hosts_[from]->get_netpoint(), hosts_[to]->get_netpoint(), nullptr, nullptr,
                     links, /*symmetrical=*/false);
  }

  const FlowSet& set_;
  s4u::NetZone* const zone_;
  std::vector<s4u::Host*> hosts_;
  std::vector<s4u::Link*> egress_, ingress_, up_, down_;
  std::map<std::pair<int32_t, int32_t>, s4u::Link*> own_;
  std::map<std::pair<int32_t, int32_t>, bool> routes_;
};

// Of an actor, in simulated time. A time that is over is not waited for.
void WaitUntil(double seconds) {
  const double left = seconds - s4u::Engine::get_clock();
  if (left > 0) s4u::Semaphore::create(0)->acquire_timeout(left);  // which nobody releases
}

std::vector<double> Play(const FlowSet& set, SimGridModel model) {
  std::vector<std::string> arguments = Arguments(model);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  auto argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  s4u::Engine engine(&argc, argv.data());
  const Platform platform(set);
  std::vector<double> arrived(set.messages.size(), -1);
  std::map<std::pair<int32_t, int32_t>, std::vector<size_t>> lines;
  for (size_t i = 0; i < set.messages.size(); ++i)
    lines[{set.messages[i].from, set.messages[i].to}].push_back(i);
  for (const auto& [ends, line] : lines) {
    s4u::Host* const from = platform.host(ends.first);
    s4u::Host* const to = platform.host(ends.second);
    s4u::Actor::create("line", from, [&set, &arrived, from, to, &line = line] {
      for (const size_t i : line) {
        WaitUntil(static_cast<double>(set.messages[i].start) / kNanoseconds);
        s4u::Comm::sendto(from, to, set.messages[i].bytes);
        arrived[i] = s4u::Engine::get_clock() * kNanoseconds;
      }
    });
  }
  engine.run();
  return arrived;
}

}  // namespace

absl::StatusOr<std::vector<double>> PlayInSimGrid(const FlowSet& set, SimGridModel model) {
  int ends[2];
  if (pipe(ends) != 0) return absl::InternalError("no pipe to SimGrid's process");
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    bool done = false;
    try {
      const std::vector<double> arrived = Play(set, model);
      // 128 messages' times or less fit into a pipe at once.
      const auto bytes = static_cast<ssize_t>(arrived.size() * sizeof(double));
      done = write(ends[1], arrived.data(), bytes) == bytes;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "SimGrid: %s\n", error.what());
    }
    _exit(done ? 0 : 1);
  }
  close(ends[1]);
  std::vector<double> arrived(set.messages.size());
  const auto bytes = static_cast<ssize_t>(arrived.size() * sizeof(double));
  const bool is_whole = child > 0 && read(ends[0], arrived.data(), bytes) == bytes;
  close(ends[0]);
  int status = 1;
  if (child > 0) waitpid(child, &status, 0);
  if (!is_whole || status != 0)
    return absl::InternalError(absl::StrCat("SimGrid's process has ended with status ", status));
  return arrived;
}

}  // namespace ringmaster
