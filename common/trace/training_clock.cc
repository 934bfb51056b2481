#include "common/trace/training_clock.h"

namespace ringmaster {
namespace {

using Pauses = google::protobuf::RepeatedPtrField<TrainingPause>;

int64_t EndOf(const TrainingPause& pause) { return pause.begin_ns() + pause.duration_ns(); }

Pauses Common(const Pauses& a, const Pauses& b) {
  Pauses common;
  for (int i = 0, j = 0; i < a.size() && j < b.size();) {
    const int64_t begin = std::max(a[i].begin_ns(), b[j].begin_ns());
    const int64_t end = std::min(EndOf(a[i]), EndOf(b[j]));
    if (begin < end) {
      TrainingPause* const pause = common.Add();
      pause->set_begin_ns(begin);
      pause->set_duration_ns(end - begin);
    }
    EndOf(a[i]) < EndOf(b[j]) ? ++i : ++j;
  }
  return common;
}

}  // namespace

Pauses CommonPauses(const std::vector<const Pauses*>& of_workers) {
  if (of_workers.empty()) return {};
  Pauses common = *of_workers.front();
  for (const Pauses* pauses : of_workers) common = Common(common, *pauses);
  return common;
}

}  // namespace ringmaster
