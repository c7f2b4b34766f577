#pragma once
#include <cmath>
#include <cstdint>

#include "../common/hd.h"

namespace saff {

// One work item is one block of values, a cache line in single precision. A block whose gradients are all zero is
// neither read further nor written: most of a hash table is not touched by one batch.
template <class T>
struct LazyAdam {
  static constexpr int64_t kBlock = 16;
  int64_t n;
  T step_size;            // lr / (1 - beta1^step)
  T root_of_correction;   // sqrt(1 - beta2^step)
  T beta2, rest1, rest2;  // rest = 1 - beta, which single precision would round away
  T eps;
  const T* grad;  // (n,)
  T* parameter;   // (n,)
  T* exp_avg;     // (n,)
  T* exp_avg_sq;  // (n,)

  SAFF_HD void operator()(int64_t block) const {
    const int64_t first = block * kBlock;
    if (n - first >= kBlock) {
      update(first, kBlock);  // a count known to the compiler
    } else {
      update(first, n - first);
    }
  }

  SAFF_HD void update(int64_t first, int64_t count) const {
    int touched = 0;  // not a bool, with which the comparisons are not vectorised
    for (int64_t i = first; i < first + count; ++i) touched |= grad[i] != T(0);  // NaN is not zero
    if (!touched) return;
    for (int64_t i = first; i < first + count; ++i) {
      const T g = grad[i];
      exp_avg[i] += rest1 * (g - exp_avg[i]);
      exp_avg_sq[i] = beta2 * exp_avg_sq[i] + rest2 * g * g;
      parameter[i] -= step_size * exp_avg[i] / (std::sqrt(exp_avg_sq[i]) / root_of_correction + eps);
    }
  }
};

}  // namespace saff
