#ifndef RINGMASTER_COMMON_MACHINE_FILE_SYSTEM_H_
#define RINGMASTER_COMMON_MACHINE_FILE_SYSTEM_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace ringmaster {

// The name of a file system of that type (statfs: f_type) that other machines may have mounted too,
// or that passes calls on to a program: "nfs", "lustre". There locks may be missing or hang, memory
// is not shared between machines, and what is known of a file may be seconds old. Empty: a file
// system of this machine alone, or an unknown one. Pure, thread-safe.
absl::string_view NetworkFileSystemName(int64_t type);

// The same of the file system that holds `path`, or where that does not exist yet the nearest
// folder above it that does. Empty where nothing can be asked. Thread-safe.
std::string NetworkFileSystemAt(const std::string& path);

// When the file or folder at `path` was last changed, as the file system says now: a network's is
// asked anew, also where this machine remembers an answer. By the clock of whoever wrote or keeps
// it, so only differences mean anything. NotFound: there is none; else the system's error.
// Thread-safe.
absl::StatusOr<absl::Duration> LastChange(const std::string& path);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_FILE_SYSTEM_H_
