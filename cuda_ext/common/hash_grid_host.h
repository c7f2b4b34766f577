#pragma once
// Encoding with a hash grid on the host: the maths of hash_grid_plain.h for eight samples at a time.
// Levels are outermost within blocks of samples, so that one level's entries stay in the cache. No result depends on
// the number of threads: the forward pass and the gradient of the points are partitioned by sample, the gradient of
// the table by level.
#include <algorithm>
#include <cstring>

#include "hash_grid_plain.h"
#include "launch.h"

namespace saff {

constexpr int kLanes = 8;
constexpr int kBlock = 2048;  // samples; a multiple of kLanes

template <class T>
struct LanesOf {
  typedef T type __attribute__((vector_size(kLanes * sizeof(T))));
};
template <class T>
using Lanes = typename LanesOf<T>::type;

// The coordinates of a block of samples, one row an axis, clamped to the unit cube.
template <class T, int D>
struct PointBlock {
  alignas(64) T x[D][kBlock];

  void set(int i, const T* coordinates) {
    for (int d = 0; d < D; ++d) x[d][i] = clamp_to_unit(coordinates[d]);
  }
  // Fills the last group of lanes with points that are safe to look up.
  void pad(int count) {
    for (int i = count; i % kLanes; ++i) {
      for (int d = 0; d < D; ++d) x[d][i] = T(0);
    }
  }
};

// The cells of eight samples: entries and weights of their corners.
template <class T, int D>
struct CellLanes {
  static constexpr int n_corners = 1 << D;
  Lanes<uint32_t> entries[n_corners];
  Lanes<T> weights[n_corners];
  Lanes<T> fractions[D];

  CellLanes(const HashLevel<T, D>& level, const PointBlock<T, D>& block, int first) {
    Lanes<uint32_t> low[D], high[D];
    for (int d = 0; d < D; ++d) {
      Lanes<T> position;
      std::memcpy(&position, &block.x[d][first], sizeof position);
      position = position * level.scale[d] + T(0.5);
      const auto vertex = __builtin_convertvector(position, Lanes<int32_t>);
      fractions[d] = position - __builtin_convertvector(vertex, Lanes<T>);
      low[d] = (Lanes<uint32_t>)vertex * level.step[d];
      high[d] = low[d] + level.step[d];
    }
    entries[0] = Lanes<uint32_t>{};
    weights[0] = Lanes<T>{} + T(1);
    for (int d = 0; d < D; ++d) {
      for (int c = 0; c < 1 << d; ++c) {
        const Lanes<uint32_t> entry = entries[c];
        entries[c] = level.hashed ? entry ^ low[d] : entry + low[d];
        entries[c + (1 << d)] = level.hashed ? entry ^ high[d] : entry + high[d];
        weights[c + (1 << d)] = weights[c] * fractions[d];
        weights[c] -= weights[c + (1 << d)];
      }
    }
    for (auto& entry : entries) {
      const Lanes<uint32_t> wrapped = entry - level.size;
      entry = level.hashed ? entry & (level.size - 1) : (entry < wrapped ? entry : wrapped);
    }
  }
};

template <class T, int D, int F>
void encode_level(const HashLevel<T, D>& level, const PointBlock<T, D>& block, int count, const T* table, T* encodings,
                  int64_t stride) {
  const T* entries = table + level.offset * F;
  for (int first = 0; first < count; first += kLanes) {
    const CellLanes<T, D> cell(level, block, first);
    for (int k = 0; k < std::min(kLanes, count - first); ++k) {
      T sum[F] = {};
      for (int c = 0; c < cell.n_corners; ++c) {
        for (int f = 0; f < F; ++f) sum[f] += cell.weights[c][k] * entries[int64_t(cell.entries[c][k]) * F + f];
      }
      for (int f = 0; f < F; ++f) encodings[(first + k) * stride + f] = sum[f];
    }
  }
}

// Reads the upstream gradients of eight samples, zeros after the last.
template <class T, int F>
void load_gradients(const T* grad, int64_t stride, int n, Lanes<T>* out) {
  for (int f = 0; f < F; ++f) out[f] = Lanes<T>{};
  for (int k = 0; k < n; ++k) {
    for (int f = 0; f < F; ++f) out[f][k] = grad[k * stride + f];
  }
}

// Adds one level's share of the gradient of the points to grad_x, in cells of the level.
template <class T, int D, int F>
void slope_level(const HashLevel<T, D>& level, const PointBlock<T, D>& block, int count, const T* table, const T* grad,
                 int64_t stride, T (*grad_x)[kBlock]) {
  const T* entries = table + level.offset * F;
  for (int first = 0; first < count; first += kLanes) {
    const CellLanes<T, D> cell(level, block, first);
    Lanes<T> g[F], value[1 << D];
    load_gradients<T, F>(grad + first * stride, stride, std::min(kLanes, count - first), g);
    for (int c = 0; c < cell.n_corners; ++c) {
      value[c] = Lanes<T>{};
      for (int f = 0; f < F; ++f) {
        Lanes<T> entry;
        for (int k = 0; k < kLanes; ++k) entry[k] = entries[int64_t(cell.entries[c][k]) * F + f];
        value[c] += entry * g[f];
      }
    }
    // Interpolating the differences along an axis over the axes that are left; the lower axes are folded away.
    for (int d = 0; d < D; ++d) {
      const int half = 1 << (D - d - 1);
      Lanes<T> slope[1 << (D - 1)];
      for (int c = 0; c < half; ++c) {
        slope[c] = value[2 * c + 1] - value[2 * c];
        value[c] = value[2 * c] + slope[c] * cell.fractions[d];
      }
      for (int e = d + 1; e < D; ++e) {
        for (int c = 0; c < 1 << (D - e - 1); ++c) {
          slope[c] = slope[2 * c] + (slope[2 * c + 1] - slope[2 * c]) * cell.fractions[e];
        }
      }
      for (int k = 0; k < kLanes; ++k) grad_x[d][first + k] += slope[0][k] * level.scale[d];
    }
  }
}

// Adds one level's share of the gradient of the table. grad: one row a feature.
template <class T, int D, int F>
void scatter_level(const HashLevel<T, D>& level, const PointBlock<T, D>& block, int count, const T (*grad)[kBlock],
                   T* grad_table) {
  T* entries = grad_table + level.offset * F;
  for (int first = 0; first < count; first += kLanes) {
    const CellLanes<T, D> cell(level, block, first);
    for (int k = 0; k < std::min(kLanes, count - first); ++k) {
      for (int c = 0; c < cell.n_corners; ++c) {
        T* entry = entries + int64_t(cell.entries[c][k]) * F;
        for (int f = 0; f < F; ++f) entry[f] += cell.weights[c][k] * grad[f][first + k];
      }
    }
  }
}

// Runs f(first, count) for each block of samples.
template <class Function>
void for_each_block(int64_t n, Launch launch, const Function& f) {
  // Every thread gets some blocks; their size does not change any result.
  const int64_t share = n / (4 * launch.n_threads) / kLanes * kLanes;
  const int64_t size = std::clamp<int64_t>(share, 256, kBlock);
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads)) if (n > size)
  for (int64_t first = 0; first < n; first += size) f(first, static_cast<int>(std::min(size, n - first)));
}

