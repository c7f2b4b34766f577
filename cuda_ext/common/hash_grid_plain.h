#pragma once
// Encoding with a hash grid, one work item a (level, sample): what the device runs. Levels are outermost, so that the
// items in flight share one level's entries. The host's fast form, tested against this one, is hash_grid_host.h.
//
// Points say where the samples are. load(i, x) writes the D coordinates of sample i and returns whether it is looked
// up, otherwise its encoding is zero. The forward pass calls store(i, x, looked_up) once a sample, for what is to be
// kept besides the encoding; own_gradient(i, d, x[d]) is the gradient that this brings to coordinate d, of which the
// first n_moving take gradients. The table's entries may be stored in half precision; sums and gradients are of type T.
#include "half.h"
#include "hash_grid.h"
#include "scatter.h"

namespace saff {

template <class T, int D>
struct GridPoints {
  static constexpr int n_moving = D;
  const T* positions;  // (n, D)
  SAFF_HD bool load(int64_t i, T* x) const {
    for (int d = 0; d < D; ++d) x[d] = positions[i * D + d];
    return true;
  }
  SAFF_HD void store(int64_t, const T*, bool) const {}
  SAFF_HD T own_gradient(int64_t, int, T) const { return T(0); }
};

template <class T, int D, int F, class Points, class Entry>
struct HashEncodeForward {
  int64_t n_samples;
  HashLevels<T, D> levels;
  Points points;
  const Entry* table;  // (n_entries, F)
  T* encodings;        // (n_samples, n_levels F)

  SAFF_HD void operator()(int64_t item) const {
    const int64_t l = item / n_samples, sample = item % n_samples;
    const HashLevel<T, D>& level = levels.level[l];
    T x[D], sum[F] = {};
    const bool looked_up = points.load(sample, x);
    if (l == 0) points.store(sample, x, looked_up);
    const HashCell<T, D> cell(level, x);
    for (int corner = 0; looked_up && corner < 1 << D; ++corner) {
      const Entry* entry = table + (level.offset + cell.corner_entry(level, corner)) * F;
      const T weight = cell.corner_weight(corner, -1);
      for (int f = 0; f < F; ++f) sum[f] += weight * T(entry[f]);
    }
    for (int f = 0; f < F; ++f) encodings[(sample * levels.n_levels + l) * F + f] = sum[f];
  }
};

// What the gradient of the table needs: not the table.
template <class T, int D, int F, class Points>
struct TableGradient {
  int64_t n_samples;
  HashLevels<T, D> levels;
  Points points;
  const T* grad_encodings;
  T* grad_table;  // (n_entries, F)
};

// Adds to grad_table and grad_points; either may be null.
template <class T, int D, int F, class Points, class Entry>
struct HashEncodeBackward : TableGradient<T, D, F, Points> {
  using Base = TableGradient<T, D, F, Points>;
  using Base::grad_encodings, Base::grad_table, Base::levels, Base::n_samples, Base::points;
  const Entry* table;
  T* grad_points;  // (n_samples, n_moving)

  SAFF_HD void operator()(int64_t item) const {
    const int64_t l = item / n_samples, sample = item % n_samples;
    const HashLevel<T, D>& level = levels.level[l];
    const T* grad = grad_encodings + (sample * levels.n_levels + l) * F;
    T x[D], grad_x[D] = {};
    const bool looked_up = points.load(sample, x);
    const HashCell<T, D> cell(level, x);
    for (int corner = 0; looked_up && corner < 1 << D; ++corner) {
      const int64_t first = (level.offset + cell.corner_entry(level, corner)) * F;
      const T weight = cell.corner_weight(corner, -1);
      T slope = T(0);
      for (int f = 0; f < F; ++f) {
        if (grad_table && grad[f] != T(0)) scatter_add(grad_table + first + f, weight * grad[f]);
        if (grad_points) slope += T(table[first + f]) * grad[f];
      }
      for (int d = 0; d < Points::n_moving; ++d) {
        grad_x[d] += ((corner >> d) & 1 ? slope : -slope) * cell.corner_weight(corner, d);
      }
    }
    if (!grad_points) return;
    for (int d = 0; d < Points::n_moving; ++d) {
      // A clamped coordinate does not move the encoding.
      const T slope = inside_unit(x[d]) ? grad_x[d] * level.scale[d] : T(0);
      const T own = l == 0 ? points.own_gradient(sample, d, x[d]) : T(0);
      scatter_add(grad_points + sample * Points::n_moving + d, own + slope);
    }
  }
};

}  // namespace saff
