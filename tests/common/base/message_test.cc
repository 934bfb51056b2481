#include "common/base/message.h"

#include <vector>

#include "absl/hash/hash.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Tag, DiffersInEveryPartButTheNote) {
  const Tag tag = {MessageKind::kCollective, 1, 2, 3, 4, 5, 6};
  std::vector<Tag> tags(7, tag);
  tags[1].kind = MessageKind::kPush;
  ++tags[2].round;
  ++tags[3].bucket;
  ++tags[4].step;
  ++tags[5].piece;
  ++tags[6].channel;
  for (size_t i = 0; i < tags.size(); ++i) {
    for (size_t j = 0; j < tags.size(); ++j) {
      EXPECT_EQ(tags[i] == tags[j], i == j) << i << " " << j;
      EXPECT_EQ(absl::HashOf(tags[i]) == absl::HashOf(tags[j]), i == j) << i << " " << j;
    }
  }
  Tag noted = tag;
  ++noted.note;
  EXPECT_TRUE(noted == tag);
}

TEST(Tag, TextNamesPieceAndChannelWhereThereIsOne) {
  EXPECT_EQ(ToString(Tag{MessageKind::kPush, 0, 3, 12}), "push step=12 bucket=3");
  EXPECT_EQ(ToString(Tag{MessageKind::kCollective, 0, 3, 12}),
            "collective step=12 bucket=3 round=0");
  EXPECT_EQ(ToString(Tag{MessageKind::kCollective, 1, 3, 12, 0, 7, 65535}),
            "collective step=12 bucket=3 round=1 piece=7 channel=65535");
}

}  // namespace
}  // namespace ringmaster