template <class T, int D, int F, class Points>
const char* encode_on_host(const HashEncodeForward<T, D, F, Points>& pass, Launch launch) {
  const int64_t stride = pass.levels.n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<T, D> block;
    for (int i = 0; i < count; ++i) {
      T x[D];
      pass.points.load(begin + i, x);
      pass.points.store(begin + i, x);
      block.set(i, x);
    }
    block.pad(count);
    for (int64_t l = 0; l < pass.levels.n_levels; ++l) {
      T* encodings = pass.encodings + begin * stride + l * F;
      encode_level<T, D, F>(pass.levels.level[l], block, count, pass.table, encodings, stride);
    }
  });
  return nullptr;
}

// Adds to grad_points; the levels are summed in their order.
template <class T, int D, int F, class Points>
void add_point_gradient(const HashEncodeBackward<T, D, F, Points>& pass, Launch launch) {
  const int64_t stride = pass.levels.n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<T, D> block;
    alignas(64) T grad_x[D][kBlock] = {};
    for (int i = 0; i < count; ++i) {
      T x[D];
      pass.points.load(begin + i, x);
      block.set(i, x);
    }
    block.pad(count);
    for (int64_t l = 0; l < pass.levels.n_levels; ++l) {
      const T* grad = pass.grad_encodings + begin * stride + l * F;
      slope_level<T, D, F>(pass.levels.level[l], block, count, pass.table, grad, stride, grad_x);
    }
    for (int i = 0; i < count; ++i) {
      T x[D];
      pass.points.load(begin + i, x);
      for (int d = 0; d < Points::n_moving; ++d) {
        if (inside_unit(x[d])) pass.grad_points[(begin + i) * Points::n_moving + d] += grad_x[d][i];
      }
    }
  });
}

// Writes the table gradient of a group of levels: only this call touches their entries.
template <class T, int D, int F, class Points>
void write_level_gradients(const HashEncodeBackward<T, D, F, Points>& pass, int64_t first_level, int n_levels) {
  constexpr int max_values = 8;
  const HashLevel<T, D>* level = pass.levels.level + first_level;
  const int64_t stride = pass.levels.n_levels * F, n_values = n_levels * F;
  for (int l = 0; l < n_levels; ++l)
    std::fill_n(pass.grad_table + level[l].offset * F, int64_t(level[l].size) * F, T(0));
  PointBlock<T, D> block;
  alignas(64) T grad[max_values][kBlock];
  for (int64_t begin = 0; begin < pass.n_samples; begin += kBlock) {
    int count = 0;  // samples of this block that have a gradient
    for (int64_t i = begin; i < std::min(begin + kBlock, pass.n_samples); ++i) {
      const T* row = pass.grad_encodings + i * stride + first_level * F;
      bool used = false;
      for (int64_t v = 0; v < n_values; ++v) used |= row[v] != T(0);
      if (!used) continue;
      T x[D];
      pass.points.load(i, x);
      block.set(count, x);
      for (int64_t v = 0; v < n_values; ++v) grad[v][count] = row[v];
      ++count;
    }
    block.pad(count);
    for (int l = 0; l < n_levels; ++l) {
      scatter_level<T, D, F>(level[l], block, count, grad + l * F, pass.grad_table);
    }
  }
}

// Each task clears its own entries, just before it adds to them.
template <class T, int D, int F, class Points>
void write_table_gradient(const HashEncodeBackward<T, D, F, Points>& pass, Launch launch) {
  // Neighbouring levels share the cache lines of grad_encodings.
  constexpr int group = F < 8 ? std::min(8 / F, 2) : 1;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads))
  for (int64_t l = 0; l < pass.levels.n_levels; l += group) {
    write_level_gradients(pass, l, static_cast<int>(std::min<int64_t>(group, pass.levels.n_levels - l)));
  }
}

template <class T, int D, int F, class Points>
const char* differentiate_on_host(const HashEncodeBackward<T, D, F, Points>& pass, Launch launch) {
  if (pass.grad_table) write_table_gradient(pass, launch);
  if (pass.grad_points) add_point_gradient(pass, launch);
  return nullptr;
}

}  // namespace saff
