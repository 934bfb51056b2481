#ifndef RINGMASTER_COMMON_MACHINE_CHECKOUT_H_
#define RINGMASTER_COMMON_MACHINE_CHECKOUT_H_

namespace ringmaster {

// Whether the working folder is the root of this project's source, so that ./run and
// third_party/setup can be named in advice; not so in a bundle, or elsewhere. Thread-safe.
bool IsInCheckout();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_CHECKOUT_H_
