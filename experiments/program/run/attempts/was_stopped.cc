#include "experiments/program/run/attempts/was_stopped.h"

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace ringmaster {
namespace {

// A status comes over the wire as code and text, so its words tell the cause. They are those of
// ControlCore (Died, Silent, Missing), EndText, MemoryKills, ErrorText and the fabrics.
struct Sign {
  absl::string_view text;
  bool stopped;
};

// The first that a status has decides: what explains a process's end comes before what it led to.
constexpr Sign kSigns[] = {
    {"out of memory", true},
    {": the disk is full", true},
    {"disk quota is used up", true},
    {"ended by SIGINT", true},
    {"ended by SIGTERM", true},
    {"ended by SIGHUP", true},
    {"ended by SIGKILL", true},
    {"signal 1 (", true},
    {"signal 2 (", true},
    {"signal 9 (", true},
    {"signal 15 (", true},
    // By a mistake of the program, by a limit that is still there next time.
    {" with signal ", false},
    {" with exit code ", false},
    {"ended before its work was done", true},  // on another machine: nobody knows how
    {": no heartbeat for ", true},
    {": its connection broke, and the process is still there", true},
    {" did not join within ", true},
    {": it closed the connection", true},
    {": Connection reset by peer", true},
    {": Connection timed out", true},
    {": Broken pipe", true},
    {": No route to host", true},
    {": Network is unreachable", true},
    {": Network is down", true},
    {": Host is down", true},
};

}  // namespace

bool WasStopped(const absl::Status& status) {
  if (status.ok()) return false;
  if (absl::IsCancelled(status)) return true;  // this program was told to end
  for (const Sign& sign : kSigns) {
    if (absl::StrContains(status.message(), sign.text)) return sign.stopped;
  }
  return false;
}

}  // namespace ringmaster
