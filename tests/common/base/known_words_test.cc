#include "common/base/known_words.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

const std::vector<std::string>& Words() {
  static const auto* const words = new std::vector<std::string>{
      "ps",      "ps-sharded", "ssp",   "ring", "async", "binomial-tree", "learning_rate",
      "cifar10", "arms",       "batch", "data"};
  return *words;
}

TEST(KnownWords, TypingErrorsAndPartsOfAWordFindIt) {
  const struct {
    const char* given;
    const char* meant;
  } kCases[] = {{"rings", "ring"},
                {"rign", "ring"},
                {"RING", "ring"},
                {"arm", "arms"},
                {"asnyc", "async"},
                {"cifar", "cifar10"},
                {"learning-rat", "learning_rate"},
                {"tree", "binomial-tree"},
                {"batch-size", "batch"},
                {"dataset", "data"},
                {"ps_sharded", "ps-sharded"},
                {"lerning_rte", "learning_rate"},
                {"ssq", "ssp"}};
  for (const auto& one : kCases) EXPECT_EQ(NearestWord(one.given, Words()), one.meant) << one.given;
}

TEST(KnownWords, WhatIsFarFromAllIsNotGuessed) {
  for (const char* given : {"", "x", "zip", "zzzzzzzz", "transformer", "pq7"})
    EXPECT_EQ(NearestWord(given, Words()), "") << given;
  EXPECT_EQ(NearestWord("ring", {}), "");
  EXPECT_EQ(NearestWord(std::string(1 << 20, 'r'), Words()), "");
}

TEST(KnownWords, TheTextHasTheNearestFirstAndThenAll) {
  EXPECT_EQ(KnownWordsText("rong", {"ps", "ring"}), "did you mean \"ring\"? known are ps, ring");
  EXPECT_EQ(KnownWordsText("carrot", {"ps", "ring"}), "known are ps, ring");
}

}  // namespace
}  // namespace ringmaster
