#include "common/base/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int kPortMax = 65535;

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": ", what));
}

absl::StatusOr<int> ParsePort(absl::string_view text, absl::string_view port) {
  int number = 0;
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(port, &number) || number > kPortMax) {
    return Wrong(
        text, absl::StrCat("the port is \"", port, "\", expected a number from 0 to ", kPortMax));
  }
  return number;
}

absl::StatusOr<HostPort> ParseBracketed(absl::string_view text, bool needs_port) {
  const size_t end = text.find(']');
  if (end == absl::string_view::npos)
    return Wrong(text, "the bracket is not closed; expected [ADDRESS]:PORT");
  HostPort parsed{std::string(text.substr(1, end - 1)), 0};
  absl::string_view rest = text.substr(end + 1);
  if (parsed.host.find(':') == std::string::npos) {
    return Wrong(text, "brackets are for IPv6 addresses, such as [::1]; leave them out");
  }
  if (rest.empty() && !needs_port) return parsed;
  if (!absl::ConsumePrefix(&rest, ":"))
    return Wrong(text, "expected a port after the bracket, [ADDRESS]:PORT");
  RM_ASSIGN_OR_RETURN(parsed.port, ParsePort(text, rest));
  return parsed;
}

absl::StatusOr<HostPort> ParseText(absl::string_view text, bool needs_port) {
  if (!text.empty() && text[0] == '[') return ParseBracketed(text, needs_port);
  if (text.find("://") != absl::string_view::npos)
    return Wrong(text, "a URL; expected HOST:PORT without a scheme");
  if (text.find_first_of(" \t\n") != absl::string_view::npos)
    return Wrong(text, "no host has a space in its name");
  const auto colons = std::count(text.begin(), text.end(), ':');
  if (colons > 1) {
    if (!needs_port && IsNumericAddress(std::string(text))) return HostPort{std::string(text), 0};
    return Wrong(
        text,
        "an IPv6 address with a port stands in brackets: [ADDRESS]:PORT, such as [::1]:29500");
  }
  if (colons == 0) {
    if (!needs_port) return HostPort{std::string(text), 0};
    return Wrong(text, "expected HOST:PORT, such as 10.0.0.1:29500 or [::1]:29500");
  }
  const size_t colon = text.find(':');
  HostPort parsed{std::string(text.substr(0, colon)), 0};
  RM_ASSIGN_OR_RETURN(parsed.port, ParsePort(text, text.substr(colon + 1)));
  return parsed;
}

struct Numeric {
  bool wildcard = false;
  bool loopback = false;
};

Numeric KindOf(const in_addr& address) {
  const uint32_t value = ntohl(address.s_addr);
  return {value == INADDR_ANY, value >> 24 == IN_LOOPBACKNET};
}

std::optional<Numeric> ReadNumeric(const std::string& host) {
  in_addr v4{};
  // The forms that the system takes too, such as "127.1" or "0".
  if (inet_aton(host.c_str(), &v4) != 0) return KindOf(v4);
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) != 1) return std::nullopt;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    std::memcpy(&v4, v6.s6_addr + 12, sizeof(v4));
    return KindOf(v4);
  }
  return Numeric{IN6_IS_ADDR_UNSPECIFIED(&v6) != 0, IN6_IS_ADDR_LOOPBACK(&v6) != 0};
}

}  // namespace

absl::StatusOr<HostPort> HostPort::Parse(absl::string_view text) { return ParseText(text, true); }

absl::StatusOr<HostPort> HostPort::ParseAddress(absl::string_view text) {
  return ParseText(text, false);
}

std::string HostPort::ToString() const {
  const bool brackets = host.find(':') != std::string::npos;
  return absl::StrCat(brackets ? "[" : "", host, brackets ? "]:" : ":", port);
}

bool operator==(const HostPort& a, const HostPort& b) {
  return a.host == b.host && a.port == b.port;
}

std::string WithoutBrackets(absl::string_view host) {
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return std::string(brackets ? host.substr(1, host.size() - 2) : host);
}

bool IsNumericAddress(const std::string& host) { return ReadNumeric(host).has_value(); }

bool IsWildcard(const std::string& host) {
  if (host.empty()) return true;
  const std::optional<Numeric> numeric = ReadNumeric(host);
  return numeric && numeric->wildcard;
}

bool IsLoopback(const std::string& host) {
  const std::optional<Numeric> numeric = ReadNumeric(host);
  return numeric && numeric->loopback;
}

std::string LoopbackFor(const std::string& wildcard) {
  const bool is_v6 =
      wildcard.find(':') != std::string::npos && wildcard.find('.') == std::string::npos;
  return is_v6 ? "::1" : "127.0.0.1";
}

}  // namespace ringmaster
