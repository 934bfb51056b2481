#ifndef RINGMASTER_COMMON_VECMATH_ADAM_FACTORS_H_
#define RINGMASTER_COMMON_VECMATH_ADAM_FACTORS_H_

namespace ringmaster {

// The numbers of one step of Adam that are the same for all elements.
struct AdamFactors {
  float first_keep = 0;    // beta1
  float first_share = 0;   // 1 - beta1
  float second_keep = 0;   // beta2
  float second_share = 0;  // 1 - beta2
  float root_factor = 0;   // 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
  float step = 0;  // rate / (1 - beta1^t)
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_VECMATH_ADAM_FACTORS_H_
