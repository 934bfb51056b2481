#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_PAGE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_PAGE_H_

#include <string>

#include "experiments/proof/explain/story.h"

namespace ringmaster {

// The story as one HTML page that animates it, with everything it needs inside: no network when it
// is viewed. Pure.
std::string StoryPage(const Story& story);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_PAGE_H_
