#pragma once
#include <cstdint>

#include "../common/hd.h"

namespace saff {

// The occupancy of the unit cube: one bit a cell, cell ((x * ry + y) * rz + z) in bit (index & 7) of byte (index >> 3).
struct OccupancyGrid {
  int64_t rx, ry, rz, n_frames, n_bytes;
  const uint8_t* static_bits;   // (n_bytes,)
  const uint8_t* dynamic_bits;  // (n_frames, n_bytes)

  SAFF_HD const uint8_t* slice(int64_t frame) const {
    const int64_t last = n_frames - 1;
    return dynamic_bits + (frame < 0 ? 0 : (frame > last ? last : frame)) * n_bytes;
  }
};

// The step that parameter t falls into, moved by `margin` and kept in [0, n_steps]; NaN gives 0.
template <class T>
SAFF_HD int64_t step_at(T t, T shift, int64_t n_steps, int64_t margin) {
  const T step = t * T(n_steps) - shift;
  if (!(step > T(0))) return 0;
  if (step >= T(n_steps)) return n_steps;
  const int64_t moved = int64_t(step) + margin;
  return moved < 0 ? 0 : (moved > n_steps ? n_steps : moved);
}

// One work item is one ray. Step i has its centre at t = (i + shift) / n_steps, shift = jitter or 1/2. Bit (i & 63) of
// word (i >> 6) tells whether the step is kept, and whether its cell is dynamic. The bits make the second pass a mere
// expansion: were the traversal run twice, rounding could differ between the two and the counts with it.
template <class T>
struct MarchMask {
  int64_t n_steps, n_words;
  OccupancyGrid grid;
  const T* origins;       // (n_rays, 3)
  const T* directions;    // (n_rays, 3)
  const int64_t* frames;  // (n_rays,)
  const T* jitter;        // (n_rays,) or null
  uint64_t* kept;         // (n_rays, n_words)
  uint64_t* dynamic;      // (n_rays, n_words)
  int64_t* counts;        // (n_rays, 2): kept, dynamic

  SAFF_HD void operator()(int64_t ray) const {
    const T* o = origins + 3 * ray;
    const T* d = directions + 3 * ray;
    const T shift = jitter ? jitter[ray] : T(0.5);
    const T scale = T(1) / T(n_steps);
    // Where the ray crosses the cube, one step wider on both sides than rounding can be wrong; `cell_at` decides.
    T near = T(0), far = T(1);
    for (int axis = 0; axis < 3; ++axis) {
      if (d[axis] == T(0)) continue;
      const T a = -o[axis] / d[axis], b = (T(1) - o[axis]) / d[axis];
      near = (a < b ? a : b) > near ? (a < b ? a : b) : near;
      far = (a < b ? b : a) < far ? (a < b ? b : a) : far;
    }
    const int64_t begin = step_at(near, shift, n_steps, -1),
                  end = near <= far ? step_at(far, shift, n_steps, 2) : begin;
    const uint8_t* dynamic_slice = grid.slice(frames[ray]);
    int64_t n_kept = 0, n_dynamic = 0;
    for (int64_t word = 0; word < n_words; ++word) {
      const int64_t first = word * 64;
      const int64_t from = begin > first ? begin : first, to = end < first + 64 ? end : first + 64;
      uint64_t kept_bits = 0, dynamic_bits = 0;
      for (int64_t i = from; i < to; ++i) {
        const T t = (T(i) + shift) * scale;
        const int64_t cell = cell_at(o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]);
        if (cell < 0) continue;
        const uint64_t is_dynamic = dynamic_slice[cell >> 3] >> (cell & 7) & 1;
        const uint64_t is_static = grid.static_bits[cell >> 3] >> (cell & 7) & 1;
        dynamic_bits |= is_dynamic << (i & 63);
        kept_bits |= (is_dynamic | is_static) << (i & 63);
        n_dynamic += int64_t(is_dynamic);
        n_kept += int64_t(is_dynamic | is_static);
      }
      kept[ray * n_words + word] = kept_bits;
      dynamic[ray * n_words + word] = dynamic_bits;
    }
    counts[2 * ray] = n_kept;
    counts[2 * ray + 1] = n_dynamic;
  }

  // The cell of a point, -1 outside the closed cube (and for NaN).
  SAFF_HD int64_t cell_at(T x, T y, T z) const {
    if (!(x >= T(0) && x <= T(1) && y >= T(0) && y <= T(1) && z >= T(0) && z <= T(1))) return -1;
    return (index(x, grid.rx) * grid.ry + index(y, grid.ry)) * grid.rz + index(z, grid.rz);
  }
  SAFF_HD static int64_t index(T u, int64_t n) {
    const int64_t i = int64_t(u * T(n));
    return i < n ? i : n - 1;
  }
};

// One work item is one ray: the marked steps become samples. Both packed_info come from the counts of MarchMask, with
// those of rays over the capacity set to zero.
template <class T>
struct MarchFill {
  int64_t n_steps, n_words;
  const uint64_t* kept;
  const uint64_t* dynamic;
  const T* jitter;                     // (n_rays,) or null
  const int64_t* packed_info;          // (n_rays, 2)
  const int64_t* dynamic_packed_info;  // (n_rays, 2)
  int64_t* ray_indices;                // (n_samples,)
  T* t_starts;                         // (n_samples,)
  T* t_ends;                           // (n_samples,)
  int64_t* dynamic_indices;            // (n_dynamic,)

  SAFF_HD void operator()(int64_t ray) const {
    if (packed_info[2 * ray + 1] == 0) return;
    const T shift = (jitter ? jitter[ray] : T(0.5)) - T(0.5), scale = T(1) / T(n_steps);
    int64_t sample = packed_info[2 * ray], entry = dynamic_packed_info[2 * ray];
    for (int64_t word = 0; word < n_words; ++word) {
      const uint64_t dynamic_bits = dynamic[ray * n_words + word];
      // The lowest set bit is cleared in turn.
      for (uint64_t rest = kept[ray * n_words + word]; rest != 0; rest &= rest - 1) {
        const int bit = lowest_bit(rest);
        const T start = T(word * 64 + bit) + shift;
        ray_indices[sample] = ray;
        t_starts[sample] = start * scale;
        t_ends[sample] = (start + T(1)) * scale;
        if (dynamic_bits >> bit & 1) dynamic_indices[entry++] = sample;
        ++sample;
      }
    }
  }

  SAFF_HD static int lowest_bit(uint64_t bits) {
#ifdef __CUDA_ARCH__
    return __ffsll(static_cast<long long>(bits)) - 1;
#else
    return __builtin_ctzll(bits);
#endif
  }
};

}  // namespace saff
