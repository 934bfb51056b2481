// The C interface: texts and handles in and out; session.h has what it does.

#include "experiments/program/session/ringmaster.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "experiments/program/run/programs/description.h"
#include "experiments/program/session/session.h"
#include "google/protobuf/util/json_util.h"

struct ringmaster_program {
  ringmaster::ProgramDescription description;
  int64_t elements = 0;
  bool lacks_weights = false;  // a tensor has no initial values
  std::vector<std::string> files;
};

struct ringmaster_session {
  std::unique_ptr<ringmaster::Session> session;
};

namespace {

using ringmaster::Handover;

constexpr int64_t kMostElements = int64_t{1} << 38;

char* Copy(const std::string& text) {
  auto* const copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy != nullptr) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

void Tell(const std::string& text, char** error) {
  if (error != nullptr) *error = Copy(text);
}

// What `work` returns, a Status or StatusOr, with exceptions of libraries as errors: none may pass.
template <typename Work>
auto Guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& exception) {
    return absl::InternalError(absl::StrCat("an exception in the library: ", exception.what()));
  } catch (...) {
    return absl::InternalError("an exception in the library, of a kind that says nothing");
  }
}

// 0, or -1 with the error's text.
template <typename Work>
int32_t Do(char** error, Work work) {
  const absl::Status status = Guarded([&]() -> absl::Status { return work(); });
  if (status.ok()) return 0;
  Tell(std::string(status.message()), error);
  return RINGMASTER_FAILED;
}

// The process's open session, which ends with it; null: none.
ABSL_CONST_INIT absl::Mutex open_mutex(absl::kConstInit);
ringmaster_session* open_session ABSL_GUARDED_BY(open_mutex) = nullptr;
bool is_opening ABSL_GUARDED_BY(open_mutex) = false;

// At the end of a process that has not closed its session: the run hears of it, and no thread of
// ours outlives what it uses.
void CloseAtExit() {
  ringmaster_session* left = nullptr;
  {
    absl::MutexLock lock(&open_mutex);
    left = std::exchange(open_session, nullptr);
  }
  if (left == nullptr) return;
  left->session->Fail("it ended before the run was over");
  left->session->Close().IgnoreError();
}

absl::StatusOr<int32_t> AddTensor(ringmaster_program* program, const char* name,
                                  absl::Span<const int64_t> shape, const float* initial) {
  if (name == nullptr || *name == '\0')
    return absl::InvalidArgumentError("a tensor without a name: expected one that no other has");
  ringmaster::ProgramModelSpec& model = program->description.model;
  for (const auto& tensor : model.tensors()) {
    if (tensor.name() == name) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\": there is one of this name; expected another"));
    }
  }
  int64_t count = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || extent > kMostElements / count) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\" with an extent of ", extent,
                       ": expected at least 1, and 2^38 elements together at most"));
    }
    count *= extent;
  }
  for (int64_t i = 0; initial != nullptr && i < count; ++i) {
    if (!std::isfinite(initial[i])) {
      return absl::InvalidArgumentError(absl::StrCat("tensor \"", name, "\" starts from ",
                                                     initial[i], " at element ", i,
                                                     ": expected a number"));
    }
  }
  auto* const tensor = model.add_tensors();
  tensor->set_name(name);
  tensor->mutable_shape()->Add(shape.begin(), shape.end());
  program->elements += count;
  std::vector<float>& weights = program->description.weights;
  if (initial == nullptr) program->lacks_weights = true;
  if (program->lacks_weights) {
    weights.clear();
  } else {
    weights.insert(weights.end(), initial, initial + count);
  }
  return model.tensors_size() - 1;
}

absl::StatusOr<std::unique_ptr<ringmaster::Session>> Open(const ringmaster_program& program,
                                                          const std::vector<std::string>& words) {
  if (program.description.model.tensors().empty()) {
    return absl::InvalidArgumentError(
        "the program has no tensors: ringmaster_program_add_tensor says what it trains");
  }
  if (!program.description.data.has_train_samples()) {
    return absl::InvalidArgumentError(
        "the program has no samples: ringmaster_program_set_samples says how many");
  }
  std::vector<std::string> files = program.files;
  if (files.empty()) files.push_back("/proc/self/exe");
  RM_ASSIGN_OR_RETURN(std::string fingerprint, ringmaster::FingerprintOfFiles(std::move(files)));
  return ringmaster::Session::Open(program.description, std::move(fingerprint), words);
}

Handover& HandoverOf(ringmaster_session* session) { return session->session->handover(); }

}  // namespace

