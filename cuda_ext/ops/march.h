#pragma once
#include <cmath>
#include <cstdint>

#include "../common/hd.h"

namespace saff {

// The occupancy of the unit cube: one bit a cell, cell ((x * ry + y) * rz + z) in bit (index & 7) of byte (index >> 3).
// Likewise one bit a coarse cell of 4^3 cells, set where any of them is occupied, static or dynamic in that frame.
struct OccupancyGrid {
  static constexpr int kCoarseShift = 2;

  int64_t rx, ry, rz, n_frames, n_bytes, n_coarse_bytes;
  const uint8_t* static_bits;   // (n_bytes,)
  const uint8_t* dynamic_bits;  // (n_frames, n_bytes)
  const uint8_t* coarse_bits;   // (n_frames, n_coarse_bytes)

  SAFF_HD int64_t slice(int64_t frame) const {
    const int64_t last = n_frames - 1;
    return frame < 0 ? 0 : (frame > last ? last : frame);
  }
};

// Place of a cell, or of a coarse one; x is -1 outside the cube.
struct Cell {
  int64_t x, y, z;

  SAFF_HD bool outside() const { return x < 0; }
  SAFF_HD bool operator==(const Cell& other) const { return x == other.x && y == other.y && z == other.z; }
  SAFF_HD Cell coarse() const {
    constexpr int shift = OccupancyGrid::kCoarseShift;
    return {x >> shift, y >> shift, z >> shift};
  }
};

// A ray with its lattice: the centre of step i is at t = (i + shift) / n_steps.
template <class T>
struct Line {
  T o[3], d[3], shift, scale;  // scale = 1 / n_steps
  T inverse[3], edge[3];       // 1 / d and the edges of a cell, for what need not be exact
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

// One work item is one ray. Bit (i & 63) of word (i >> 6) tells whether step i is kept, and whether its cell is
// dynamic. The bits make the second pass a mere expansion: were the traversal run twice, rounding could differ between
// the two and the counts with it.
template <class T>
struct MarchMask {
  int64_t n_steps, n_words, max_samples;
  OccupancyGrid grid;
  const T* origins;            // (n_rays, 3)
  const T* directions;         // (n_rays, 3)
  const int64_t* frames;       // (n_rays,)
  const T* jitter;             // (n_rays,) or null
  const int64_t* first_steps;  // (n_rays,) or null
  uint64_t* kept;              // (n_rays, n_words)
  uint64_t* dynamic;           // (n_rays, n_words)
  int64_t* counts;             // (n_rays, 2): kept, dynamic
  int64_t* next_steps;         // (n_rays,): where the ray stopped at max_samples, or n_steps

  SAFF_HD void operator()(int64_t ray) const {
    const T* o = origins + 3 * ray;
    const T* d = directions + 3 * ray;
    const T shift = jitter ? jitter[ray] : T(0.5);
    const Line<T> line{{o[0], o[1], o[2]},
                       {d[0], d[1], d[2]},
                       shift,
                       T(1) / T(n_steps),
                       {T(1) / d[0], T(1) / d[1], T(1) / d[2]},
                       {T(1) / T(grid.rx), T(1) / T(grid.ry), T(1) / T(grid.rz)}};
    // Where the ray crosses the cube, one step wider on both sides than rounding can be wrong; `cell_at` decides.
    T near = T(0), far = T(1);
    for (int axis = 0; axis < 3; ++axis) {
      if (d[axis] == T(0)) continue;
      const T a = -o[axis] / d[axis], b = (T(1) - o[axis]) / d[axis];
      near = (a < b ? a : b) > near ? (a < b ? a : b) : near;
      far = (a < b ? b : a) < far ? (a < b ? b : a) : far;
    }
    const int64_t first = first_steps ? first_steps[ray] : 0, enters = step_at(near, shift, n_steps, -1);
    int64_t i = first > enters ? first : enters, end = near <= far ? step_at(far, shift, n_steps, 2) : i;
    const int64_t frame = grid.slice(frames[ray]);
    const uint8_t* dynamic_bits = grid.dynamic_bits + frame * grid.n_bytes;
    const uint8_t* coarse_bits = grid.coarse_bits + frame * grid.n_coarse_bytes;
    int64_t n_kept = 0, n_dynamic = 0, next = n_steps;
    for (int64_t word = 0; word < n_words; ++word) {
      uint64_t kept_word = 0, dynamic_word = 0;
      while (i < end && i < word * 64 + 64) {
        const Cell cell = cell_at(line, i);
        if (cell.outside()) {
          ++i;
          continue;
        }
        if (!bit(coarse_bits, coarse_index(cell.coarse()))) {
          i = after_empty(line, i, cell.coarse());
          continue;
        }
        const int64_t index = (cell.x * grid.ry + cell.y) * grid.rz + cell.z;
        const uint64_t is_dynamic = bit(dynamic_bits, index), is_kept = is_dynamic | bit(grid.static_bits, index);
        dynamic_word |= is_dynamic << (i & 63);
        kept_word |= is_kept << (i & 63);
        n_dynamic += int64_t(is_dynamic);
        n_kept += int64_t(is_kept);
        ++i;
        if (n_kept == max_samples) end = next = i;
      }
      kept[ray * n_words + word] = kept_word;
      dynamic[ray * n_words + word] = dynamic_word;
    }
    counts[2 * ray] = n_kept;
    counts[2 * ray + 1] = n_dynamic;
    next_steps[ray] = next;
  }

