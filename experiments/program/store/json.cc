#include "experiments/program/store/json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/control/activity_text.h"
#include "common/formats/json.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/schema_version.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
// The shortest decimal that reads back as the same float: 0.05 rather than 0.05000000074505806.
double ShortestDecimal(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(value));
    if (std::strtof(text, nullptr) == value) break;
  }
  return std::strtod(text, nullptr);
}

Json MessageJson(const Message& message);

// The field's value, or its element `index` where it is repeated.
Json ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& r = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? r.GetRepeatedInt32(message, &field, index) : r.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return repeated ? r.GetRepeatedInt64(message, &field, index) : r.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? r.GetRepeatedUInt32(message, &field, index) : r.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return repeated ? r.GetRepeatedUInt64(message, &field, index) : r.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return repeated ? r.GetRepeatedDouble(message, &field, index) : r.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return ShortestDecimal(repeated ? r.GetRepeatedFloat(message, &field, index)
                                      : r.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return repeated ? r.GetRepeatedBool(message, &field, index) : r.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (repeated ? r.GetRepeatedEnum(message, &field, index) : r.GetEnum(message, &field))
          ->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? r.GetRepeatedString(message, &field, index) : r.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(repeated ? r.GetRepeatedMessage(message, &field, index)
                                  : r.GetMessage(message, &field));
  }
  return nullptr;
}

// The fields that are set, under their names in the .proto file.
Json MessageJson(const Message& message) {
  Json json = Json::Object();
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      json[field->name()] = ValueJson(message, *field, 0);
      continue;
    }
    Json& values = json[field->name()] = Json::Array();
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) values.push_back(ValueJson(message, *field, i));
  }
  return json;
}

template <typename Messages>
Json MessagesJson(const Messages& messages) {
  Json array = Json::Array();
  for (const auto& message : messages) array.push_back(MessageJson(message));
  return array;
}

// Five digits are more than a clock or a float32 loss is good for, and keep lines short.
Json RoundedArray(const google::protobuf::RepeatedField<float>& values) {
  Json array = Json::Array();
  for (const float value : values) array.push_back(std::round(value * 1e5) / 1e5);
  return array;
}

// What went over each wire, zeros too.
Json WiresJson(const WorkerReport& worker) {
  Json array = Json::Array();
  for (const WireTraffic& wire : worker.wires()) {
    array.push_back({{"wire", wire.wire()},
                     {"payload_bytes_up", wire.payload_bytes_up()},
                     {"payload_bytes_down", wire.payload_bytes_down()}});
  }
  return array;
}

// What was measured step by step, where the record still has its reports: evaluations, and a series
// for each rank.
void AddSeries(const RunRecord& record, Json* json) {
  Json evaluations = Json::Array();
  Json series = Json::Array();
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      for (const Evaluation& evaluation : worker.evaluations())
        evaluations.push_back(MessageJson(evaluation));
      series.push_back({{"rank", worker.rank()},
                        {"step_ms", RoundedArray(worker.step_ms())},
                        {"loss", RoundedArray(worker.step_loss())}});
      if (!worker.untimed_steps().empty()) {
        Json& untimed = series.back()["untimed_steps"] = Json::Array();
        for (const int32_t step : worker.untimed_steps()) untimed.push_back(int64_t{step});
      }
      if (!worker.checkpoint_ms().empty())
        series.back()["checkpoint_ms"] = RoundedArray(worker.checkpoint_ms());
      if (!worker.engine_settings().empty()) {
        Json& settings = series.back()["engine_settings"] = Json::Object();
        const std::map<std::string, std::string> sorted(worker.engine_settings().begin(),
                                                        worker.engine_settings().end());
        for (const auto& [name, value] : sorted) settings[name] = value;
      }
      if (worker.has_halves()) series.back()["halves"] = MessageJson(worker.halves());
      if (!worker.wires().empty()) series.back()["wires"] = WiresJson(worker);
      if (worker.rank() != 0 || worker.bucket_collectives().empty()) continue;
      Json& collectives = (*json)["bucket_collectives"] = Json::Array();
      for (const std::string& name : worker.bucket_collectives()) collectives.push_back(name);
    }
  }
  if (series.empty()) return;
  (*json)["evaluations"] = std::move(evaluations);
  (*json)["series"] = std::move(series);
}

// Of each process that has kept checkpoints.
void AddCheckpointing(const RunRecord& record, Json* json) {
  Json processes = Json::Array();
  for (const ProcessReport& process : record.reports()) {
    if (process.has_checkpointing()) processes.push_back(MessageJson(process.checkpointing()));
  }
  if (!processes.empty()) (*json)["checkpointing"] = std::move(processes);
}

