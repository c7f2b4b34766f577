#pragma once
#include "hash_encode.h"

namespace saff {

// Sample i at its neighbour time: (p + f, t) in the unit cube of space and time.
template <class T>
struct DisplacedPoints {
  static constexpr int n_moving = 3;  // a gradient of p + f is one of p and of f; t is given
  const T* positions;                 // (n, 3)
  const T* flows;                     // (n, 3)
  const T* times;                     // (n,)
  T* displaced;                       // (n, 3), forward pass only
  T* valid;                           // (n,), 1 inside and 0 outside, forward pass only

  SAFF_HD void load(int64_t i, T* x) const {
    for (int d = 0; d < 3; ++d) x[d] = positions[i * 3 + d] + flows[i * 3 + d];
    x[3] = times[i];
  }

  SAFF_HD void store(int64_t i, const T* x) const {
    bool inside = inside_unit(x[3]);
    for (int d = 0; d < 3; ++d) {
      displaced[i * 3 + d] = x[d];
      inside = inside && inside_unit(x[d]);
    }
    valid[i] = inside ? T(1) : T(0);
  }
};

}  // namespace saff
