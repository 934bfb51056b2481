#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_TEXT_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_TEXT_H_

#include <string>

#include "experiments/proof/explain/story.h"

namespace ringmaster {

// The story for a terminal, as UTF-8 text that ends with a newline: under each scene its messages,
// several side by side within `width` columns (at least 40), then the table of what everyone holds.
// Pure.
std::string StoryText(const Story& story, int width);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_TEXT_H_
