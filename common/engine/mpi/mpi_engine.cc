// MPI_Allreduce: libringmaster_mpi.so of Open MPI; with RINGMASTER_MPICH, libringmaster_mpich.so of
// MPICH.

// The C++ bindings of MPI-2 are not part of it any more.
#ifdef RINGMASTER_MPICH
#define MPICH_SKIP_MPICXX 1
#include <mpich/mpi.h>
#else
#define OMPI_SKIP_MPICXX 1
#include <mpi/mpi.h>
#endif

#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/engine/call_guard.h"
#include "common/engine/engine.h"
#include "common/engine/export.h"
#include "common/engine/interfaces.h"

namespace ringmaster {
namespace {

// How long a call may go on after Abort. MPI cannot be told to give one up.
constexpr absl::Duration kAbortGrace = absl::Seconds(1);

// Of the segmented ring, as Open MPI's own decision takes it.
constexpr int kSegmentBytes = 1 << 20;

// What is not the standard's. Of the algorithms, the values of algorithm_variable are the indices.
// `controls`: control variables (MPI_T) that settings() tells.
#ifdef RINGMASTER_MPICH
constexpr char kName[] = "MPICH", kLauncher[] = "mpiexec.hydra";
constexpr const char* kAlgorithms[] = {"default"};
constexpr char kAlgorithmVariable[] = "MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM";
constexpr char kSegmentVariable[] = "";
constexpr const char* kControls[] = {"MPIR_CVAR_CH4_NETMOD", "MPIR_CVAR_CH4_SHM",
                                     "MPIR_CVAR_DEVICE_COLLECTIVES",
                                     "MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM"};
#else
constexpr char kName[] = "Open MPI", kLauncher[] = "mpirun";
constexpr const char* kAlgorithms[] = {
    "default", "basic_linear",   "nonoverlapping", "recursive_doubling",
    "ring",    "segmented_ring", "rabenseifner"};
constexpr char kAlgorithmVariable[] = "coll_tuned_allreduce_algorithm";
constexpr char kSegmentVariable[] = "coll_tuned_allreduce_algorithm_segmentsize";
constexpr const char* kControls[] = {"pml", "btl", "btl_tcp_if_include", "btl_tcp_if_exclude",
                                     "coll_tuned_use_dynamic_rules"};
#endif
// Of the environment: UCX, which either MPI may have below it, knows no other way.
constexpr const char* kEnvironment[] = {"UCX_TLS", "UCX_NET_DEVICES"};

absl::Status StatusOf(int code, absl::string_view what) {
  if (code == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return absl::UnavailableError(absl::StrCat(what, ": ", text));
}

// A control variable of Open MPI's, an int.
class ControlVariable {
 public:
  // `name` without the framework's own prefix; not ok() where this MPI has no such variable.
  explicit ControlVariable(const char* name) {
    int index = 0;
    int count = 0;
    ok_ = MPI_T_cvar_get_index(name, &index) == MPI_SUCCESS &&
          MPI_T_cvar_handle_alloc(index, nullptr, &handle_, &count) == MPI_SUCCESS && count == 1;
  }
  ~ControlVariable() {
    if (handle_ != nullptr) MPI_T_cvar_handle_free(&handle_);
  }
  ControlVariable(const ControlVariable&) = delete;
  ControlVariable& operator=(const ControlVariable&) = delete;

  bool ok() const { return ok_; }
  int Get() {
    int value = 0;
    return ok_ && MPI_T_cvar_read(handle_, &value) == MPI_SUCCESS ? value : 0;
  }
  bool Set(int value) {
    return ok_ && MPI_T_cvar_write(handle_, &value) == MPI_SUCCESS && Get() == value;
  }

 private:
  bool ok_ = false;
  MPI_T_cvar_handle handle_ = nullptr;
};

// As text, a string or an int; empty where it is not there, or says nothing.
std::string TextOf(const char* name) {
  int index = 0, count = 0, bind = 0, scope = 0, verbosity = 0, no_text = 0;
  MPI_Datatype type;
  MPI_T_enum values;
  MPI_T_cvar_handle handle = nullptr;
  if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS ||
      MPI_T_cvar_get_info(index, nullptr, &no_text, &verbosity, &type, &values, nullptr, &no_text,
                          &bind, &scope) != MPI_SUCCESS) {
    return "";
  }
  if (type == MPI_INT) return absl::StrCat(ControlVariable(name).Get());
  if (type != MPI_CHAR) return "";
  if (MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) return "";
  std::string value(static_cast<size_t>(count) + 1, '\0');
  if (MPI_T_cvar_read(handle, value.data()) != MPI_SUCCESS) value.clear();
  MPI_T_cvar_handle_free(&handle);
  return value.c_str();
}

// Has MPI open its sockets at our address alone, unless somebody has said where. It reads these
// when it is initialized.
void ChooseInterface(const std::string& address) {
  const std::string interface = InterfaceOf(address);
  if (interface.empty()) return;
#ifdef RINGMASTER_MPICH
  setenv("UCX_NET_DEVICES", interface.c_str(), /*overwrite=*/0);
#else
  if (std::getenv("OMPI_MCA_btl_tcp_if_exclude") != nullptr) return;
  // The name: of "192.0.2.1/32" version 4.1.4 makes every card that there is.
  setenv("OMPI_MCA_btl_tcp_if_include", interface.c_str(), /*overwrite=*/0);
#endif
}

// The name of the value that the variable has; empty where it is not there.
std::string EnumVariable(const char* name) {
  int index = 0, bind = 0, scope = 0, verbosity = 0, items = 0, no_text = 0;
  MPI_Datatype type;
  MPI_T_enum values;
  if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS ||
      MPI_T_cvar_get_info(index, nullptr, &no_text, &verbosity, &type, &values, nullptr, &no_text,
                          &bind, &scope) != MPI_SUCCESS ||
      values == MPI_T_ENUM_NULL ||
      MPI_T_enum_get_info(values, &items, nullptr, &no_text) != MPI_SUCCESS) {
    return "";
  }
  const int current = ControlVariable(name).Get();
  for (int i = 0; i < items; ++i) {
    int value = 0;
    char text[64] = {};
    int length = sizeof(text);
    if (MPI_T_enum_get_item(values, i, &value, text, &length) == MPI_SUCCESS && value == current)
      return text;
  }
  return "";
}

class MpiEngine : public Engine {
 public:
  // MPI is there once in a process, from MPI_Init to MPI_Finalize.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineSeat& seat) {
    int initialized = 0;
    MPI_Initialized(&initialized);
    if (initialized) {
      return absl::FailedPreconditionError(
          "MPI is initialized once in a process, and it has been already");
    }
    ChooseInterface(seat.listen_address);
    int provided = 0;
    RM_RETURN_IF_ERROR(StatusOf(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided),
                                "MPI_Init_thread"));
    if (provided < MPI_THREAD_SERIALIZED) {
      return absl::FailedPreconditionError(
          absl::StrCat("this MPI was built without threads, and the exchange runs on a thread of "
                       "its own; use Debian's ",
                       kName));
    }
    // Its control variables are an interface of their own.
    RM_RETURN_IF_ERROR(
        StatusOf(MPI_T_init_thread(MPI_THREAD_SERIALIZED, &provided), "MPI_T_init_thread"));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    int rank = 0;
    int ranks = 0;
    RM_RETURN_IF_ERROR(StatusOf(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank"));
    RM_RETURN_IF_ERROR(StatusOf(MPI_Comm_size(MPI_COMM_WORLD, &ranks), "MPI_Comm_size"));
    if (rank != seat.rank || ranks != seat.ranks) {
      return absl::FailedPreconditionError(
          absl::StrCat("MPI says rank ", rank, " of ", ranks, ", expected rank ", seat.rank, " of ",
                       seat.ranks, "; start the ranks with ", kName, "'s ", kLauncher, " -n ",
                       seat.ranks, ", in the order of their ranks"));
    }
    return std::unique_ptr<Engine>(new MpiEngine(seat.listen_address));
  }

  std::string library() const override { return library_; }
  std::string wire() const override { return wire_; }
  std::map<std::string, std::string> settings() const override { return settings_; }
  std::string handicap() const override { return handicap_; }
  absl::Span<const std::string> algorithms() const override { return algorithms_; }

  absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) override {
    RM_CHECK(from == data.data());
    if (data.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
      return absl::InvalidArgumentError(
          absl::StrCat("MPI_Allreduce of ", data.size(), " floats, at most ",
                       std::numeric_limits<int>::max(), "; use smaller buckets"));
    }
    RM_RETURN_IF_ERROR(MakeCommunicator(algorithm));
    RM_RETURN_IF_ERROR(guard_.Begin());
    const int code = MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()),
                                   MPI_FLOAT, MPI_SUM, communicators_[algorithm]);
    RM_RETURN_IF_ERROR(guard_.End());
    return StatusOf(code, absl::StrCat("MPI_Allreduce by ", algorithms_[algorithm]));
  }

  void Abort(const absl::Status& why) override { guard_.Abort(why); }

  absl::Status Finish() override {
    MPI_T_finalize();
    return StatusOf(MPI_Finalize(), "MPI_Finalize");
  }

 private:
  explicit MpiEngine(const std::string& address)
      : algorithms_(std::begin(kAlgorithms), std::end(kAlgorithms)),
        communicators_(algorithms_.size(), MPI_COMM_NULL) {
    char version[MPI_MAX_LIBRARY_VERSION_STRING] = {};
    int length = 0;
    MPI_Get_library_version(version, &length);
    library_ = LibraryOf(version);
    settings_["address"] = address;
    for (const char* name : kControls) Note(name, TextOf(name));
    for (const char* name : kEnvironment) {
      const char* const value = std::getenv(name);
      Note(name, value == nullptr ? "" : value);
    }
    wire_ = WireOf(settings_);
    // Between processes of one host it else copies straight from the sender's memory, which
    // containers often forbid.
    if (absl::StrContains(wire_, "vader") &&
        EnumVariable("btl_vader_single_copy_mechanism") == "none") {
      handicap_ = "no single copy";
    }
    // Its algorithms are its own choice unless it was started with coll_tuned_use_dynamic_rules.
    if (ControlVariable("coll_tuned_use_dynamic_rules").Get() == 0 || !algorithm_.ok())
      algorithms_.resize(1);
  }

  // "Open MPI v4.1.4, package: ...", or "MPICH Version:\t4.0.2\nMPICH Release date: ...".
  static std::string LibraryOf(const std::string& version) {
    std::string first = version.substr(0, version.find_first_of(",\n"));
    absl::StrReplaceAll({{" Version:\t", " "}}, &first);
    return first;
  }
  static std::string WireOf(const std::map<std::string, std::string>& settings) {
    for (const char* name : {"btl", "UCX_TLS"})
      if (const auto found = settings.find(name); found != settings.end()) return found->second;
    return "its own choice";
  }
  void Note(const char* name, std::string value) {
    if (!value.empty()) settings_[name] = std::move(value);
  }

  // A communicator keeps the algorithm that was asked for when it was made.
  absl::Status MakeCommunicator(int32_t algorithm) {
    if (communicators_[algorithm] != MPI_COMM_NULL) return absl::OkStatus();
    if (algorithms_.size() > 1 &&
        !(algorithm_.Set(algorithm) && segment_bytes_.Set(kSegmentBytes))) {
      return absl::FailedPreconditionError(absl::StrCat(
          kName, " does not take algorithm ", algorithm, " (", algorithms_[algorithm], ")"));
    }
    RM_RETURN_IF_ERROR(
        StatusOf(MPI_Comm_dup(MPI_COMM_WORLD, &communicators_[algorithm]), "MPI_Comm_dup"));
    MPI_Comm_set_errhandler(communicators_[algorithm], MPI_ERRORS_RETURN);
    return absl::OkStatus();
  }

  std::string library_;
  std::string wire_;
  std::map<std::string, std::string> settings_;
  std::string handicap_;
  std::vector<std::string> algorithms_;
  std::vector<MPI_Comm> communicators_;  // by algorithm, made when it is first asked for
  ControlVariable algorithm_{kAlgorithmVariable};
  ControlVariable segment_bytes_{kSegmentVariable};
  CallGuard guard_{kAbortGrace};
};

}  // namespace
}  // namespace ringmaster

RINGMASTER_EXPORT_ENGINE(ringmaster::MpiEngine::Create)
