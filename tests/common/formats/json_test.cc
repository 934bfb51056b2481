#include "common/formats/json.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(Json, EveryKindOfValueIsWritten) {
  const Json json = {
      nullptr,       true, -3, 18446744073709551615u, 0.1, "text", std::vector<int>{1, 2},
      Json::Object()};
  EXPECT_EQ(json.Dump(), R"([null,true,-3,18446744073709551615,0.1,"text",[1,2],{}])");
}

TEST(Json, ListsOfNamesAndValuesAreObjectsAndOtherListsAreArrays) {
  const Json object = {{"b", 1}, {"a", {{"x", "y"}}}};
  EXPECT_EQ(object.Dump(), R"({"b":1,"a":{"x":"y"}})");
  EXPECT_EQ(Json({{1, 2}, {3, 4}}).Dump(), "[[1,2],[3,4]]");
  EXPECT_EQ(Json({"a", 1, 2}).Dump(), R"(["a",1,2])");
}

TEST(Json, MembersKeepTheOrderInWhichTheyWereAdded) {
  Json json;
  json["z"] = 1;
  json["a"]["below"] = 2;
  json["z"] = 3;
  EXPECT_EQ(json.Dump(), R"({"z":3,"a":{"below":2}})");
  EXPECT_TRUE(json.contains("a"));
  EXPECT_FALSE(json.contains("below"));
}

TEST(Json, AMapIsSortedByName) {
  const std::map<std::string, double, std::greater<>> map = {{"a", 1}, {"c", 2.5}, {"b", 0}};
  EXPECT_EQ(Json::SortedObject(map).Dump(), R"({"a":1.0,"b":0.0,"c":2.5})");
}

TEST(Json, NumbersThatAreNotFiniteAreNull) {
  EXPECT_EQ(Json({std::nan(""), std::numeric_limits<double>::infinity()}).Dump(), "[null,null]");
}

TEST(Json, TextsAreEscapedAndWhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(Json("a\"b\n\xC3\xBC\xFF").Dump(), "\"a\\\"b\\n\xC3\xBC\xEF\xBF\xBD\"");
  EXPECT_EQ(Json({{"\xC3\xBC", "\xC3\xBC"}}).DumpAscii(), R"({"\u00fc":"\u00fc"})");
}

TEST(Json, WhatIsWrittenIsReadBackTheSame) {
  const std::string text =
      R"({"b":[1,-2,0.30000000000000004,1e+300,18446744073709551615],"a":{"t":"\n","n":null,"f":false}})";
  const auto json = Json::Parse(text);
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->Dump(), text);
}

TEST(Json, NoTextOfJsonGivesNothing) {
  EXPECT_FALSE(Json::Parse("").has_value());
  EXPECT_FALSE(Json::Parse("{\"a\":").has_value());
}

TEST(Json, ItemsCanBeWalkedAndChanged) {
  Json rows = Json::Array();
  EXPECT_TRUE(rows.empty());
  rows.push_back({{"n", 1}});
  rows.push_back({{"n", 2}});
  for (Json& row : rows) row["n"] = row["n"].number() * 10;
  rows.back()["text"] = "last";
  EXPECT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.Dump(), R"([{"n":10.0},{"n":20.0,"text":"last"}])");
  EXPECT_EQ(rows.back()["text"].text(), "last");
}

TEST(JsonDeathTest, AValueIsNotReadAsAnotherKind) {
  const Json json = {{"a", 1}};
  EXPECT_DEATH(json["b"], "internal error");
  EXPECT_DEATH(json["a"].text(), "internal error");
  EXPECT_DEATH(json.number(), "internal error");
}

}  // namespace
}  // namespace ringmaster
