#ifndef RINGMASTER_TESTS_CLUSTER_GOING_ON_GOING_ON_H_
#define RINGMASTER_TESTS_CLUSTER_GOING_ON_GOING_ON_H_

#include <signal.h>

#include <string>

namespace ringmaster {

// How a worker of a run is lost.
struct WorkerLoss {
  std::string arm;
  std::string transport = "tcp";
  int number = SIGKILL;
  std::string rank = "worker/1";
};

// Runs the arm with three workers, one of which is lost on the way: the others go on to the end,
// score all of the test set, and the record says who was lost.
void ExpectGoesOn(const WorkerLoss& loss);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_GOING_ON_GOING_ON_H_
