#pragma once
#include <cstdint>

#include "../common/decay.h"
#include "../common/hd.h"
#include "../common/packed.h"
#include "../common/past_cache.h"

namespace saff {

// Joint compositing of a static and a dynamic field (NSFF eq. 6 and 7, in SAFF's product form). With v the blend,
//   a = 1 - exp(-sigma delta),  alpha^d = v a^d,  alpha^s = (1 - v) a^s,
//   T_0 = 1,  T_{i+1} = T_i (1 - alpha^d_i)(1 - alpha^s_i),  w^d = T alpha^d,  w^s = T alpha^s.
// The dynamic field is known at some samples only; at the others v = 0. One field alone has no dynamic samples.

constexpr int kMaxGroups = 8;

// The channels of a sample lie in several arrays, each with rows of its own stride, so that neither columns of a
// network's output nor channels of different origin have to be copied together.
template <class T>
struct Channels {
  struct Group {
    T* data;  // null: nobody asked for it
    int64_t stride, n_channels;
    bool past_cache = false;  // how it is written
  };
  int64_t n_groups, n_channels = 0;
  Group group[kMaxGroups];

  // rows: (n_groups, 3) of address, stride, number of channels
  Channels(const int64_t* rows, int64_t n) : n_groups(n < kMaxGroups ? n : kMaxGroups) {
    for (int64_t k = 0; k < n_groups; ++k, rows += 3) {
      group[k] = {reinterpret_cast<T*>(rows[0]), rows[1], rows[2]};
      n_channels += rows[2];
    }
  }

  // For writing `n_rows` rows that are not read again soon.
  Channels(const int64_t* rows, int64_t n, int64_t n_rows) : Channels(rows, n) {
    for (int64_t k = 0; k < n_groups; ++k) {
      auto& g = group[k];
      g.past_cache = goes_past_cache(g.data, g.stride, n_rows, g.n_channels);
    }
  }
};

// Sums of one ray and field: opacity, t, then the channels.
constexpr int64_t kFirstChannel = 2;

template <class T>
SAFF_HD void add_sample(const Channels<const T>& values, int64_t row, T centre, T weight, T* SAFF_RESTRICT sums) {
  sums[0] += weight;
  sums[1] += weight * centre;
  sums += kFirstChannel;
  for (int64_t k = 0; k < values.n_groups; ++k) {
    const auto& group = values.group[k];
    const T* SAFF_RESTRICT channels = group.data + row * group.stride;
    for (int64_t c = 0; c < group.n_channels; ++c) sums[c] += weight * channels[c];
    sums += group.n_channels;
  }
}

// dL/dw of a sample with weight w, whose channels get their gradients w g.
template <class T>
SAFF_HD T backward_sample(const Channels<const T>& values, const Channels<T>& grads, int64_t row, T centre, T weight,
                          const T* SAFF_RESTRICT g) {
  T slope = g[0] + centre * g[1];
  g += kFirstChannel;
  for (int64_t k = 0; k < values.n_groups; ++k) {
    const auto& group = values.group[k];
    const T* SAFF_RESTRICT channels = group.data + row * group.stride;
    SAFF_SIMD_SUM(slope)
    for (int64_t c = 0; c < group.n_channels; ++c) slope += g[c] * channels[c];
    if (grads.group[k].data) {
      T* SAFF_RESTRICT grad = grads.group[k].data + row * grads.group[k].stride;
      if (grads.group[k].past_cache)
        store_scaled_past_cache(grad, weight, g, group.n_channels);
      else
        for (int64_t c = 0; c < group.n_channels; ++c) grad[c] = weight * g[c];
    }
    g += group.n_channels;
  }
  return slope;
}

// One of the two fields at one sample, `share` being v or 1 - v. The opacity of thin samples would cancel in 1 - exp,
// and what passes an opaque sample would cancel in 1 - alpha, so each is a sum of terms of one sign.
template <class T>
struct Branch {
  T clear, a, alpha, pass;  // exp(-sigma delta), 1 - clear, share a, 1 - alpha
  SAFF_HD Branch(T sigma, T delta, T share) {
    const Decay<T> decay(sigma * delta);
    clear = decay.clear;
    a = decay.absorbed;
    alpha = share * a;
    pass = (T(1) - share) + share * clear;
  }
};

template <class T>
struct CompositeSamples {
  int64_t n_samples, n_dynamic;
  const int64_t* packed_info;          // (n_rays, 2): first sample, count
  const int64_t* dynamic_packed_info;  // (n_rays, 2): first entry of dynamic_indices, count
  const int64_t* dynamic_indices;      // (n_dynamic,), ascending
  const T* sigmas_static;              // (n_samples,)
  const T* sigmas_dynamic;             // (n_dynamic,)
  const T* blends;                     // (n_samples,), null without dynamic samples
  const T* deltas;                     // (n_samples,)
  const T* centres;                    // (n_samples,)
  Channels<const T> values_static, values_dynamic;

