#include "worker/kernels/cublas/loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/machine/checkout.h"
#include "common/machine/own_program.h"
#include "worker/kernels/cublas/plugin.h"

namespace ringmaster {
namespace {

constexpr size_t kTextBytes = 8192;
constexpr char kRunfilesFolder[] = "ringmaster/worker/kernels/cublas";

struct Plugin {
  std::string path;
  CudaPlugin::Create* create = nullptr;
  CudaPlugin::Describe* describe = nullptr;
  CudaPlugin::Count* count = nullptr;
  CudaPlugin::Time* time = nullptr;
};

// Where the library may lie, the first choice first.
std::vector<std::string> CandidatePaths(absl::string_view directory) {
  if (!directory.empty()) return {absl::StrCat(directory, "/", CudaPlugin::kFileName)};
  std::vector<std::string> paths;
  const std::string program = OwnProgramPath();
  if (!program.empty()) {
    paths.push_back(
        absl::StrCat(program.substr(0, program.rfind('/')), "/", CudaPlugin::kFileName));
  }
  for (const char* variable : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
    const char* runfiles = std::getenv(variable);
    if (runfiles != nullptr && *runfiles != '\0') {
      paths.push_back(absl::StrCat(runfiles, "/", kRunfilesFolder, "/", CudaPlugin::kFileName));
    }
  }
  if (!program.empty()) {
    paths.push_back(
        absl::StrCat(program, ".runfiles/", kRunfilesFolder, "/", CudaPlugin::kFileName));
  }
  return paths;
}

template <typename Function>
absl::Status FindSymbol(void* handle, const std::string& path, const char* symbol,
                        Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(handle, symbol));
  if (*function != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cuda library ", path, " exports no ", symbol,
                   ": it is of another build; rebuild it with this program"));
}

absl::StatusOr<Plugin> LoadPlugin(absl::string_view directory) {
  const std::vector<std::string> paths = CandidatePaths(directory);
  for (const std::string& path : paths) {
    if (access(path.c_str(), F_OK) != 0) continue;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      const char* reason = dlerror();
      return absl::UnavailableError(absl::StrCat(
          "cuda library ", path, " does not load: ", reason == nullptr ? "no reason given" : reason,
          "; install the CUDA toolkit it was built with, or add its folder to LD_LIBRARY_PATH"));
    }
    Plugin plugin;
    plugin.path = path;
    CudaPlugin::Stamp* stamp = nullptr;
    RM_RETURN_IF_ERROR(FindSymbol(handle, path, CudaPlugin::kStampSymbol, &stamp));
    if (std::strcmp(stamp(), kInterfaceStamp) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("cuda library ", path, " has interface ", stamp(), ", this program has ",
                       kInterfaceStamp, ": they are of different builds; rebuild both"));
    }
    RM_RETURN_IF_ERROR(FindSymbol(handle, path, CudaPlugin::kCreateSymbol, &plugin.create));
    RM_RETURN_IF_ERROR(FindSymbol(handle, path, CudaPlugin::kDescribeSymbol, &plugin.describe));
    RM_RETURN_IF_ERROR(FindSymbol(handle, path, CudaPlugin::kCountSymbol, &plugin.count));
    RM_RETURN_IF_ERROR(FindSymbol(handle, path, CudaPlugin::kTimeSymbol, &plugin.time));
    return plugin;
  }
  return absl::UnavailableError(
      absl::StrCat("cuda library ", CudaPlugin::kFileName, " not found (looked for ",
                   absl::StrJoin(paths, ", "), "); ",
                   IsInCheckout() ? "`./run --cuda doctor` builds it where the CUDA toolkit is "
                                    "installed; "
                                  : "",
                   "the kernel library \"cpu\" needs none"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelLibrary>> LoadCublasLibrary(int device,
                                                                 absl::string_view directory,
                                                                 ProductPrecision precision) {
  RM_ASSIGN_OR_RETURN(const Plugin plugin, LoadPlugin(directory));
  std::string text(kTextBytes, '\0');
  KernelLibrary* library = nullptr;
  const int code = plugin.create(device, precision, &library, text.data(), text.size());
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), text.c_str());
  RM_CHECK(library != nullptr);
  return std::unique_ptr<KernelLibrary>(library);
}

absl::StatusOr<std::string> DescribeCublas(absl::string_view directory) {
  RM_ASSIGN_OR_RETURN(const Plugin plugin, LoadPlugin(directory));
  std::string text(kTextBytes, '\0');
  const int code = plugin.describe(text.data(), text.size());
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), text.c_str());
  return std::string(text.c_str());
}

absl::StatusOr<int> CountCublasDevices(absl::string_view directory) {
  RM_ASSIGN_OR_RETURN(const Plugin plugin, LoadPlugin(directory));
  std::string text(kTextBytes, '\0');
  int devices = 0;
  const int code = plugin.count(&devices, text.data(), text.size());
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), text.c_str());
  return devices;
}

absl::StatusOr<double> TimeCublasCalls(KernelLibrary& library,
                                       absl::FunctionRef<absl::Status()> work,
                                       absl::string_view directory) {
  RM_CHECK(library.place() == Place::kDevice);
  RM_ASSIGN_OR_RETURN(const Plugin plugin, LoadPlugin(directory));
  std::string text(kTextBytes, '\0');
  double seconds = 0;
  const int code = plugin.time(&library, work, &seconds, text.data(), text.size());
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), text.c_str());
  return seconds;
}

}  // namespace ringmaster