Json FigureJson(const Figure& figure, std::optional<double> value) {
  if (!value.has_value()) return nullptr;
  return figure.is_whole ? Json(static_cast<int64_t>(*value)) : Json(*value);
}

// Names of the nodes and, in the same order, each figure of nodes; what is not defined for a node
// is null.
Json NodesObject(const RunSummary& summary) {
  Json json = {{"node", Json::Array()}, {"process", Json::Array()}, {"shared", Json::Array()}};
  for (const NodeFigures& node : summary.nodes()) {
    json["node"].push_back(node.node());
    json["process"].push_back(node.process());
    json["shared"].push_back(node.shared());
  }
  for (const Figure& figure : Figures()) {
    if (figure.of_node == nullptr) continue;
    Json& values = json[figure.tag] = Json::Array();
    for (const NodeFigures& node : summary.nodes()) {
      const auto found = node.figures().find(figure.tag);
      values.push_back(FigureJson(
          figure, found == node.figures().end() ? std::nullopt : std::optional(found->second)));
    }
  }
  return json;
}

std::string LowerCase(const std::string& text) { return absl::AsciiStrToLower(text); }

double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

void AddMessageEvents(const std::string& thread, const char* what,
                      const google::protobuf::RepeatedPtrField<TraceMessage>& messages,
                      std::vector<std::pair<int64_t, Json>>* events) {
  for (const TraceMessage& message : messages) {
    Json event = {{"at_ms", Milliseconds(message.time_ns())},
                  {"thread", thread},
                  {"what", what},
                  {"message", message.kind()},
                  {"peer", message.peer()},
                  {"step", message.step()},
                  {"bucket", message.bucket()},
                  {"round", message.round()},
                  {"piece", message.piece()},
                  {"bytes", message.payload_bytes()}};
    events->push_back({message.time_ns(), std::move(event)});
  }
}

