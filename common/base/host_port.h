#ifndef RINGMASTER_COMMON_BASE_HOST_PORT_H_
#define RINGMASTER_COMMON_BASE_HOST_PORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// Where a process listens or connects. The one place where host and port become one text and two
// values again.
struct HostPort {
  std::string host;  // a name, or a numeric address without brackets: "10.0.0.1", "::1",
                     // "fe80::1%eth0"; empty: any
  int port = 0;      // 0: the system chooses one

  // "job-0.example:29500", "10.0.0.1:29500", "[::1]:29500", ":29500". InvalidArgument names what is
  // wrong, for example an IPv6 address without brackets.
  static absl::StatusOr<HostPort> Parse(absl::string_view text);

  // The same where the port may be left out: "10.0.0.1", "::1", "[::1]". It is 0 then.
  static absl::StatusOr<HostPort> ParseAddress(absl::string_view text);

  // What Parse reads: "10.0.0.1:29500", "[::1]:29500".
  std::string ToString() const;
};

bool operator==(const HostPort& a, const HostPort& b);

// An IPv6 address may stand in brackets where a host alone is expected: "[::1]" gives "::1"; all
// else stays.
std::string WithoutBrackets(absl::string_view host);

// What a numeric address is, as it stands in HostPort::host; a name that must be resolved is none
// of these. The scope of an IPv6 address ("%eth0") is not looked at.
bool IsNumericAddress(const std::string& host);
// 0.0.0.0, :: or nothing: every address of the machine that listens, and none to connect to.
bool IsWildcard(const std::string& host);
// 127.0.0.0/8 or ::1: reaches the machine (and network namespace) it is used on.
bool IsLoopback(const std::string& host);
// The loopback address of the family of a wildcard: "127.0.0.1", or "::1" for "::".
std::string LoopbackFor(const std::string& wildcard);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_HOST_PORT_H_