extern "C" {

int32_t ringmaster_version(void) { return RINGMASTER_VERSION; }

void ringmaster_free(char* text) { std::free(text); }

ringmaster_program* ringmaster_program_new(int32_t version, char** error) {
  if (version == RINGMASTER_VERSION) return new (std::nothrow) ringmaster_program;
  Tell(absl::StrCat("the program was made for version ", version,
                    " of Ringmaster's C interface, and this library is of version ",
                    RINGMASTER_VERSION, "; use the header (or the Python package) that came with ",
                    "the library"),
       error);
  return nullptr;
}

void ringmaster_program_free(ringmaster_program* program) { delete program; }

int32_t ringmaster_program_add_tensor(ringmaster_program* program, const char* name,
                                      const int64_t* shape, int32_t dimensions,
                                      const float* initial, char** error) {
  const absl::StatusOr<int32_t> number = Guarded([&]() -> absl::StatusOr<int32_t> {
    if (dimensions < 0 || (dimensions > 0 && shape == nullptr)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a tensor of ", dimensions, " dimensions: expected its shape"));
    }
    return AddTensor(program, name, absl::MakeConstSpan(shape, dimensions), initial);
  });
  if (number.ok()) return *number;
  Tell(std::string(number.status().message()), error);
  return RINGMASTER_FAILED;
}

int32_t ringmaster_program_set_samples(ringmaster_program* program, int64_t train_samples,
                                       int64_t test_samples, char** error) {
  return Do(error, [&] {
    if (train_samples < 1 || test_samples < 0 || train_samples > INT32_MAX ||
        test_samples > INT32_MAX - train_samples) {
      return absl::InvalidArgumentError(
          absl::StrCat(train_samples, " training and ", test_samples,
                       " test samples: expected at least 1, and at least 0, together below 2^31"));
    }
    program->description.data.set_train_samples(train_samples);
    program->description.data.set_test_samples(test_samples);
    return absl::OkStatus();
  });
}

int32_t ringmaster_program_add_file(ringmaster_program* program, const char* path, char** error) {
  return Do(error, [&] {
    if (path == nullptr || access(path, R_OK) != 0) {
      return absl::NotFoundError(
          absl::StrCat("file ", path == nullptr ? "NULL" : path, ": cannot be read"));
    }
    program->files.push_back(path);
    return absl::OkStatus();
  });
}

ringmaster_session* ringmaster_open(const ringmaster_program* program, int32_t argument_count,
                                    const char* const* arguments, char** error) {
  const absl::Status free = Guarded([] {
    absl::MutexLock lock(&open_mutex);
    if (open_session != nullptr || is_opening) {
      return absl::FailedPreconditionError(
          "this process has a session already: it is one worker; close it first");
    }
    is_opening = true;
    static const bool registered = std::atexit(CloseAtExit) == 0;
    static_cast<void>(registered);
    return absl::OkStatus();
  });
  if (!free.ok()) {
    Tell(std::string(free.message()), error);
    return nullptr;
  }
  auto session = Guarded([&] {
    return Open(*program, std::vector<std::string>(arguments, arguments + argument_count));
  });
  absl::MutexLock lock(&open_mutex);
  is_opening = false;
  if (!session.ok()) {
    Tell(std::string(session.status().message()), error);
    return nullptr;
  }
  open_session = new ringmaster_session{*std::move(session)};
  return open_session;
}

void ringmaster_get_facts(const ringmaster_session* session, ringmaster_facts* facts) {
  *facts = session->session->facts();
}

char* ringmaster_get_spec(const ringmaster_session* session) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status =
      google::protobuf::util::MessageToJsonString(session->session->spec(), &text, options);
  return Copy(status.ok() ? text : "{}");
}

int32_t ringmaster_next(ringmaster_session* session, int32_t timeout_ms, ringmaster_moment* moment,
                        char** error) {
  const absl::Duration timeout =
      timeout_ms < 0 ? absl::InfiniteDuration() : absl::Milliseconds(timeout_ms);
  const int32_t failed = Do(error, [&]() -> absl::Status {
    RM_ASSIGN_OR_RETURN(*moment, HandoverOf(session).Next(timeout));
    return absl::OkStatus();
  });
  return failed == 0 ? moment->kind : RINGMASTER_FAILED;
}

int32_t ringmaster_backward(ringmaster_session* session, float** gradients, char** error) {
  return Do(error, [&]() -> absl::Status {
    RM_ASSIGN_OR_RETURN(*gradients, HandoverOf(session).Backward());
    return absl::OkStatus();
  });
}

int32_t ringmaster_ready(ringmaster_session* session, int32_t first, int32_t count, char** error) {
  return Do(error, [&] { return HandoverOf(session).Ready(first, count); });
}

int32_t ringmaster_end_step(ringmaster_session* session, double loss, char** error) {
  return Do(error, [&] { return HandoverOf(session).EndStep(loss); });
}

int32_t ringmaster_score(ringmaster_session* session, double loss_sum, int64_t correct,
                         int64_t count, char** error) {
  return Do(error, [&] { return HandoverOf(session).Score({loss_sum, correct, count}); });
}

void ringmaster_fail(ringmaster_session* session, const char* reason) {
  Do(nullptr, [&] {
    session->session->Fail(reason == nullptr ? "it does not say why" : reason);
    return absl::OkStatus();
  });
}

int32_t ringmaster_close(ringmaster_session* session, char** error) {
  if (session == nullptr) return 0;
  {
    absl::MutexLock lock(&open_mutex);
    if (open_session == session) open_session = nullptr;
  }
  const int32_t result = Do(error, [&] { return session->session->Close(); });
  delete session;
  return result;
}

}  // extern "C"
