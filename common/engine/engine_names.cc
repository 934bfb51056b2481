#include "common/engine/engine_names.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"

namespace ringmaster {
namespace {

constexpr EngineInfo kEngines[] = {
    {"mpi", "Open MPI's MPI_Allreduce; ranks are started by mpirun", "libopenmpi-dev",
     EngineGpus::kNone, "mpirun"},
    {"mpich", "MPICH's MPI_Allreduce; ranks are started by mpiexec.hydra", "libmpich-dev",
     EngineGpus::kNone, "mpiexec.hydra"},
    {"gloo", "Gloo over sockets of its own, as in torch.distributed", "libgloo-dev"},
    {"nccl", "NCCL, one GPU a rank; data goes through device memory",
     "the CUDA toolkit with nccl.h", EngineGpus::kOneEach},
    {"cuda_ipc", "sums in the memory of the one GPU that the ranks share, by CUDA IPC",
     "the CUDA toolkit", EngineGpus::kOneForAll},
};

}  // namespace

absl::Span<const EngineInfo> Engines() { return kEngines; }

bool IsEngine(absl::string_view name) {
  return std::any_of(std::begin(kEngines), std::end(kEngines),
                     [&](const EngineInfo& info) { return info.name == name; });
}

absl::StatusOr<const EngineInfo*> FindEngine(absl::string_view name) {
  for (const EngineInfo& info : kEngines) {
    if (info.name == name) return &info;
  }
  return absl::NotFoundError(absl::StrCat("engine \"", name, "\" is unknown; ",
                                          KnownWordsText(name, RegistryNames(kEngines))));
}

EngineGpus EngineGpusOf(absl::string_view name) {
  const auto info = FindEngine(name);
  return info.ok() ? (*info)->gpus : EngineGpus::kNone;
}

absl::string_view EngineLauncherOf(absl::string_view name) {
  const auto info = FindEngine(name);
  return info.ok() ? (*info)->launcher : absl::string_view();
}

}  // namespace ringmaster
