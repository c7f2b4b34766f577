#pragma once
#include <cstdint>

#include "../common/hd.h"
#include "../common/packed.h"

namespace saff {

// Where the samples of the rays lie. The distance between two midpoints is the mean of those between starts and between
// ends: subtracting near numbers is exact, while the midpoints themselves would be rounded.
template <class T>
struct Intervals {
  const T* t_starts;  // (n_samples,)
  const T* t_ends;    // (n_samples,)

  SAFF_HD T length(int64_t i) const { return t_ends[i] - t_starts[i]; }
  SAFF_HD T distance(int64_t i, int64_t j) const {
    return ((t_starts[j] - t_starts[i]) + (t_ends[j] - t_ends[i])) / T(2);
  }
};

// One work item is one ray.  L = sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 l_i  with midpoints m and lengths l.
// Front to back, W_i = sum_{j<i} w_j and D_i = sum_{j<i} w_j (m_i - m_j) = D_{i-1} + W_i (m_i - m_{i-1}): only terms of
// one sign are added, where m_i W_i - sum_{j<i} w_j m_j would cancel.
template <class T>
struct DistortionForward {
  int64_t n_samples;
  Intervals<T> intervals;
  const int64_t* packed_info;  // (n_rays, 2): first sample, count
  const T* weights;            // (n_samples,)
  T* losses;                   // (n_rays,)

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    T loss = T(0), before = T(0), distance = T(0);
    for (int64_t i = range.begin; i < range.end; ++i) {
      if (i > range.begin) distance += before * intervals.distance(i - 1, i);
      loss += weights[i] * (T(2) * distance + weights[i] * intervals.length(i) / T(3));
      before += weights[i];
    }
    losses[ray] = loss;
  }
};

// dL/dw_i = 2 sum_j w_j |m_i - m_j| + 2/3 w_i l_i: the sums over nearer samples front to back, then those over farther
// ones back to front.
template <class T>
struct DistortionBackward {
  int64_t n_samples;
  Intervals<T> intervals;
  const int64_t* packed_info;
  const T* weights;
  const T* grad_losses;  // (n_rays,)
  T* grad_weights;       // (n_samples,)

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    T before = T(0), distance = T(0);
    for (int64_t i = range.begin; i < range.end; ++i) {
      if (i > range.begin) distance += before * intervals.distance(i - 1, i);
      grad_weights[i] = distance + weights[i] * intervals.length(i) / T(3);
      before += weights[i];
    }
    const T scale = T(2) * grad_losses[ray];
    T after = T(0);
    distance = T(0);
    for (int64_t i = range.end - 1; i >= range.begin; --i) {
      if (i < range.end - 1) distance += after * intervals.distance(i, i + 1);
      grad_weights[i] = scale * (grad_weights[i] + distance);
      after += weights[i];
    }
  }
};

}  // namespace saff