  // Whether sample i is dynamic; `entry` is the next dynamic sample of its ray, in either direction.
  SAFF_HD bool moves(int64_t i, int64_t entry, const SampleRange& entries) const {
    return entry >= entries.begin && entry < entries.end && dynamic_indices[entry] == i;
  }
};

// One work item is one ray.
template <class T>
struct CompositeForward {
  CompositeSamples<T> in;
  T* sums_static;      // (n_rays, 2 + static channels)
  T* sums_dynamic;     // (n_rays, 2 + dynamic channels)
  T* weights_static;   // (n_samples,) or null
  T* weights_dynamic;  // (n_dynamic,) or null

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(in.packed_info, ray, in.n_samples), entries(in.dynamic_packed_info, ray, in.n_dynamic);
    T* sum_s = cleared(sums_static, ray, kFirstChannel + in.values_static.n_channels);
    T* sum_d = cleared(sums_dynamic, ray, kFirstChannel + in.values_dynamic.n_channels);
    T trans = T(1);
    int64_t entry = entries.begin;
    for (int64_t i = range.begin; i < range.end; ++i) {
      const bool moves = in.moves(i, entry, entries);
      const T v = moves ? in.blends[i] : T(0);
      const Branch<T> s(in.sigmas_static[i], in.deltas[i], T(1) - v);
      const T weight = trans * s.alpha;
      add_sample(in.values_static, i, in.centres[i], weight, sum_s);
      if (weights_static) weights_static[i] = weight;
      T pass = s.pass;
      if (moves) {
        const Branch<T> d(in.sigmas_dynamic[entry], in.deltas[i], v);
        add_sample(in.values_dynamic, entry, in.centres[i], trans * d.alpha, sum_d);
        if (weights_dynamic) weights_dynamic[entry] = trans * d.alpha;
        pass *= d.pass;
        ++entry;
      }
      trans *= pass;
    }
  }

  SAFF_HD static T* cleared(T* sums, int64_t ray, int64_t width) {
    T* row = sums + ray * width;
    for (int64_t c = 0; c < width; ++c) row[c] = T(0);
    return row;
  }
};

// With g^s_i, g^d_i the gradients of a sample's weights, let R_i = sum_{j>=i} (T_j / T_i)(g^s_j alpha^s_j + g^d_j
// alpha^d_j), the loss behind and at sample i seen with full transmittance. From back to front
//   R_i = g^s alpha^s + g^d alpha^d + pass^s pass^d R_{i+1}, which divides by nothing, and
//   dL/dalpha^s_i = T_i (g^s_i - pass^d_i R_{i+1}),  dL/dalpha^d_i = T_i (g^d_i - pass^s_i R_{i+1}).
// The channels are walked once, front to back, as memory likes it; that leaves T_i, g^s_i and g^d_i in the places of
// the gradients that the walk back makes of them.
template <class T>
struct CompositeBackward {
  CompositeSamples<T> in;
  const T* grad_sums_static;
  const T* grad_sums_dynamic;
  T* grad_sigmas_static;   // (n_samples,)
  T* grad_sigmas_dynamic;  // (n_dynamic,)
  T* grad_blends;          // (n_samples,)
  Channels<T> grad_values_static, grad_values_dynamic;