  SAFF_HD static uint64_t bit(const uint8_t* bits, int64_t index) { return bits[index >> 3] >> (index & 7) & 1; }

  // The cell of the centre of step i, outside for NaN too; the cube is closed.
  SAFF_HD Cell cell_at(const Line<T>& line, int64_t i) const {
    const T t = (T(i) + line.shift) * line.scale;
    const T x = fused(t, line.d[0], line.o[0]), y = fused(t, line.d[1], line.o[1]), z = fused(t, line.d[2], line.o[2]);
    if (!(x >= T(0) && x <= T(1) && y >= T(0) && y <= T(1) && z >= T(0) && z <= T(1))) return {-1, -1, -1};
    return {index(x, grid.rx), index(y, grid.ry), index(z, grid.rz)};
  }
  SAFF_HD static int64_t index(T u, int64_t n) {
    const int64_t i = int64_t(u * T(n));
    return i < n ? i : n - 1;
  }
  SAFF_HD int64_t coarse_index(Cell coarse) const {
    const Cell last = Cell{grid.rx - 1, grid.ry - 1, grid.rz - 1}.coarse();
    return (coarse.x * (last.y + 1) + coarse.y) * (last.z + 1) + coarse.z;
  }

  // The first step after those that follow step i in its empty coarse cell. Where the ray leaves the cell is only
  // estimated: `cell_at` is monotone along each axis, rounding included, so if two steps lie in one coarse cell then so
  // do all between, and if the estimate lies outside then one step is taken. Hence skipping never changes what is kept.
  SAFF_HD int64_t after_empty(const Line<T>& line, int64_t i, Cell empty) const {
    const int64_t place[3] = {empty.x, empty.y, empty.z}, resolution[3] = {grid.rx, grid.ry, grid.rz};
    T leaves = T(1);
    for (int axis = 0; axis < 3; ++axis) {
      const T d = line.d[axis];
      if (d == T(0)) continue;
      const int64_t wall = (place[axis] + (d > T(0) ? 1 : 0)) << OccupancyGrid::kCoarseShift;
      const T u = wall < resolution[axis] ? T(wall) * line.edge[axis] : T(1);
      const T t = (u - line.o[axis]) * line.inverse[axis];
      leaves = t < leaves ? t : leaves;
    }
    const int64_t last = step_at(leaves, line.shift, n_steps, 0);
    return last > i && cell_at(line, last).coarse() == empty ? last + 1 : i + 1;
  }

  // a * b + c rounded in one way wherever it is inlined: left to itself, the compiler fuses some places and not others.
  SAFF_HD static T fused(T a, T b, T c) {
#if defined(__CUDA_ARCH__) || defined(__FP_FAST_FMA)
    return std::fma(a, b, c);
#else
    return a * b + c;
#endif
  }
};

// One work item is one ray: the marked steps become samples. Both packed_info come from the counts of MarchMask, with
// those of rays over the capacity set to zero. What no ray fills stays as it was; nothing is written outside.
template <class T>
struct MarchFill {
  int64_t n_steps, n_words, n_samples, n_dynamic;
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
        if (sample < 0 || sample >= n_samples) return;
        const int bit = lowest_bit(rest);
        const T start = T(word * 64 + bit) + shift;
        ray_indices[sample] = ray;
        t_starts[sample] = start * scale;
        t_ends[sample] = (start + T(1)) * scale;
        if ((dynamic_bits >> bit & 1) && entry >= 0 && entry < n_dynamic) dynamic_indices[entry++] = sample;
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
