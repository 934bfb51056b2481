#ifndef RINGMASTER_COMMON_SECURITY_OPENSSL_ERRORS_H_
#define RINGMASTER_COMMON_SECURITY_OPENSSL_ERRORS_H_

#include <string>

namespace ringmaster {

// What OpenSSL says of the calling thread's first error that nobody has taken, in its own words;
// takes them all.
std::string TakeOpensslError();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SECURITY_OPENSSL_ERRORS_H_