  SAFF_HD void operator()(int64_t ray) const {
    const SampleRange range(in.packed_info, ray, in.n_samples), entries(in.dynamic_packed_info, ray, in.n_dynamic);
    const int64_t met = walk_channels(ray, range, entries);
    for (int64_t entry = met; entry < entries.end; ++entry) {  // belong to no sample of the ray
      grad_sigmas_dynamic[entry] = T(0);
      clear_row(grad_values_dynamic, entry);
    }
    stores_done();
    walk_back(range, entries, met - 1);
  }

  // Returns the entry behind the last one that was met.
  SAFF_HD int64_t walk_channels(int64_t ray, const SampleRange& range, const SampleRange& entries) const {
    const T* g_s = grad_sums_static + ray * (kFirstChannel + in.values_static.n_channels);
    const T* g_d = grad_sums_dynamic + ray * (kFirstChannel + in.values_dynamic.n_channels);
    T trans = T(1);
    int64_t entry = entries.begin;
    for (int64_t i = range.begin; i < range.end; ++i) {
      const bool moves = in.moves(i, entry, entries);
      const T v = moves ? in.blends[i] : T(0), centre = in.centres[i];
      const Branch<T> s(in.sigmas_static[i], in.deltas[i], T(1) - v);
      grad_blends[i] = trans;
      grad_sigmas_static[i] = backward_sample(in.values_static, grad_values_static, i, centre, trans * s.alpha, g_s);
      T pass = s.pass;
      if (moves) {
        const Branch<T> d(in.sigmas_dynamic[entry], in.deltas[i], v);
        grad_sigmas_dynamic[entry] =
            backward_sample(in.values_dynamic, grad_values_dynamic, entry, centre, trans * d.alpha, g_d);
        pass *= d.pass;
        ++entry;
      }
      trans *= pass;
    }
    return entry;
  }

  SAFF_HD void walk_back(const SampleRange& range, const SampleRange& entries, int64_t entry) const {
    T behind = T(0);  // R_{i+1}
    for (int64_t i = range.end - 1; i >= range.begin; --i) {
      const bool moves = in.moves(i, entry, entries);
      const T v = moves ? in.blends[i] : T(0), delta = in.deltas[i];
      const Branch<T> s(in.sigmas_static[i], delta, T(1) - v);
      const T trans = grad_blends[i], slope_s = grad_sigmas_static[i];
      if (!moves) {
        grad_sigmas_static[i] = trans * (slope_s - behind) * (delta * s.clear);
        grad_blends[i] = T(0);
        behind = slope_s * s.alpha + s.pass * behind;
        continue;
      }
      const Branch<T> d(in.sigmas_dynamic[entry], delta, v);
      const T slope_d = grad_sigmas_dynamic[entry];
      const T grad_alpha_s = trans * (slope_s - d.pass * behind);
      const T grad_alpha_d = trans * (slope_d - s.pass * behind);
      grad_sigmas_static[i] = grad_alpha_s * (T(1) - v) * (delta * s.clear);
      grad_sigmas_dynamic[entry] = grad_alpha_d * v * (delta * d.clear);
      grad_blends[i] = grad_alpha_d * d.a - grad_alpha_s * s.a;
      behind = slope_s * s.alpha + slope_d * d.alpha + s.pass * d.pass * behind;
      --entry;
    }
  }

  SAFF_HD static void clear_row(const Channels<T>& grads, int64_t row) {
    for (int64_t k = 0; k < grads.n_groups; ++k) {
      const auto& group = grads.group[k];
      if (!group.data) continue;
      for (int64_t c = 0; c < group.n_channels; ++c) group.data[row * group.stride + c] = T(0);
    }
  }
};

}  // namespace saff
