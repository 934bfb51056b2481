#include "common/config/network_text.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

struct Unit {
  const char* name;
  double factor;
};
// Longer names before those they end with.
constexpr Unit kRates[] = {{"kbit", 1e-3}, {"mbit", 1}, {"gbit", 1e3}};  // megabits a second
constexpr Unit kTimes[] = {{"us", 1e-3}, {"ms", 1}, {"s", 1e3}};         // milliseconds

// The number before a unit, in the first unit's base; false: it is not one of these.
template <size_t kCount>
bool ReadQuantity(absl::string_view text, const Unit (&units)[kCount], double* value) {
  for (const Unit& unit : units) {
    absl::string_view number = text;
    if (!absl::ConsumeSuffix(&number, unit.name)) continue;
    if (!absl::SimpleAtod(absl::StripAsciiWhitespace(number), value) || !std::isfinite(*value))
      continue;
    *value *= unit.factor;
    return true;
  }
  return false;
}

// "racks:2:100mbit:1ms:first": how many workers each, and in any order, each once at most, what
// their uplinks have and whether servers sit in the first.
bool ReadRacks(absl::string_view word, RacksSpec* racks) {
  if (!absl::ConsumePrefix(&word, "racks:")) return false;
  const std::vector<absl::string_view> items = absl::StrSplit(word, ':');
  int32_t workers = 0;
  if (!absl::SimpleAtoi(items[0], &workers)) return false;
  racks->set_workers_each(workers);
  for (size_t i = 1; i < items.size(); ++i) {
    double value = 0;
    if (items[i] == "first" && racks->servers() == RacksSpec::SERVERS_UNSET) {
      racks->set_servers(RacksSpec::FIRST_RACK);
    } else if (!racks->has_uplink_megabits_per_second() &&
               ReadQuantity(absl::StripSuffix(items[i], "/s"), kRates, &value)) {
      racks->set_uplink_megabits_per_second(value);
    } else if (!racks->has_uplink_latency_ms() && ReadQuantity(items[i], kTimes, &value)) {
      racks->set_uplink_latency_ms(value);
    } else {
      return false;
    }
  }
  return true;
}

// "8x8": how many racks, and the workers of each.
bool ReadGrid(absl::string_view word, int32_t* racks, int32_t* each) {
  const std::pair<absl::string_view, absl::string_view> sides = absl::StrSplit(word, 'x');
  return absl::SimpleAtoi(sides.first, racks) && absl::SimpleAtoi(sides.second, each) &&
         *racks > 0 && *each > 0;
}

std::string RacksText(const RacksSpec& racks) {
  std::vector<std::string> behind;
  if (racks.has_uplink_megabits_per_second())
    behind.push_back(absl::StrFormat("%g Mbit/s", racks.uplink_megabits_per_second()));
  if (racks.uplink_latency_ms() > 0)
    behind.push_back(absl::StrFormat("%g ms more", racks.uplink_latency_ms()));
  return absl::StrCat(
      "racks of ", racks.workers_each(),
      behind.empty() ? "" : absl::StrCat(" behind ", absl::StrJoin(behind, " and ")),
      racks.servers() == RacksSpec::FIRST_RACK ? ", servers in the first" : "");
}

std::string Counted(int count, absl::string_view one, absl::string_view many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

}  // namespace

absl::Status ReadNetwork(absl::string_view text, TransportSpec* transport) {
  if (text == "none") {
    transport->clear_network();
    return absl::OkStatus();
  }
  NetworkSpec network = transport->network();
  int rates = 0;
  int times = 0;
  int racks = 0;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(item));
    double value = 0;
    RacksSpec read;
    if (ReadRacks(word, &read) && racks++ == 0) {
      *network.mutable_racks() = read;
    } else if (ReadQuantity(absl::StripSuffix(word, "/s"), kRates, &value) && rates++ == 0) {
      network.set_megabits_per_second(value);
    } else if (ReadQuantity(word, kTimes, &value) && times < 2) {
      times++ == 0 ? network.set_latency_ms(value) : network.set_jitter_ms(value);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", item,
                       "\" is not what is expected there; give a rate, a latency and a jitter, for "
                       "example 100mbit,5ms or 1gbit,50us,20us; and racks as "
                       "racks:WORKERS:RATE:LATENCY, for example 1gbit,racks:2:100mbit:1ms"));
    }
  }
  *transport->mutable_network() = std::move(network);
  return absl::OkStatus();
}

