#pragma once
// Encoding with a hash grid on the host: the passes of hash_grid_plain.h.
// Levels are outermost within blocks of samples, so that one level's entries stay in the cache. No result depends on
// the number of threads: the forward pass and the gradient of the points are partitioned by sample, the gradient of
// the table by level.
#include "hash_grid_plain.h"
#include "hash_lanes.h"
#include "launch.h"

namespace saff {

// Runs f(first, count) for each block of samples. Their size does not change any result.
template <class Function>
void for_each_block(int64_t n, Launch launch, const Function& f) {
  const int64_t n_rounds = (n + kBlock * launch.n_threads - 1) / (kBlock * launch.n_threads);
  const int64_t n_blocks = std::max<int64_t>(n_rounds * launch.n_threads, 1);  // as many for every thread
  const int64_t size = std::max(padded((n + n_blocks - 1) / n_blocks), int64_t(256));
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads)) if (n > size)
  for (int64_t first = 0; first < n; first += size) f(first, static_cast<int>(std::min(size, n - first)));
}

// Encodings of a block, or their gradients, for some levels: level by level, F values a sample. Going through this
// instead of the rows of all levels keeps a level's reads and writes next to each other; writes that miss the cache one
// by one took most of the time.
template <int F>
struct EncodingBlock {
  static constexpr int max_levels = 16 / F;  // a cache line of each row
  alignas(64) float values[max_levels][kBlock * F];

  template <class Block>
  void to_rows(float* rows, int64_t stride, const Block& block, int n_levels) const {
    for (int i = 0; i < block.count; ++i) {
      float* row = rows + block.sample[i] * stride;
      for (int l = 0; l < n_levels; ++l) std::memcpy(row + l * F, values[l] + i * F, F * sizeof(float));
    }
  }
  // Fills the last group of lanes with zeros.
  template <class Block>
  void from_rows(const float* rows, int64_t stride, const Block& block, int n_levels) {
    for (int i = 0; i < block.count; ++i) {
      const float* row = rows + block.sample[i] * stride;
      for (int l = 0; l < n_levels; ++l) std::memcpy(values[l] + i * F, row + l * F, F * sizeof(float));
    }
    for (int l = 0; l < n_levels; ++l) {
      std::fill(values[l] + block.count * F, values[l] + padded(block.count) * F, 0.0f);
    }
  }
};

template <int D, int F, class Points, class Entry>
const char* run_fast(const HashEncodeForward<float, D, F, Points, Entry>& pass, Launch launch) {
  const int64_t n_levels = pass.levels.n_levels, stride = n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock<F> encodings;
    for (int i = 0; i < count; ++i) {
      float x[D];
      const bool looked_up = pass.points.load(begin + i, x);
      pass.points.store(begin + i, x, looked_up);
      if (looked_up) {
        block.add(i, x);
      } else {
        std::fill_n(pass.encodings + (begin + i) * stride, stride, 0.0f);
      }
    }
    block.pad();
    for (int64_t first = 0; first < n_levels; first += encodings.max_levels) {
      const int n = static_cast<int>(std::min<int64_t>(encodings.max_levels, n_levels - first));
      for (int l = 0; l < n; ++l) {
        const HashLevel<float, D>& level = pass.levels.level[first + l];
        encode_level<D, F>(level, block, pass.table, encodings.values[l]);
      }
      encodings.to_rows(pass.encodings + begin * stride + first * F, stride, block, n);
    }
  });
  return nullptr;
}

// The levels are summed in their order.
template <int D, int F, class Points, class Entry>
void write_point_gradient(const HashEncodeBackward<float, D, F, Points, Entry>& pass, Launch launch) {
  constexpr int n_moving = Points::n_moving;
  const int64_t n_levels = pass.levels.n_levels, stride = n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock<F> grad;
    alignas(64) float grad_x[D][kBlock] = {};
    for (int i = 0; i < count; ++i) {
      float x[D], *grad_point = pass.grad_points + (begin + i) * n_moving;
      if (pass.points.load(begin + i, x)) block.add(i, x);
      for (int d = 0; d < n_moving; ++d) grad_point[d] = pass.points.own_gradient(begin + i, d, x[d]);
    }
    block.pad();
    for (int64_t first = 0; first < n_levels; first += grad.max_levels) {
      const int n = static_cast<int>(std::min<int64_t>(grad.max_levels, n_levels - first));
      grad.from_rows(pass.grad_encodings + begin * stride + first * F, stride, block, n);
      for (int l = 0; l < n; ++l) {
        const HashLevel<float, D>& level = pass.levels.level[first + l];
        slope_level<D, F>(level, block, pass.table, grad.values[l], grad_x);
      }
    }
    for (int i = 0; i < block.count; ++i) {
      const int64_t sample = begin + block.sample[i];
      float x[D], *grad_point = pass.grad_points + sample * n_moving;
      pass.points.load(sample, x);
      for (int d = 0; d < n_moving; ++d) {
        if (inside_unit(x[d])) grad_point[d] += grad_x[d][i];
      }
    }
  });
}

// Levels whose gradients one task writes: neighbours share the cache lines of grad_encodings.
template <int F>
constexpr int kLevelGroup = F < 4 ? 2 : 1;

// Writes the table gradient of a group of levels: only this call touches their entries, and it clears them itself.
template <int D, int F, class Points>
void write_level_gradients(const TableGradient<float, D, F, Points>& pass, int64_t first_level, int n_levels) {
  const HashLevel<float, D>* level = pass.levels.level + first_level;
  const int64_t stride = pass.levels.n_levels * F;
  for (int l = 0; l < n_levels; ++l) {
    std::fill_n(pass.grad_table + level[l].offset * F, int64_t(level[l].size) * F, 0.0f);
  }
  PointBlock<D> block;
  alignas(64) float grad[kLevelGroup<F>][kBlock * F];
  n_levels = std::min(n_levels, kLevelGroup<F>);  // no more are asked for; this tells the compiler
  for (int64_t begin = 0; begin < pass.n_samples; begin += kBlock) {
    block.count = 0;  // samples that have a gradient
    for (int64_t i = begin; i < std::min(begin + kBlock, pass.n_samples); ++i) {
      const float* row = pass.grad_encodings + i * stride + first_level * F;
      bool used = false;
      for (int v = 0; v < n_levels * F; ++v) used |= row[v] != 0.0f;
      float x[D];
      if (!used || !pass.points.load(i, x)) continue;
      for (int l = 0; l < n_levels; ++l) std::memcpy(grad[l] + block.count * F, row + l * F, F * sizeof(float));
      block.add(static_cast<int>(i - begin), x);
    }
    block.pad();
    for (int l = 0; l < n_levels; ++l) scatter_level<D, F>(level[l], block, grad[l], pass.grad_table);
  }
}

template <int D, int F, class Points, class Entry>
const char* run_fast(const HashEncodeBackward<float, D, F, Points, Entry>& pass, Launch launch) {
  if (pass.grad_table) {
    constexpr int group = kLevelGroup<F>;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads))
    for (int64_t l = 0; l < pass.levels.n_levels; l += group) {
      write_level_gradients<D, F, Points>(pass, l,
                                          static_cast<int>(std::min<int64_t>(group, pass.levels.n_levels - l)));
    }
  }
  if (pass.grad_points) write_point_gradient(pass, launch);
  return nullptr;
}

}  // namespace saff
