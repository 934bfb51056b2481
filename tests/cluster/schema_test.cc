// Readers of yesterday against the output of today. schema_1.txt has every key, with its types,
// that JSON of schema version 1 and the CSV of reports had when it was written down: all of them
// must still be there. A key that the program has gained since needs no line in it; a line is taken
// out only together with a new version.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFixture[] = "tests/cluster/schema_1.txt";
constexpr int kVersion = 1;

// A line of the fixture: "DOCUMENT PATH [TYPES [?]]". A path has a key or "*", every element,
// between slashes. "?": not every object of its kind has the key.
struct Promise {
  std::string document, path;
  std::vector<std::string> types;
  bool optional = false;
};

std::vector<Promise> Promises() {
  std::ifstream file(kFixture);
  std::vector<Promise> promises;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    promises.push_back({words.at(0), words.at(1), {}, words.size() > 3});
    if (words.size() > 2) promises.back().types = absl::StrSplit(words[2], ',');
  }
  return promises;
}

std::string TypeOf(const json& value) {
  if (value.is_number_integer()) return "integer";
  return value.type_name();  // "null", "boolean", "number", "string", "array", "object"
}

// The values at `path`, and how many of the objects that should have its last key lack it.
void Follow(const json& at, std::vector<std::string> path, std::vector<const json*>* found,
            int* lacking) {
  if (path.empty()) return found->push_back(&at);
  const std::string key = path.front();
  path.erase(path.begin());
  if (key == "*") {
    for (const json& element : at) Follow(element, path, found, lacking);
  } else if (at.is_object()) {
    if (at.contains(key)) return Follow(at[key], path, found, lacking);
    if (path.empty()) ++*lacking;
  }
}

// Arrays of texts, such as doubts, may be empty: on a quiet machine there are none.
bool IsEmptyArray(const Promise& promise, const std::vector<json>& documents) {
  std::vector<std::string> path = absl::StrSplit(promise.path, '/');
  if (path.back() != "*") return false;
  path.pop_back();
  std::vector<const json*> arrays;
  int lacking = 0;
  for (const json& document : documents) Follow(document, path, &arrays, &lacking);
  const auto is_empty = [](const json* value) { return value->is_array() && value->empty(); };
  return !arrays.empty() && std::all_of(arrays.begin(), arrays.end(), is_empty);
}

void Check(const Promise& promise, const std::vector<json>& documents) {
  std::vector<const json*> found;
  int lacking = 0;
  for (const json& document : documents)
    Follow(document, absl::StrSplit(promise.path, '/'), &found, &lacking);
  EXPECT_TRUE(!found.empty() || IsEmptyArray(promise, documents))
      << promise.document << ": nothing at " << promise.path;
  if (!promise.optional) {
    EXPECT_EQ(lacking, 0) << promise.document << ": objects without " << promise.path;
  }
  for (const json* value : found) {
    EXPECT_THAT(promise.types, ::testing::Contains(TypeOf(*value)))
        << promise.document << " " << promise.path << ": " << *value;
  }
}

std::vector<json> LinesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

json ByArm(const std::vector<json>& runs) {
  json by_arm;
  for (const json& run : runs) by_arm[run["arm"].get<std::string>()] = run;
  return by_arm;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// A comparison and a sweep of the same kinds of runs as those that the fixture was written from.
class Schema : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::string out = NewFolder("schema");
    const Finished compared = RunProgram(
        {"compare", "--arms", "single,solo,dp,ps,async-topk,ring", "--data", "synthetic", "--model",
         "mlp", "--steps", "30", "--evaluate-every", "2560", "--batch", "128", "--set",
         "training.warmup_steps=5", "--json", "--out", out});
    ASSERT_EQ(compared.exit_code, 0) << compared.err;
    documents_["compare"] = {json::parse(compared.out)};
    const std::string swept = NewFolder("schema-sweep");
    documents_["lines"] = LinesOf(out + "/results.jsonl");
    const std::string file = swept + "/sweep.textproto";
    std::ofstream(file)
        << "base { model { name: 'mlp' } data { name: 'synthetic' } training { steps: 20 } }\n"
           "axes { field: 'arm' values: ['ps', 'ring'] } trials: 2\n";
    const Finished sweep = RunProgram({"sweep", file, "--out", swept});
    ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
    documents_["sweep"] = LinesOf(swept + "/results.jsonl");
    json report = json::parse(RunProgram({"report", out, "--format", "json"}).out);
    json tables;
    for (const json& table : report["tables"]) tables[table["id"].get<std::string>()] = table;
    report["tables"] = tables;
    documents_["report"] = {report};
    documents_["list"] = {json::parse(RunProgram({"list", "--json"}).out)};
    const std::vector<std::string> lines =
        absl::StrSplit(RunProgram({"report", out, "--format", "csv"}).out, "\r\n");
    heads_ = absl::StrSplit(lines.at(0), ',');
    for (size_t i = 1; i + 1 < lines.size(); ++i) {
      const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
      ASSERT_EQ(cells.size(), heads_.size());
      for (size_t k = 0; k < cells.size(); ++k) csv_[cells.at(2)][heads_[k]] = cells[k];
    }
  }

  static std::map<std::string, std::vector<json>> documents_;
  static std::vector<std::string> heads_;
  static std::map<std::string, std::map<std::string, std::string>> csv_;  // by arm
};
std::map<std::string, std::vector<json>> Schema::documents_;
std::vector<std::string> Schema::heads_;
std::map<std::string, std::map<std::string, std::string>> Schema::csv_;

