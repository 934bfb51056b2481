#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_SPEC_FIELDS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_SPEC_FIELDS_H_

#include <map>
#include <string>

#include "google/protobuf/message.h"

namespace ringmaster {

// Every field of a message that is set, by its path as --set takes it, "training.workers" -> "2".
// Elements of a repeated field are one value, "[31, 64]"; an empty submessage has none. Pure,
// thread-safe.
std::map<std::string, std::string> SpecFields(const google::protobuf::Message& message);

// A field's name where there is little room: "N" for training.workers, "model" for model.name, else
// the last part of the path with the next one before it where the last says little ("network
// megabits_per_second"). Pure.
std::string ShortFieldName(const std::string& path);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_SPEC_FIELDS_H_
