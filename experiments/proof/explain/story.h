#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringmaster {

// What one place of the table holds. The kind decides the colour, the text says the same in words.
struct Holding {
  enum class Kind { kNothing, kOwn, kPartial, kWhole };
  Kind kind = Kind::kNothing;
  std::string text;
};

// Something that one actor sends to another.
struct StoryMessage {
  int32_t from = 0;  // indices of Story::actors
  int32_t to = 0;
  std::string what;  // "chunk 2, added"
};

// A moment: what is sent, what is worth saying, and what everyone holds afterwards.
struct Scene {
  std::string title;
  std::vector<StoryMessage> messages;
  std::vector<std::string> remarks;
  std::vector<std::vector<Holding>> holdings;  // [actors][columns]
};

// One thing to know about the scheme, by the name under which a reader looks for it.
struct Fact {
  std::string name;  // "waits"
  std::string text;  // sentences
};

// A scheme of exchange told scene by scene, for a reader: data that a page and a terminal both
// show.
struct Story {
  std::string title;
  std::string summary;              // what the scheme does
  std::string legend;               // how to read the table
  std::vector<std::string> actors;  // workers, then servers
  int32_t workers = 0;              // of the actors
  std::vector<std::string> columns;
  std::vector<Scene> scenes;       // the first: before anything is sent
  std::vector<std::string> moral;  // what it costs, in sentences
  std::vector<Fact> facts;         // what holds beyond these scenes
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_STORY_H_
