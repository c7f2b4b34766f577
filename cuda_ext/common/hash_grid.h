#pragma once
// The multiresolution hash grid of Instant-NGP (section 3) in 2 to 4 dimensions, in the layout of tiny-cuda-nn.
// A level is dense while its vertices fit the table and hashed above; saff_fast/ops/hash_encode.py computes the sizes.
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "hd.h"

namespace saff {

constexpr int kMaxHashLevels = 32;

template <class T, int D>
struct HashLevel {
  T scale[D];        // cells along each axis
  uint32_t step[D];  // stride of a dense axis, prime of a hashed one
  uint32_t size;     // entries
  uint32_t hashed;   // 1 or 0
  int64_t offset;    // first entry

  // Entry of a vertex, always inside the level. A dense sum stays below 2 size (HashGridLayout requires it), so one
  // subtraction wraps the border vertices as tiny-cuda-nn's modulo does.
  SAFF_HD uint32_t entry(const uint32_t* vertex) const {
    uint32_t index = 0;
    for (int d = 0; d < D; ++d) index = hashed ? index ^ (vertex[d] * step[d]) : index + vertex[d] * step[d];
    if (hashed) return index & (size - 1);
    return index < size ? index : index - size;
  }
};

// Passed to kernels by value; filled on the host.
template <class T, int D>
struct HashLevels {
  int64_t n_levels;
  HashLevel<T, D> level[kMaxHashLevels];

  // rows: (n_levels, 2 + 2 D) of offset, size, vertices of each axis, scale of each axis
  HashLevels(const double* rows, int64_t n) : n_levels(n) {
    constexpr uint32_t primes[4] = {1u, 2654435761u, 805459861u, 3674653429u};
    for (int64_t l = 0; l < n; ++l, rows += 2 + 2 * D) {
      HashLevel<T, D>& out = level[l];
      out.offset = static_cast<int64_t>(rows[0]);
      out.size = static_cast<uint32_t>(rows[1]);
      double n_vertices = 1;
      for (int d = 0; d < D; ++d) {
        out.step[d] = n_vertices <= rows[1] ? static_cast<uint32_t>(n_vertices) : 0;
        n_vertices *= rows[2 + d];
        out.scale[d] = static_cast<T>(rows[2 + D + d]);
      }
      out.hashed = n_vertices > rows[1];
      if (!out.hashed) continue;
      for (int d = 0; d < D; ++d) out.step[d] = primes[d];
    }
  }

  int64_t n_entries() const { return level[n_levels - 1].offset + level[n_levels - 1].size; }
};

// NaN becomes 0.
template <class T>
SAFF_HD T clamp_to_unit(T x) {
  return x > T(0) ? (x < T(1) ? x : T(1)) : T(0);
}

template <class T>
SAFF_HD bool inside_unit(T x) {
  return x >= T(0) && x <= T(1);
}

// The cell of one level around a point: its 2^D vertices and their multilinear weights.
template <class T, int D>
struct HashCell {
  uint32_t vertex[D];  // the lowest
  T fraction[D];

  SAFF_HD HashCell(const HashLevel<T, D>& level, const T* x) {
    for (int d = 0; d < D; ++d) {
      const T position = clamp_to_unit(x[d]) * level.scale[d] + T(0.5);  // at least 0.5: truncation is floor
      vertex[d] = static_cast<uint32_t>(position);
      fraction[d] = position - T(vertex[d]);
    }
  }

  SAFF_HD uint32_t corner_entry(const HashLevel<T, D>& level, int corner) const {
    uint32_t at[D];
    for (int d = 0; d < D; ++d) at[d] = vertex[d] + ((corner >> d) & 1);
    return level.entry(at);
  }

  // The product over all axes but `skipped` (-1: none).
  SAFF_HD T corner_weight(int corner, int skipped) const {
    T weight = T(1);
    for (int d = 0; d < D; ++d) {
      if (d != skipped) weight *= (corner >> d) & 1 ? fraction[d] : T(1) - fraction[d];
    }
    return weight;
  }
};

// Calls f with n_features as a compile-time constant.
template <class Function>
const char* with_features(int64_t n_features, const Function& f) {
  switch (n_features) {
    case 1:
      return f(std::integral_constant<int, 1>());
    case 2:
      return f(std::integral_constant<int, 2>());
    case 4:
      return f(std::integral_constant<int, 4>());
    case 8:
      return f(std::integral_constant<int, 8>());
    default:
      return "n_features must be 1, 2, 4 or 8";
  }
}

// Calls f with n_dims and n_features as compile-time constants.
template <class Function>
const char* with_grid_shape(int64_t n_dims, int64_t n_features, const Function& f) {
  const auto with_dims = [&](auto dims) {
    return with_features(n_features, [&](auto features) { return f(dims, features); });
  };
  switch (n_dims) {
    case 2:
      return with_dims(std::integral_constant<int, 2>());
    case 3:
      return with_dims(std::integral_constant<int, 3>());
    case 4:
      return with_dims(std::integral_constant<int, 4>());
    default:
      return "n_dims must be 2, 3 or 4";
  }
}

}  // namespace saff