TEST_F(Schema, EveryKeyThatWasPromisedIsThereWithItsType) {
  const std::vector<Promise> promises = Promises();
  ASSERT_GT(promises.size(), 400u) << kFixture;
  for (const Promise& promise : promises) {
    if (promise.document != "csv") Check(promise, documents_[promise.document]);
  }
}

TEST_F(Schema, TheColumnsOfCsvStandWhereTheyStood) {
  std::vector<std::string> promised;
  for (const Promise& promise : Promises()) {
    if (promise.document == "csv") promised.push_back(promise.path);
  }
  ASSERT_GE(heads_.size(), promised.size());
  const std::vector<std::string> first(heads_.begin(),
                                       heads_.begin() + static_cast<int64_t>(promised.size()));
  EXPECT_EQ(first, promised);
}

TEST_F(Schema, WhateverIsJsonSaysItsVersion) {
  for (const auto& [name, documents] : documents_) {
    for (const json& document : documents) EXPECT_EQ(document["schema_version"], kVersion) << name;
  }
  for (const json& run : documents_["compare"][0]["runs"])
    EXPECT_EQ(run["schema_version"], kVersion);
  const json doctor = json::parse(RunProgram({"doctor", "--json"}).out);
  EXPECT_EQ(doctor["schema_version"], kVersion);
}

// What the names say, from raw values that stand beside them.
TEST_F(Schema, KeysStillMeanWhatTheyMeant) {
  for (const json& run : documents_["lines"]) {
    const std::string arm = run["arm"];
    std::vector<double> step_ms, medians;  // of the timed steps; by rank
    for (const json& series : run["series"]) {
      const json& all = series["step_ms"];
      const json untimed = series.value("untimed_steps", json::array());
      std::vector<double> own;
      for (size_t step = run["spec"]["training"]["warmup_steps"]; step < all.size(); ++step) {
        if (std::find(untimed.begin(), untimed.end(), step) == untimed.end())
          own.push_back(all[step]);
      }
      if (own.empty()) continue;  // others claimed all that was left
      medians.push_back(MedianOf(own));
      step_ms.insert(step_ms.end(), own.begin(), own.end());
    }
    // Of unlike ranks it is the middle rank's.
    const double p50 = run["step_ms_p50"];
    const bool is_of_one = std::any_of(medians.begin(), medians.end(), [&](double median) {
      return std::abs(median - p50) < 2e-5;
    });
    EXPECT_TRUE(is_of_one || std::abs(MedianOf(step_ms) - p50) < 2e-5) << arm;
    EXPECT_LE(run["step_ms_p50"], run["step_ms_p95"]) << arm;
    const double slowest = *std::max_element(step_ms.begin(), step_ms.end());
    EXPECT_LE(run["step_ms_p95"].get<double>(), slowest + 1e-5) << arm;
    EXPECT_EQ(run["global_batch"], 256) << arm;
    if (!run["exposed_comm_ms"].is_null()) {
      EXPECT_EQ(run["exposed_comm_ms"], run["phase_ms"]["exposed"]) << arm;
      EXPECT_GE(run["hidden_comm_ms"], 0) << arm;
    }
    if (run["test_accuracy"].is_null()) continue;
    EXPECT_EQ(run["test_accuracy"], run["evaluations"].back()["test_accuracy"]) << arm;
    EXPECT_NEAR(std::stod(csv_[arm]["test_accuracy"]), 100 * run["test_accuracy"].get<double>(),
                1e-6)
        << arm;
  }
  const json runs = ByArm(documents_["lines"]);
  // mlp of 784-128-10: 101770 floats; a server's worker sends all gradients, and gets all weights.
  EXPECT_EQ(runs["ps"]["bytes_up_per_step"], 4 * 101770.0);
  EXPECT_EQ(runs["ps"]["bytes_down_per_step"], 4 * 101770.0);
  EXPECT_EQ(csv_["ps"]["kilobytes_up_per_step"], "407.08");
  EXPECT_EQ(runs["ps"]["staleness_max"], 0);
  const double speed = std::stod(csv_["ring"]["samples_per_second"]);
  EXPECT_NEAR(speed, runs["ring"]["samples_per_second"], 1e-4 * speed);
  EXPECT_NEAR(std::stod(csv_["ring"]["efficiency"]),
              100 * speed / runs["solo"]["samples_per_second"].get<double>(), 1e-3);
  EXPECT_NEAR(std::stod(csv_["ps"]["samples_per_second_per_node"]) * 3,
              runs["ps"]["samples_per_second"], 1e-2);
}

