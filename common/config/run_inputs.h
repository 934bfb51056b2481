#ifndef RINGMASTER_COMMON_CONFIG_RUN_INPUTS_H_
#define RINGMASTER_COMMON_CONFIG_RUN_INPUTS_H_

#include <string>

#include "proto/record.pb.h"

namespace ringmaster {

class RunSpec;

// What a run reads beside its spec, as part of what makes runs comparable. Pure, thread-safe.

// The first thing in which two data sets differ, with both values: "labels of the training set
// (fingerprint 8 here, 7 there)", where `here` is the second; empty: they do not differ.
std::string DataDifference(const DataFacts& there, const DataFacts& here);

// The same of all that two runs of one spec read; empty: nothing.
std::string InputsDifference(const RunInputs& there, const RunInputs& here);

// Two runs of one resolved spec are of one cell if these are equal. Empty for runs that read no
// files (synthetic data follow from the spec), and for records without inputs.
std::string InputsKey(const RunSpec& spec, const RunInputs& inputs);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_RUN_INPUTS_H_
