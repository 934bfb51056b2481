// The runs of `ringmaster verify` cover what they claim, and unlike runs are refused by the name of
// what differs.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/comparable.h"
#include "experiments/proof/verify/plan.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "tests/fairness/specs.h"

namespace ringmaster {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// From the spec down to a field.
using FieldPath = std::vector<const FieldDescriptor*>;

// A setting's columns by name.
std::vector<std::string> ColumnsOf(const Setting& setting) {
  std::vector<std::string> columns = {absl::StrCat("N=", setting.workers),
                                      absl::StrCat("bucket=", setting.bucket_bytes),
                                      setting.transport};
  if (setting.servers == 0) {
    columns.push_back(setting.exchange);
  } else {
    columns.push_back(absl::StrCat("K=", setting.servers));
    columns.push_back(setting.colocated ? "co-located" : "dedicated");
  }
  return columns;
}

// The pairs of values of different columns that occur in no row, among rows with (or without)
// servers on a network.
std::set<std::string> MissingPairs(const std::vector<Setting>& rows, bool with_servers) {
  std::vector<std::set<std::string>> values;
  std::set<std::pair<std::string, std::string>> seen;
  for (const Setting& row : rows) {
    if ((row.servers > 0) != with_servers || std::string(row.transport) == "inproc") continue;
    const std::vector<std::string> columns = ColumnsOf(row);
    values.resize(columns.size());
    for (size_t i = 0; i < columns.size(); ++i) {
      values[i].insert(columns[i]);
      for (size_t j = i + 1; j < columns.size(); ++j) seen.emplace(columns[i], columns[j]);
    }
  }
  std::set<std::string> missing;
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_GE(values[i].size(), 2u) << "column " << i << " has one value";
    for (size_t j = i + 1; j < values.size(); ++j) {
      for (const std::string& a : values[i]) {
        for (const std::string& b : values[j]) {
          if (seen.count({a, b}) == 0) missing.insert(absl::StrCat(a, " with ", b));
        }
      }
    }
  }
  return missing;
}

TEST(CoveringSettings, MeetInEveryPairAndNoRowIsIdle) {
  const std::vector<Setting> all(CoveringSettings().begin(), CoveringSettings().end());
  for (const bool with_servers : {false, true})
    EXPECT_THAT(MissingPairs(all, with_servers), IsEmpty());
  for (size_t i = 0; i < all.size(); ++i) {
    if (std::string(all[i].transport) == "inproc") continue;
    std::vector<Setting> without = all;
    without.erase(without.begin() + static_cast<int64_t>(i));
    EXPECT_THAT(MissingPairs(without, all[i].servers > 0), Not(IsEmpty())) << "row " << i;
  }
}

TEST(CoveringSettings, RunAtEveryNumberOfWorkersWithExactSumsBesideSingle) {
  size_t runs = 0;
  for (const int32_t workers : {3, 4, 8}) {
    const auto specs = ExactSumRuns(workers, 1);
    ASSERT_TRUE(specs.ok()) << specs.status();
    EXPECT_TRUE(specs->front().strategy().has_single());
    for (const RunSpec& spec : *specs) {
      EXPECT_TRUE(spec.training().deterministic()) << spec.name();
      EXPECT_EQ(spec.training().workers(), workers) << spec.name();
      EXPECT_EQ(spec.training().steps(), 20) << spec.name();
    }
    runs += specs->size() - 1;
  }
  EXPECT_EQ(runs, CoveringSettings().size());
}

// Another value than the one the field has.
void Change(Message* message, const FieldDescriptor& field) {
  const auto* reflection = message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      if (field.is_repeated()) return reflection->AddInt32(message, &field, 77);
      return reflection->SetInt32(message, &field, reflection->GetInt32(*message, &field) + 1);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, &field, reflection->GetInt64(*message, &field) + 1);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, &field, reflection->GetUInt64(*message, &field) + 1);
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (field.is_repeated()) return reflection->AddFloat(message, &field, 0.5f);
      return reflection->SetFloat(message, &field, reflection->GetFloat(*message, &field) + 0.5f);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, &field, reflection->GetDouble(*message, &field) + 0.5);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, &field, !reflection->GetBool(*message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(message, &field,
                                      reflection->GetEnumValue(*message, &field) + 1);
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.is_repeated()) return reflection->AddString(message, &field, "x");
      return reflection->SetString(message, &field, reflection->GetString(*message, &field) + "x");
    case FieldDescriptor::CPPTYPE_MESSAGE:
      reflection->AddMessage(message, &field);
      return;
    default:
      ADD_FAILURE() << field.full_name() << " has a type this test does not know";
  }
}

// The paths to all fields below `type` but the strategy, the codec, the name and what a run leaves
// behind.
void FindFields(const google::protobuf::Descriptor& type, const FieldPath& prefix,
                std::vector<FieldPath>* paths) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    static const auto* const kMayDiffer =
        new std::set<std::string>{"name", "strategy", "codec", "output"};
    if (prefix.empty() && kMayDiffer->count(field->name()) > 0) continue;
    FieldPath path = prefix;
    path.push_back(field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) {
      FindFields(*field->message_type(), path, paths);
    } else {
      paths->push_back(path);
    }
  }
}

TEST(UnlikeRuns, AreRefusedByTheNameOfTheFieldWhicheverItIs) {
  const RunSpec ring = ArmOf("ring", SmallSpec(2, false));
  const RunSpec ps = ArmOf("ps", SmallSpec(2, false));
  EXPECT_TRUE(CheckComparable(ring, ps).ok());
  std::vector<FieldPath> paths;
  FindFields(*RunSpec::descriptor(), {}, &paths);
  EXPECT_GE(paths.size(), 30u);
  for (const FieldPath& path : paths) {
    RunSpec changed = ps;
    Message* message = &changed;
    std::string name;
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      absl::StrAppend(&name, path[i]->name(), ".");
      message = message->GetReflection()->MutableMessage(message, path[i]);
    }
    absl::StrAppend(&name, path.back()->name());
    Change(message, *path.back());
    const absl::Status status = CheckComparable(ring, changed);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat(": ", name, " is ")));
  }
}

}  // namespace
}  // namespace ringmaster
