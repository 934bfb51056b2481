// What a process says at the end of a failed run.

#include "common/base/check.h"
#include "common/control/activity_text.h"
#include "common/control/last_words.h"
#include "common/trace/thread_recorder.h"
#include "proto/control.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

Join JoinOfTwo() {
  Join join;
  join.add_nodes()->set_index(1);
  NodeName* const server = join.add_nodes();
  server->set_index(1);
  server->set_server(true);
  return join;
}

}  // namespace

std::vector<std::string> Seeds() {
  LastWords words;
  const Join join = JoinOfTwo();
  for (const NodeName& node : join.nodes()) {
    NodeLastWords* const of_node = words.add_nodes();
    *of_node->mutable_activity()->mutable_node() = node;
    of_node->mutable_activity()->set_phase("forward");
    of_node->set_parked("a stack");
    ThreadTrace* const thread = of_node->add_threads();
    thread->set_node(NameOf(node));
    thread->set_thread("step");
    thread->add_spans()->set_phase("forward");
    TraceMessage* const message = thread->add_sent();
    message->set_peer("worker/0");
    message->set_kind("push");
  }
  return {words.SerializeAsString(), LastWords().SerializeAsString()};
}

bool TryInput(absl::string_view input) {
  LastWords words;
  if (!words.ParseFromString(std::string(input))) return false;
  if (!CheckLastWords(words, JoinOfTwo()).ok()) return false;
  RM_CHECK(words.nodes_size() <= 2);
  for (const NodeLastWords& node : words.nodes()) {
    RM_CHECK(static_cast<int64_t>(node.parked().size()) <= kParkedBytesMax);
    int64_t events = 0;
    for (const ThreadTrace& thread : node.threads())
      events += thread.spans_size() + thread.sent_size() + thread.received_size();
    RM_CHECK(events <= ThreadRecorder::kLastEvents);
  }
  return true;
}

}  // namespace ringmaster
