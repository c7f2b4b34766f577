#pragma once
#include <cstdint>

#include "../common/hd.h"

namespace saff {

// One work item is one sample: three channels, each an affine function of the direction.
template <class T>
struct DirectionalForward {
  int64_t stride;         // from one sample's coefficients to the next one's
  const T* coefficients;  // (n_samples, 12): three constants, then the rows of a 3x3 matrix
  const T* directions;    // (n_samples, 3)
  T* values;              // (n_samples, 3)

  SAFF_HD void operator()(int64_t sample) const {
    const T *c = coefficients + stride * sample, *d = directions + 3 * sample;
    for (int channel = 0; channel < 3; ++channel) {
      const T* row = c + 3 + 3 * channel;
      values[3 * sample + channel] = c[channel] + (row[0] * d[0] + row[1] * d[1] + row[2] * d[2]);
    }
  }
};

template <class T>
struct DirectionalBackward {
  const T* directions;
  const T* grad_values;  // (n_samples, 3)
  T* grad_coefficients;  // (n_samples, 12)

  SAFF_HD void operator()(int64_t sample) const {
    const T *g = grad_values + 3 * sample, *d = directions + 3 * sample;
    T* grad = grad_coefficients + 12 * sample;
    for (int channel = 0; channel < 3; ++channel) {
      grad[channel] = g[channel];
      for (int k = 0; k < 3; ++k) grad[3 + 3 * channel + k] = g[channel] * d[k];
    }
  }
};

}  // namespace saff
