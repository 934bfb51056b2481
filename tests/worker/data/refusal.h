#ifndef RINGMASTER_TESTS_WORKER_DATA_REFUSAL_H_
#define RINGMASTER_TESTS_WORKER_DATA_REFUSAL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"

namespace ringmaster {

// Why `spec` is refused: inspection and loading must say it in the same words.
inline absl::Status RefusalOf(const DataSpec& spec) {
  int64_t train = 0, test = 0;
  const auto shape = InspectDataset(spec, &train, &test);
  const auto dataset = LoadDataset(spec);
  EXPECT_FALSE(shape.ok());
  EXPECT_FALSE(dataset.ok());
  EXPECT_EQ(shape.status(), dataset.status());
  return dataset.status();
}

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_DATA_REFUSAL_H_
