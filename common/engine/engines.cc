#include "common/engine/engines.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/engine/plugin.h"
#include "common/machine/own_program.h"

namespace ringmaster {
namespace {

constexpr size_t kTextBytes = 4096;

// Where the shared object may lie: beside the program, or where Bazel puts it in the tree of which
// the program is part.
std::vector<std::string> CandidatePaths(absl::string_view name) {
  const std::string program = OwnProgramPath();
  const std::string file = absl::StrCat("libringmaster_", name, ".so");
  std::vector<std::string> paths;
  for (size_t end = program.rfind('/'); end != std::string::npos && end > 0;
       end = program.rfind('/', end - 1)) {
    const absl::string_view folder = absl::string_view(program).substr(0, end);
    if (paths.empty()) paths.push_back(absl::StrCat(folder, "/", file));
    paths.push_back(absl::StrCat(folder, "/common/engine/", name, "/", file));
  }
  return paths;
}

// The object's handle, which stays for the life of the process: engines hold its code.
absl::StatusOr<void*> Load(const EngineInfo& info) {
  for (const std::string& path : CandidatePaths(info.name)) {
    if (access(path.c_str(), F_OK) != 0) continue;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      const char* reason = dlerror();
      return absl::UnavailableError(
          absl::StrCat("engine \"", info.name, "\": ", path, " does not load: ",
                       reason == nullptr ? "no reason given" : reason, "; install ", info.package));
    }
    auto* stamp = reinterpret_cast<EnginePlugin::Stamp*>(dlsym(handle, EnginePlugin::kStampSymbol));
    if (stamp == nullptr || std::strcmp(stamp(), kEngineInterfaceStamp) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("engine \"", info.name, "\": ", path,
                       " is of another build than this program; build both again"));
    }
    return handle;
  }
  return absl::UnavailableError(
      absl::StrCat("engine \"", info.name, "\" is not in this build: ", info.package,
                   " was not found when it was built; install it and build again"));
}

}  // namespace

absl::Status CheckEngine(absl::string_view name) {
  RM_ASSIGN_OR_RETURN(const EngineInfo* info, FindEngine(name));
  return Load(*info).status();
}

absl::StatusOr<std::unique_ptr<Engine>> CreateEngine(absl::string_view name,
                                                     const EngineSeat& seat) {
  RM_CHECK(seat.rank >= 0 && seat.rank < seat.ranks);
  RM_ASSIGN_OR_RETURN(const EngineInfo* info, FindEngine(name));
  RM_ASSIGN_OR_RETURN(void* handle, Load(*info));
  auto* create =
      reinterpret_cast<EnginePlugin::Create*>(dlsym(handle, EnginePlugin::kCreateSymbol));
  RM_CHECK(create != nullptr);
  std::string text(kTextBytes, '\0');
  Engine* engine = nullptr;
  const int code = create(seat, &engine, text.data(), text.size());
  if (code != 0) {
    return absl::Status(static_cast<absl::StatusCode>(code),
                        absl::StrCat("engine \"", name, "\": ", text.c_str()));
  }
  RM_CHECK(engine != nullptr);
  return std::unique_ptr<Engine>(engine);
}

}  // namespace ringmaster
