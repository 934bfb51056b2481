#include "common/control/joins.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringmaster {

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

std::string NodesOf(const Join& join) {
  return absl::StrJoin(join.nodes(), "+", [](std::string* out, const NodeName& node) {
    absl::StrAppend(out, node.server() ? "server/" : "worker/", node.index());
  });
}

}  // namespace ringmaster
