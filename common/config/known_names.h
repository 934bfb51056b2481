#ifndef RINGMASTER_COMMON_CONFIG_KNOWN_NAMES_H_
#define RINGMASTER_COMMON_CONFIG_KNOWN_NAMES_H_

#include <string>
#include <vector>

namespace ringmaster {

// The registries' names. They are handed in because this package sees neither workers nor
// transports; whoever assembles the program fills them from Models(), Datasets(), KernelLibraries()
// and Transports().
struct KnownNames {
  std::vector<std::string> models;
  std::vector<std::string> datasets;
  std::vector<std::string> kernels;  // without "auto"
  std::vector<std::string> transports;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_KNOWN_NAMES_H_
