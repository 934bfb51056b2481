#ifndef RINGMASTER_WORKER_DATA_DATASET_H_
#define RINGMASTER_WORKER_DATA_DATASET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/record.pb.h"
#include "worker/data/samples.h"

namespace ringmaster {

class DataSpec;
class RunSpec;

struct Dataset {
  Samples train;
  Samples test;
  DataFacts facts = {};  // of what was loaded; set by LoadDataset
};

// What of a data set is wanted: emulated computing looks at no image, and labels alone need neither
// the time to make images nor a copy of them in every process. The data order, the batches'
// fingerprints and the checks of labels are the same. Of texts all is loaded: tokens are the labels
// of other tokens.
enum class DatasetPart { kAll, kLabels };
DatasetPart DatasetPartFor(const RunSpec& spec);

// Loads (or makes) what the resolved spec names. Errors name the file, what was found and what was
// expected, and how to get it.
absl::StatusOr<Dataset> LoadDataset(const DataSpec& spec, DatasetPart part = DatasetPart::kAll);

// What LoadDataset would find, from file headers alone (no bodies read): for validation before any
// process starts.
absl::StatusOr<SampleShape> InspectDataset(const DataSpec& spec, int64_t* train_count,
                                           int64_t* test_count);

struct DatasetInfo {
  const char* name;
  const char* summary;
};
absl::Span<const DatasetInfo> Datasets();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_DATASET_H_
