#include <string>
#include <vector>

#include "experiments/study/results/summary.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

// A run of processes with these transports.
RunRecord RunOver(const std::vector<std::string>& transports) {
  RunRecord record;
  record.mutable_spec()->set_name("ring");
  record.mutable_spec()->mutable_strategy()->mutable_all_reduce();
  record.mutable_spec()->mutable_transport()->set_name("auto");
  for (const std::string& transport : transports) record.add_reports()->set_transport(transport);
  return record;
}

void AddWire(const std::string& name, int64_t up, int64_t down, WorkerReport* worker) {
  WireTraffic* const wire = worker->add_wires();
  wire->set_wire(name);
  wire->set_payload_bytes_up(up);
  wire->set_payload_bytes_down(down);
}

TEST(Wires, TheTransportOfARunIsThatOfAllItsProcesses) {
  EXPECT_EQ(Summarize(RunOver({"grpc", "grpc"})).transport(), "grpc");
  EXPECT_EQ(Summarize(RunOver({"tcp", "shm+tcp", "shm+tcp"})).transport(), "shm+tcp");
  EXPECT_EQ(Summarize(RunOver({"tcp", "shm"})).transport(), "shm+tcp");
  EXPECT_EQ(Summarize(RunOver({"", "tcp"})).transport(), "tcp");
  EXPECT_EQ(Summarize(RunOver({})).transport(), "auto");
}

TEST(Wires, TheLineHasTheMeanOfWorkersAndSteps) {
  RunRecord record = RunOver({"shm+tcp", "tcp"});
  WorkerReport* const first = record.mutable_reports(0)->add_workers();
  WorkerReport* const second = record.mutable_reports(1)->add_workers();
  for (WorkerReport* const worker : {first, second}) {
    worker->add_step_ms(1);
    worker->add_step_ms(1);
  }
  AddWire("shm", 20'000'000, 0, first);
  AddWire("tcp", 4'000, 2'000, first);
  AddWire("tcp", 4'000, 49'200'000, second);
  EXPECT_EQ(WiresText(record),
            "wires: ring: shm 5 MB, tcp 2 kB a step up, shm 0 kB, tcp 12.3 MB down");
}

TEST(Wires, OneWireNeedsNoLine) {
  RunRecord record = RunOver({"tcp"});
  WorkerReport* const worker = record.mutable_reports(0)->add_workers();
  worker->add_step_ms(1);
  EXPECT_EQ(WiresText(record), "");
  AddWire("tcp", 4'000, 4'000, worker);
  EXPECT_EQ(WiresText(record), "");
}

}  // namespace
}  // namespace ringmaster
