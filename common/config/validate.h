#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What validation must know of a codec; from CodecTraits.
struct KnownCodec {
  std::string name;
  bool exact = false;
  bool summable_on_wire = false;
};

// The registries' names. They are handed in because this package sees neither workers nor transports; whoever
// assembles the program fills them from Models(), Datasets(), KernelLibraries(), Codecs(), Transports(),
// Collectives() and Engines().
struct KnownNames {
  std::vector<std::string> models;
  std::vector<std::string> datasets;
  std::vector<std::string> kernels;  // without "auto"
  std::vector<KnownCodec> codecs;
  std::vector<std::string> transports;
  std::vector<std::string> collectives;
  std::vector<std::string> engines;  // collective libraries that are not ours, named as collectives too
};

// Whether `resolved` (from Resolve) can be run. InvalidArgument lists everything that is wrong, one line each: field,
// value, what is expected and what to do. Pure, thread-safe; looks at no file and no device.
absl::Status Validate(const RunSpec& resolved, const KnownNames& known);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_H_
