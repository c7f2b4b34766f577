#pragma once
// One level of a hash grid on the host: the maths of hash_grid_plain.h for eight samples at a time.
#include <algorithm>
#include <cstring>

#include "hash_grid.h"
#include "lanes.h"

namespace saff {

constexpr int kBlock = 16384;  // samples; a multiple of kLanes

template <class Int>
constexpr Int padded(Int count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

// The coordinates of those samples of a block that are looked up, one row an axis, clamped to the unit cube.
template <int D>
struct PointBlock {
  alignas(64) float x[D][kBlock];
  int32_t sample[kBlock];  // where each is in the block
  int count = 0;

  void add(int i, const float* coordinates) {
    for (int d = 0; d < D; ++d) x[d][count] = clamp_to_unit(coordinates[d]);
    sample[count++] = i;
  }
  // Fills the last group of lanes with points that are safe to look up.
  void pad() {
    for (int i = count; i < padded(count); ++i) {
      for (int d = 0; d < D; ++d) x[d][i] = 0;
    }
  }
};

// The cells of eight samples: entries and weights of their corners.
template <int D>
struct CellLanes {
  static constexpr int n_corners = 1 << D;
  alignas(32) uint32_t entries[n_corners][kLanes];
  alignas(32) float weights[n_corners][kLanes];
  Floats fractions[D];

  void find(const HashLevel<float, D>& level, const PointBlock<D>& block, int first) {
    level.hashed ? find_in<true>(level, block, first) : find_in<false>(level, block, first);
  }

 private:
  // Not inlined: the corners are to be read one by one from memory, not pulled out of registers.
  template <bool Hashed>
  __attribute__((noinline)) void find_in(const HashLevel<float, D>& level, const PointBlock<D>& block, int first) {
    Words entry[n_corners] = {};
    Floats weight[n_corners] = {Floats{} + 1};
#pragma GCC unroll 4
    for (int d = 0; d < D; ++d) {
      const Floats position = load<Floats>(&block.x[d][first]) * level.scale[d] + 0.5f;
      const Ints vertex = __builtin_convertvector(position, Ints);
      const Floats fraction = position - __builtin_convertvector(vertex, Floats);
      const Words low = (Words)vertex * level.step[d], high = low + level.step[d];
      fractions[d] = fraction;
#pragma GCC unroll 8
      for (int c = 0; c < 1 << d; ++c) {
        entry[c + (1 << d)] = Hashed ? entry[c] ^ high : entry[c] + high;
        entry[c] = Hashed ? entry[c] ^ low : entry[c] + low;
        weight[c + (1 << d)] = weight[c] * fraction;
        weight[c] -= weight[c + (1 << d)];
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < n_corners; ++c) {
      const Words wrapped = entry[c] - level.size;
      store(entries[c], Hashed ? entry[c] & (level.size - 1) : (entry[c] < wrapped ? entry[c] : wrapped));
      store(weights[c], weight[c]);
    }
  }
};

// Writes one level's encodings: F values a sample, up to the next multiple of kLanes.
template <int D, int F, class Entry>
void encode_level(const HashLevel<float, D>& level, const PointBlock<D>& block, const void* table, float* encodings) {
  const Entry* entries = static_cast<const Entry*>(table) + level.offset * F;
  CellLanes<D> cell;
  for (int first = 0; first < block.count; first += kLanes) {
    cell.find(level, block, first);
    if constexpr (F == 2) {
      Pairs sum{};
#pragma GCC unroll 16
      for (int c = 0; c < cell.n_corners; ++c) {
        const Pairs weight = Pairs::both(load<Floats>(cell.weights[c])),
                    entry = Pairs::gather(entries, cell.entries[c]);
        sum.low += weight.low * entry.low;
        sum.high += weight.high * entry.high;
      }
      sum.unpack(encodings + first * F);
    } else {
      for (int k = 0; k < kLanes; ++k) {
        Group<F> sum{};
        for (int c = 0; c < cell.n_corners; ++c) {
          sum += cell.weights[c][k] * load_floats<F>(entries + size_t(cell.entries[c][k]) * F);
        }
        store(encodings + (first + k) * F, sum);
      }
    }
  }
}

// Adds one level's share of the gradient of the points to grad_x. grad: F values a sample, zeros up to the next
// multiple of kLanes.
template <int D, int F, class Entry>
void slope_level(const HashLevel<float, D>& level, const PointBlock<D>& block, const void* table, const float* grad,
                 float (*grad_x)[kBlock]) {
  const Entry* entries = static_cast<const Entry*>(table) + level.offset * F;
  CellLanes<D> cell;
  for (int first = 0; first < block.count; first += kLanes) {
    cell.find(level, block, first);
    Floats value[1 << D];  // of the corners: entry . gradient
    if constexpr (F == 2) {
      const Pairs upstream = Pairs::pack(grad + first * F);
#pragma GCC unroll 16
      for (int c = 0; c < cell.n_corners; ++c) {
        const Pairs entry = Pairs::gather(entries, cell.entries[c]);
        value[c] = Pairs{entry.low * upstream.low, entry.high * upstream.high}.sums();
      }
    } else {
      for (int c = 0; c < cell.n_corners; ++c) {
        for (int k = 0; k < kLanes; ++k) {
          float entry[F], sum = 0;
          store(entry, load_floats<F>(entries + size_t(cell.entries[c][k]) * F));
          for (int f = 0; f < F; ++f) sum += entry[f] * grad[(first + k) * F + f];
          value[c][k] = sum;
        }
      }
    }
    // Along each axis: the differences, interpolated over the axes above; the axes below are folded away.
#pragma GCC unroll 4
    for (int d = 0; d < D; ++d) {
      Floats slope[1 << (D - 1)];
      for (int c = 0; c < 1 << (D - d - 1); ++c) {
        slope[c] = value[2 * c + 1] - value[2 * c];
        value[c] = value[2 * c] + slope[c] * cell.fractions[d];
      }
      for (int e = d + 1; e < D; ++e) {
        for (int c = 0; c < 1 << (D - e - 1); ++c) {
          slope[c] = slope[2 * c] + (slope[2 * c + 1] - slope[2 * c]) * cell.fractions[e];
        }
      }
      store(&grad_x[d][first], load<Floats>(&grad_x[d][first]) + slope[0] * level.scale[d]);
    }
  }
}

// Adds one level's share of the gradient of the table. grad: F values a sample.
template <int D, int F>
void scatter_level(const HashLevel<float, D>& level, const PointBlock<D>& block, const float* grad, float* grad_table) {
  Group<F>* entries = reinterpret_cast<Group<F>*>(grad_table + level.offset * F);
  CellLanes<D> cell;
  for (int first = 0; first < block.count; first += kLanes) {
    cell.find(level, block, first);
    for (int k = 0; k < std::min(kLanes, block.count - first); ++k) {
      const Group<F> g = load<Group<F>>(grad + (first + k) * F);
#pragma GCC unroll 16
      for (int c = 0; c < cell.n_corners; ++c) entries[cell.entries[c][k]] += cell.weights[c][k] * g;
    }
  }
}

}  // namespace saff
