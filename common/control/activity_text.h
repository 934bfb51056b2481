#ifndef RINGMASTER_COMMON_CONTROL_ACTIVITY_TEXT_H_
#define RINGMASTER_COMMON_CONTROL_ACTIVITY_TEXT_H_

#include <string>

#include "proto/record.pb.h"

namespace ringmaster {

// What is known of a node, in words. All are pure.

// "worker/1".
std::string NameOf(const NodeName& node);

// "push step=3 bucket=0", or "push to it step=3 bucket=0" of what is sent to the peer.
std::string DescribeAwaited(const AwaitedMessage& message);

// "worker/0 at step=3 phase=exchange waits for worker/1 (collective step=3 bucket=0) and 2 more",
// "worker/1 at step=3 phase=backward bucket=2 computes", "server/1 at step=0 phase=serve is done".
std::string DescribeActivity(const NodeActivity& activity);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_ACTIVITY_TEXT_H_