absl::Status ReadRackGrid(absl::string_view text, RunSpec* spec) {
  RacksSpec read;
  int32_t count = 0, each = 0;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    const std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(item));
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(word, '=');
    const auto& [name, said] = pair;
    double value = 0;
    if (count == 0 && ReadGrid(word, &count, &each)) {
      read.set_workers_each(each);
    } else if (name == "uplink" && ReadQuantity(absl::StripSuffix(said, "/s"), kRates, &value)) {
      read.set_uplink_megabits_per_second(value);
    } else if (name == "latency" && ReadQuantity(said, kTimes, &value)) {
      read.set_uplink_latency_ms(value);
    } else if (word == "servers=first" || word == "servers=spread") {
      read.set_servers(said == "first" ? RacksSpec::FIRST_RACK : RacksSpec::SPREAD);
    } else {
      count = 0;
      break;
    }
  }
  if (count == 0) {
    return absl::InvalidArgumentError(
        "expected RACKSxWORKERS and what lies between the racks, for example 8x8, "
        "8x8,uplink=10gbit or 8x8,uplink=10gbit,latency=50us,servers=first");
  }
  const int64_t workers = int64_t{count} * each;
  TrainingSpec* training = spec->mutable_training();
  if (training->has_workers() && training->workers() != workers) {
    return absl::InvalidArgumentError(absl::StrCat("these racks hold ", workers,
                                                   " workers, and the run has ",
                                                   training->workers(), "; give as many"));
  }
  if (workers > std::numeric_limits<int32_t>::max())
    return absl::InvalidArgumentError(absl::StrCat(workers, " workers are too many"));
  training->set_workers(static_cast<int32_t>(workers));
  *spec->mutable_transport()->mutable_network()->mutable_racks() = read;
  return absl::OkStatus();
}

std::string NetworkText(const TransportSpec& transport) {
  if (!transport.has_network()) return "";
  const NetworkSpec& network = transport.network();
  std::vector<std::string> parts;
  if (network.has_megabits_per_second())
    parts.push_back(absl::StrFormat("%g Mbit/s", network.megabits_per_second()));
  if (network.latency_ms() > 0) parts.push_back(absl::StrFormat("%g ms", network.latency_ms()));
  if (network.jitter_ms() > 0)
    parts.push_back(absl::StrFormat("up to %g ms more", network.jitter_ms()));
  std::vector<std::string> own;
  if (network.nodes_size() > 0) own.push_back(Counted(network.nodes_size(), "node", "nodes"));
  if (network.links_size() > 0) own.push_back(Counted(network.links_size(), "link", "links"));
  if (!own.empty()) parts.push_back(absl::StrCat("other rates for ", absl::StrJoin(own, " and ")));
  if (network.has_racks()) parts.push_back(RacksText(network.racks()));
  return parts.empty() ? "no limits" : absl::StrJoin(parts, ", ");
}

std::string ComputeText(const TrainingSpec& training) {
  std::vector<std::string> parts;
  if (training.has_emulated_compute()) {
    parts.push_back(
        absl::StrFormat("emulated, %g ms a batch", training.emulated_compute().milliseconds()));
  }
  std::vector<std::string> slow;
  for (const SlowdownSpec& slowdown : training.slowdowns()) {
    const std::string ranks = absl::StrJoin(slowdown.ranks(), ",");
    switch (slowdown.kind_case()) {
      case SlowdownSpec::kFactor:
        slow.push_back(absl::StrFormat("rank %s %g times as long", ranks, slowdown.factor()));
        break;
      case SlowdownSpec::kRandom:
        slow.push_back(absl::StrFormat("rank %s %g ms late in %g %% of steps", ranks,
                                       slowdown.random().milliseconds(),
                                       slowdown.random().probability() * 100));
        break;
      case SlowdownSpec::kPeriodic:
        slow.push_back(absl::StrFormat("rank %s %g ms late every %d steps", ranks,
                                       slowdown.periodic().milliseconds(),
                                       slowdown.periodic().every_steps()));
        break;
      case SlowdownSpec::kPause:
        slow.push_back(absl::StrFormat("rank %s %g ms late in step %d", ranks,
                                       slowdown.pause().milliseconds(), slowdown.pause().step()));
        break;
      case SlowdownSpec::KIND_NOT_SET:
        break;
    }
  }
  if (!slow.empty()) parts.push_back(absl::StrCat("slowed: ", absl::StrJoin(slow, "; ")));
  return absl::StrJoin(parts, ", ");
}

}  // namespace ringmaster
