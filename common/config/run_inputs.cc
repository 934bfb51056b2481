#include "common/config/run_inputs.h"

#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

struct Field {
  const char* name;
  std::string there, here;
};

std::string FirstDifference(std::initializer_list<Field> fields) {
  for (const Field& field : fields) {
    if (field.there == field.here) continue;
    const auto shown = [](const std::string& value) { return value.empty() ? "none" : value; };
    return absl::StrCat(field.name, " (", shown(field.here), " here, ", shown(field.there),
                        " there)");
  }
  return "";
}

}  // namespace

std::string DataDifference(const DataFacts& there, const DataFacts& here) {
  const auto count = [](int64_t value) { return absl::StrCat(value); };
  return FirstDifference({
      {"number of training samples", count(there.train_samples()), count(here.train_samples())},
      {"number of test samples", count(there.test_samples()), count(here.test_samples())},
      {"number of classes", count(there.classes()), count(here.classes())},
      {"labels of the training set", there.train_labels(), here.train_labels()},
      {"images or texts of the training set", there.train_inputs(), here.train_inputs()},
      {"labels of the test set", there.test_labels(), here.test_labels()},
      {"images or texts of the test set", there.test_inputs(), here.test_inputs()},
      {"mean", absl::StrJoin(there.mean(), ","), absl::StrJoin(here.mean(), ",")},
      {"deviation", absl::StrJoin(there.deviation(), ","), absl::StrJoin(here.deviation(), ",")},
      {"fingerprint", there.fingerprint(), here.fingerprint()},
  });
}

std::string InputsDifference(const RunInputs& there, const RunInputs& here) {
  const std::string data = DataDifference(there.data(), here.data());
  if (!data.empty()) return data;
  return FirstDifference(
      {{"weights of training.init_weights", there.init_weights(), here.init_weights()},
       {"files of the program", there.program(), here.program()}});
}

std::string InputsKey(const RunSpec& spec, const RunInputs& inputs) {
  const std::string data =
      spec.data().name() == "synthetic" ? std::string() : inputs.data().fingerprint();
  if (data.empty() && inputs.init_weights().empty()) return "";
  const std::string key = absl::StrCat(data, "/", inputs.init_weights());
  return inputs.program().empty() ? key : absl::StrCat(key, "/", inputs.program());
}

}  // namespace ringmaster
