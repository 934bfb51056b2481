#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_RANKS_TEXT_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_RANKS_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringmaster {

// Ascending ranks in words, runs of three and more drawn together: "0, 2-5, 7".
std::string RanksText(const std::vector<int32_t>& ranks);

// The same for a sum of their gradients: "0+2..5+7".
std::string SumText(const std::vector<int32_t>& ranks);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_RANKS_TEXT_H_
