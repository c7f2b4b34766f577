#pragma once
#include <cstdint>

#include "../common/hd.h"
#include "../common/packed.h"

namespace saff {

// One work item is one ray: out = sum_i w_i v_i over its samples, channel by channel.
template <class T>
struct AccumulateForward {
  int64_t n_samples, n_channels;
  const int64_t* packed_info;  // (n_rays, 2): first sample, count
  const T* weights;            // (n_samples,)
  const T* values;             // (n_samples, n_channels)
  T* out;                      // (n_rays, n_channels)

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    T* sums = out + ray * n_channels;
    for (int64_t c = 0; c < n_channels; ++c) sums[c] = T(0);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const T weight = weights[i];
      const T* row = values + i * n_channels;
      for (int64_t c = 0; c < n_channels; ++c) sums[c] += weight * row[c];
    }
  }
};

// dL/dw_i = g . v_i,  dL/dv_i = w_i g. A null gradient is one that nobody asked for.
template <class T>
struct AccumulateBackward {
  int64_t n_samples, n_channels;
  const int64_t* packed_info;
  const T* weights;
  const T* values;
  const T* grad_out;  // (n_rays, n_channels)
  T* grad_weights;    // (n_samples,) or null
  T* grad_values;     // (n_samples, n_channels) or null

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    const T* g = grad_out + ray * n_channels;
    for (int64_t i = range.begin; i < range.end; ++i) {
      if (grad_weights) {
        const T* row = values + i * n_channels;
        T sum = T(0);
        for (int64_t c = 0; c < n_channels; ++c) sum += g[c] * row[c];
        grad_weights[i] = sum;
      }
      if (grad_values) {
        const T weight = weights[i];
        T* row = grad_values + i * n_channels;
        for (int64_t c = 0; c < n_channels; ++c) row[c] = weight * g[c];
      }
    }
  }
};

}  // namespace saff