TEST_F(Schema, WhatProcessesTakeIsMeasuredInEveryRole) {
  const json runs = ByArm(documents_["lines"]);
  for (const auto& [arm, run] : runs.items()) {
    if (run["cpu_ms_per_sample"].is_null()) {
      // A worker that claimed nothing after its untimed steps: others were faster.
      EXPECT_EQ(arm, "async-topk");
      const json& by_node = run["nodes"]["step_ms_p50"];
      EXPECT_TRUE(by_node[0].is_null() || by_node[1].is_null()) << run["nodes"];
      continue;
    }
    EXPECT_GT(run["cpu_ms_per_sample"], 0) << arm;
    EXPECT_GT(run["pss_bytes"], 1 << 20) << arm;
    EXPECT_GT(run["peak_rss_bytes"], run["worker_pss_bytes"]) << arm;
    // A process has all cores at most, over its own timed steps; but for what clocks round.
    const double wall_ms =
        run["workers"].get<double>() * 1000 / run["samples_per_second"].get<double>();
    EXPECT_LE(run["worker_cpu_ms_per_sample"].get<double>(),
              1.2 * wall_ms * run["machine"]["cores"].get<double>())
        << arm;
  }
  EXPECT_TRUE(runs["ring"]["server_pss_bytes"].is_null());
  EXPECT_GT(runs["ps"]["server_pss_bytes"], 0);
  EXPECT_NEAR(runs["ps"]["cpu_ms_per_sample"].get<double>(),
              runs["ps"]["worker_cpu_ms_per_sample"].get<double>() +
                  runs["ps"]["server_cpu_ms_per_sample"].get<double>(),
              1e-9);
  EXPECT_EQ(runs["ps"]["nodes"]["node"], json({"worker/0", "worker/1", "server/0"}));
  EXPECT_EQ(runs["ps"]["nodes"]["shared"], json({false, false, false}));
  EXPECT_EQ(runs["dp"]["nodes"]["shared"], json({true, true, true}));
  EXPECT_EQ(runs["ring"]["nodes"]["step_ms_p50"].size(), 2u);
}

TEST(Columns, AreChosenByTheirTags) {
  const std::vector<std::string> arguments = {
      "compare", "--arms",  "solo", "--data", "synthetic",          "--model",
      "mlp",     "--steps", "20",   "--out",  NewFolder("columns"), "--columns"};
  std::vector<std::string> good = arguments, bad = arguments;
  good.push_back("step_ms_p50,pss_bytes");
  const Finished shown = RunProgram(good);
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out,
              AllOf(HasSubstr("step p50"), HasSubstr("memory"), Not(HasSubstr("kB/step"))));
  bad.push_back("step_ms_p50,pss_byte");
  const Finished refused = RunProgram(bad);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("--columns: \"pss_byte\": no such figure; did you mean \"pss_bytes\"?"));
}

}  // namespace
}  // namespace ringmaster
