#include "tests/support/transports.h"

#include "common/transport/fabric.h"

namespace ringmaster {
namespace {

// What it moves stays within a process.
constexpr char kInProcess[] = "inproc";
constexpr char kChoice[] = "auto";

}  // namespace

std::vector<std::string> AllTransports() {
  std::vector<std::string> names;
  for (const TransportInfo& info : Transports()) {
    if (info.name != std::string(kChoice)) names.push_back(info.name);
  }
  return names;
}

std::vector<std::string> ProcessTransports() {
  std::vector<std::string> names;
  for (const std::string& name : AllTransports()) {
    if (name != kInProcess) names.push_back(name);
  }
  return names;
}

}  // namespace ringmaster
