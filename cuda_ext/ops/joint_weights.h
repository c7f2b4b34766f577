#pragma once
#include <cmath>
#include <cstdint>

#include "../common/hd.h"
#include "../common/packed.h"

namespace saff {

// Joint compositing of a static and a dynamic field (NSFF eq. 6 and 7, in SAFF's product form). With v the blend,
//   a = 1 - exp(-sigma delta),  alpha^d = v a^d,  alpha^s = (1 - v) a^s,
//   T_0 = 1,  T_{i+1} = T_i (1 - alpha^d_i)(1 - alpha^s_i),  w^d = T alpha^d,  w^s = T alpha^s.

// One of the two fields at one sample, `share` being v or 1 - v. The opacity of thin samples would cancel in 1 - exp,
// and what passes an opaque sample would cancel in 1 - alpha, so each is a sum of terms of one sign.
template <class T>
struct Branch {
  T clear, a, alpha, pass;  // exp(-sigma delta), 1 - clear, share a, 1 - alpha
  SAFF_HD Branch(T sigma, T delta, T share) {
    const T tau = sigma * delta;
    clear = std::exp(-tau);
    a = -std::expm1(-tau);
    alpha = share * a;
    pass = (T(1) - share) + share * clear;
  }
};

// One work item is one ray.
template <class T>
struct JointWeightsForward {
  int64_t n_samples;
  const int64_t* packed_info;  // (n_rays, 2): first sample, count
  const T* sigmas_static;      // (n_samples,), as are all below
  const T* sigmas_dynamic;
  const T* blends;
  const T* deltas;
  T* weights_static;
  T* weights_dynamic;

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    T trans = T(1);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const Branch<T> s(sigmas_static[i], deltas[i], T(1) - blends[i]), d(sigmas_dynamic[i], deltas[i], blends[i]);
      weights_static[i] = trans * s.alpha;
      weights_dynamic[i] = trans * d.alpha;
      trans *= s.pass * d.pass;
    }
  }
};

// Let R_i = sum_{j>=i} (T_j / T_i)(g^s_j alpha^s_j + g^d_j alpha^d_j), the loss behind and at sample i seen with full
// transmittance. From back to front R_i = g^s alpha^s + g^d alpha^d + pass^s pass^d R_{i+1}, which divides by nothing,
//   dL/dalpha^s_i = T_i (g^s_i - pass^d_i R_{i+1}),  dL/dalpha^d_i = T_i (g^d_i - pass^s_i R_{i+1}).
template <class T>
struct JointWeightsBackward {
  int64_t n_samples;
  const int64_t* packed_info;
  const T* sigmas_static;
  const T* sigmas_dynamic;
  const T* blends;
  const T* deltas;
  const T* grad_weights_static;
  const T* grad_weights_dynamic;
  T* grad_sigmas_static;
  T* grad_sigmas_dynamic;
  T* grad_blends;

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(packed_info, ray, n_samples);
    T trans = T(1);
    for (int64_t i = range.begin; i < range.end; ++i) {  // front to back leaves T_i in grad_blends
      const Branch<T> s(sigmas_static[i], deltas[i], T(1) - blends[i]), d(sigmas_dynamic[i], deltas[i], blends[i]);
      grad_blends[i] = trans;
      trans *= s.pass * d.pass;
    }
    T behind = T(0);  // R_{i+1}
    for (int64_t i = range.end - 1; i >= range.begin; --i) {
      const T v = blends[i], delta = deltas[i];
      const Branch<T> s(sigmas_static[i], delta, T(1) - v), d(sigmas_dynamic[i], delta, v);
      const T g_s = grad_weights_static[i], g_d = grad_weights_dynamic[i];
      const T grad_alpha_s = grad_blends[i] * (g_s - d.pass * behind);
      const T grad_alpha_d = grad_blends[i] * (g_d - s.pass * behind);
      grad_sigmas_static[i] = grad_alpha_s * (T(1) - v) * (delta * s.clear);
      grad_sigmas_dynamic[i] = grad_alpha_d * v * (delta * d.clear);
      grad_blends[i] = grad_alpha_d * d.a - grad_alpha_s * s.a;
      behind = g_s * s.alpha + g_d * d.alpha + s.pass * d.pass * behind;
    }
  }
};

}  // namespace saff