// The last events of all threads of a node, by the time when each was over.
Json EventsJson(const NodeLastWords& node) {
  std::vector<std::pair<int64_t, Json>> events;
  for (const ThreadTrace& thread : node.threads()) {
    for (const TraceSpan& span : thread.spans()) {
      Json event = {{"at_ms", Milliseconds(span.begin_ns())},
                    {"thread", thread.thread()},
                    {"what", span.phase()},
                    {"step", span.step()},
                    {"bucket", span.bucket()},
                    {"ms", Milliseconds(span.duration_ns())}};
      events.push_back({span.begin_ns() + span.duration_ns(), std::move(event)});
    }
    AddMessageEvents(thread.thread(), "sent", thread.sent(), &events);
    AddMessageEvents(thread.thread(), "received", thread.received(), &events);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Json json = Json::Array();
  for (auto& [time, event] : events) json.push_back(std::move(event));
  return json;
}

Json NodeLastWordsJson(const NodeLastWords& node) {
  const NodeActivity& activity = node.activity();
  Json awaited = Json::Array();
  for (const AwaitedMessage& message : activity.awaited()) {
    awaited.push_back({{"peer", NameOf(message.peer())},
                       {"message", LowerCase(AwaitedMessage::Kind_Name(message.kind()))},
                       {"is_send", message.is_send()},
                       {"step", message.step()},
                       {"bucket", message.bucket()}});
  }
  return {{"node", NameOf(activity.node())},
          {"state", LowerCase(NodeActivity::State_Name(activity.state()))},
          {"step", activity.step()},
          {"phase", activity.phase()},
          {"bucket", activity.bucket()},
          {"since_seconds", node.since_seconds()},
          {"awaited", std::move(awaited)},
          {"parked", node.parked()},
          {"events", EventsJson(node)}};
}

// How the run ended for each process.
Json LastWordsJson(const RunRecord& record) {
  Json json = Json::Array();
  for (const LastWords& words : record.last_words()) {
    Json nodes = Json::Array();
    for (const NodeLastWords& node : words.nodes()) nodes.push_back(NodeLastWordsJson(node));
    const bool spoke = words.silent_because().empty();
    json.push_back({{"process", words.process()},
                    {"pid", words.pid()},
                    {"silent_because", spoke ? Json(nullptr) : Json(words.silent_because())},
                    {"heard_seconds", words.heard_seconds()},
                    {"nodes", std::move(nodes)}});
  }
  return json;
}

// Each field that was tuned, by its path: the value, and whether it lies at its grid's edge.
Json TunedObject(const RunSummary& summary) {
  Json json = Json::Object();
  for (const TunedValue& tuned : summary.tuned())
    json[tuned.field()] = {{"value", tuned.value()}, {"at_edge", tuned.at_edge()}};
  return json;
}

Json TurnsJson(const RunRecord& record) {
  Json turns = Json::Array();
  for (const ArmTurn& turn : record.turns()) {
    turns.push_back({{"begin_step", turn.begin_step()},
                     {"end_step", turn.end_step()},
                     {"begin_seconds", turn.begin_seconds()},
                     {"seconds", turn.seconds()}});
  }
  return turns;
}

Json RecordJson(const RunRecord& record) {
  const RunSummary& summary = record.summary();
  // Null where it is not set.
  const auto field = [&](const char* name) -> Json {
    const FieldDescriptor& descriptor = *summary.GetDescriptor()->FindFieldByName(name);
    if (descriptor.has_presence() && !summary.GetReflection()->HasField(summary, &descriptor))
      return nullptr;
    return ValueJson(summary, descriptor, 0);
  };
  Json json = Json::Object();
  json["run_id"] = record.run_id();
  json["started_at"] = record.started_at();
  for (const char* name : {"arm", "strategy", "codec", "workers", "servers", "work", "transport",
                           "status", "steps", "global_batch", "weights_sha256"}) {
    json[name] = field(name);
  }
  for (const Figure& figure : Figures()) {
    if (figure.in_json) json[figure.tag] = FigureJson(figure, figure.value(summary));
  }
  json["phase_ms"] = Json::SortedObject(summary.phase_ms());
  Json& seconds = json["seconds_to_accuracy"] = Json::Object();
  for (const AccuracyThreshold& threshold : AccuracyThresholds()) {
    const auto found = summary.seconds_to_accuracy().find(threshold.name);
    seconds[threshold.name] =
        found == summary.seconds_to_accuracy().end() ? Json(nullptr) : Json(found->second);
  }
  json["nodes"] = NodesObject(summary);
  if (record.has_prediction()) json["prediction"] = MessageJson(record.prediction());
  if (record.has_simulation()) json["simulation"] = MessageJson(record.simulation());
  if (record.has_sweep()) {
    json["sweep"] = MessageJson(record.sweep());
    json["sweep"]["trial"] = record.sweep().trial();
    json["sweep"]["settings"] = Json::Parse(record.sweep().settings()).value_or(nullptr);
  }
  if (summary.tuned_size() > 0) json["tuned"] = TunedObject(summary);
  if (record.tuning_size() > 0) json["tuning"] = MessagesJson(record.tuning());
  if (record.turns_size() > 0) json["turns"] = TurnsJson(record);
  if (record.has_resumption()) json["resumption"] = MessageJson(record.resumption());
  if (record.losses_size() > 0) json["losses"] = MessagesJson(record.losses());
  if (record.faults_size() > 0) json["faults"] = MessagesJson(record.faults());
  if (record.stopped()) json["stopped"] = true;
  AddCheckpointing(record, &json);
  if (record.has_conditions()) json["conditions"] = MessageJson(record.conditions());
  if (record.hosts_size() > 0) {
    Json& hosts = json["hosts"] = Json::Array();
    for (const int32_t host : record.hosts()) hosts.push_back(host);
  }
  if (record.has_inputs()) json["inputs"] = MessageJson(record.inputs());
  json["build"] = MessageJson(record.build());
  if (record.memory_needs_size() > 0) json["memory_needs"] = MessagesJson(record.memory_needs());
  if (record.confinements_size() > 0) json["confinements"] = MessagesJson(record.confinements());
  json["machine"] = MessageJson(record.machine());
  json["spec"] = MessageJson(record.spec());
  if (record.last_words_size() > 0) json["last_words"] = LastWordsJson(record);
  AddSeries(record, &json);
  json[kSchemaVersionKey] = kSchemaVersion;
  return json;
}

std::string OneLine(const Json& json) { return json.Dump(); }

}  // namespace

std::string SummaryJson(const RunRecord& record) { return OneLine(RecordJson(record)); }

std::string ComparisonJson(const std::vector<RunRecord>& records, const SaidOfRuns& said) {
  Json runs = Json::Array();
  for (const RunRecord& record : records) runs.push_back(RecordJson(record));
  const auto texts = [](const std::vector<std::string>& lines) {
    Json array = Json::Array();
    for (const std::string& line : lines) array.push_back(line);
    return array;
  };
  return OneLine(Json{{"runs", runs},
                      {"doubts", texts(said.doubts)},
                      {"notes", texts(said.notes)},
                      {"turns", said.took_turns},
                      {"why_no_turns", said.took_turns ? Json(nullptr) : Json(said.why_no_turns)},
                      {kSchemaVersionKey, kSchemaVersion}});
}

std::string NodesJson(const RunSummary& summary) { return OneLine(NodesObject(summary)); }

std::string TunedJson(const RunSummary& summary) { return OneLine(TunedObject(summary)); }

}  // namespace ringmaster
