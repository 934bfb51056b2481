#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SCHEMA_VERSION_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SCHEMA_VERSION_H_

namespace ringmaster {

// Of all JSON that the program prints and of the lines of results.jsonl, under this key in the
// outermost object. A key may be added at any time; when one is removed, or changes its type, unit
// or meaning, the number rises (docs/FORMATS.md).
inline constexpr char kSchemaVersionKey[] = "schema_version";
inline constexpr int kSchemaVersion = 1;

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_SCHEMA_VERSION_H_
