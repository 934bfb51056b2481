#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/store/store.h"

namespace ringmaster {
namespace {

constexpr char kRebuildFooter[] =
    "A store's files results.jsonl, results-ID.jsonl and records/ are the truth; results.sqlite is "
    "an index of\nthem. Rebuild it when it is damaged, lost, or a copy of yesterday. Runs that "
    "only the old index has get their\nfiles first.";

int Rebuild(const std::string& folder) {
  const absl::StatusOr<RebuiltStore> rebuilt = Store::Rebuild(folder);
  if (!rebuilt.ok()) {
    Log(LogLevel::kError, rebuilt.status().message());
    return absl::IsUnavailable(rebuilt.status()) ? kExitFailedRun : kExitUserError;
  }
  if (!rebuilt->old_database.ok()) {
    Log(LogLevel::kWarning,
        absl::StrCat("nothing was taken from the old index: ", rebuilt->old_database.message()));
  }
  if (!rebuilt->lost.empty()) {
    Log(LogLevel::kWarning,
        absl::StrCat(rebuilt->lost.size(), " runs have a line of figures and no record: ",
                     absl::StrJoin(rebuilt->lost, ", ")));
  }
  std::printf("%s/results.sqlite: %zu runs, %zu of them imported from the old index\n",
              folder.c_str(), rebuilt->runs, rebuilt->imported);
  return kExitOk;
}

}  // namespace

void DeclareStore(Command program, Action* action) {
  Command store = program.AddCommand("store", "keep a store of results in order");
  store.RequireCommand("a task");
  Command rebuild = store.AddCommand("rebuild", "make results.sqlite anew from the other files");
  rebuild.SetFooter(kRebuildFooter);
  auto folder = std::make_shared<std::string>("ringmaster-out");
  rebuild.AddOption("STORE", folder.get(), "folder of results.jsonl").ShowDefault();
  rebuild.OnChosen([action, folder] { *action = [folder] { return Rebuild(*folder); }; });
}

}  // namespace ringmaster
