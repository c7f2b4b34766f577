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

  void to_rows(float* rows, int64_t stride, int count, int n_levels) const {
    for (int i = 0; i < count; ++i) {
      for (int l = 0; l < n_levels; ++l) std::memcpy(rows + i * stride + l * F, values[l] + i * F, F * sizeof(float));
    }
  }
  // Fills the last group of lanes with zeros.
  void from_rows(const float* rows, int64_t stride, int count, int n_levels) {
    for (int i = 0; i < count; ++i) {
      for (int l = 0; l < n_levels; ++l) std::memcpy(values[l] + i * F, rows + i * stride + l * F, F * sizeof(float));
    }
    for (int l = 0; l < n_levels; ++l) std::fill(values[l] + count * F, values[l] + padded(count) * F, 0.0f);
  }
};

template <int D, int F, class Points>
const char* run_fast(const HashEncodeForward<float, D, F, Points>& pass, Launch launch) {
  const int64_t n_levels = pass.levels.n_levels, stride = n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock<F> encodings;
    for (int i = 0; i < count; ++i) {
      float x[D];
      pass.points.load(begin + i, x);
      pass.points.store(begin + i, x);
      block.set(i, x);
    }
    block.pad(count);
    for (int64_t first = 0; first < n_levels; first += encodings.max_levels) {
      const int n = static_cast<int>(std::min<int64_t>(encodings.max_levels, n_levels - first));
      for (int l = 0; l < n; ++l) {
        const HashLevel<float, D>& level = pass.levels.level[first + l];
        encode_level<D, F>(level, block, count, pass.table, encodings.values[l]);
      }
      encodings.to_rows(pass.encodings + begin * stride + first * F, stride, count, n);
    }
  });
  return nullptr;
}

// Adds to grad_points; the levels are summed in their order.
template <int D, int F, class Points>
void add_point_gradient(const HashEncodeBackward<float, D, F, Points>& pass, Launch launch) {
  const int64_t n_levels = pass.levels.n_levels, stride = n_levels * F;
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock<F> grad;
    alignas(64) float grad_x[D][kBlock] = {};
    for (int i = 0; i < count; ++i) {
      float x[D];
      pass.points.load(begin + i, x);
      block.set(i, x);
    }
    block.pad(count);
    for (int64_t first = 0; first < n_levels; first += grad.max_levels) {
      const int n = static_cast<int>(std::min<int64_t>(grad.max_levels, n_levels - first));
      grad.from_rows(pass.grad_encodings + begin * stride + first * F, stride, count, n);
      for (int l = 0; l < n; ++l) {
        const HashLevel<float, D>& level = pass.levels.level[first + l];
        slope_level<D, F>(level, block, count, pass.table, grad.values[l], grad_x);
      }
    }
    for (int i = 0; i < count; ++i) {
      float x[D];
      pass.points.load(begin + i, x);
      for (int d = 0; d < Points::n_moving; ++d) {
        if (inside_unit(x[d])) pass.grad_points[(begin + i) * Points::n_moving + d] += grad_x[d][i];
      }
    }
  });
}

// Levels whose gradients one task writes: neighbours share the cache lines of grad_encodings.
template <int F>
constexpr int kLevelGroup = F < 4 ? 2 : 1;

// Writes the table gradient of a group of levels: only this call touches their entries, and it clears them itself.
template <int D, int F, class Points>
void write_level_gradients(const HashEncodeBackward<float, D, F, Points>& pass, int64_t first_level, int n_levels) {
  const HashLevel<float, D>* level = pass.levels.level + first_level;
  const int64_t stride = pass.levels.n_levels * F;
  for (int l = 0; l < n_levels; ++l) {
    std::fill_n(pass.grad_table + level[l].offset * F, int64_t(level[l].size) * F, 0.0f);
  }
  PointBlock<D> block;
  alignas(64) float grad[kLevelGroup<F>][kBlock * F];
  n_levels = std::min(n_levels, kLevelGroup<F>);  // no more are asked for; this tells the compiler
  for (int64_t begin = 0; begin < pass.n_samples; begin += kBlock) {
    int count = 0;  // samples of this block that have a gradient
    for (int64_t i = begin; i < std::min(begin + kBlock, pass.n_samples); ++i) {
      const float* row = pass.grad_encodings + i * stride + first_level * F;
      bool used = false;
      for (int v = 0; v < n_levels * F; ++v) used |= row[v] != 0.0f;
      if (!used) continue;
      float x[D];
      pass.points.load(i, x);
      block.set(count, x);
      for (int l = 0; l < n_levels; ++l) std::memcpy(grad[l] + count * F, row + l * F, F * sizeof(float));
      ++count;
    }
    block.pad(count);
    for (int l = 0; l < n_levels; ++l) {
      scatter_level<D, F>(level[l], block, count, grad[l], pass.grad_table);
    }
  }
}

template <int D, int F, class Points>
const char* run_fast(const HashEncodeBackward<float, D, F, Points>& pass, Launch launch) {
  if (pass.grad_table) {
    constexpr int group = kLevelGroup<F>;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads))
    for (int64_t l = 0; l < pass.levels.n_levels; l += group) {
      write_level_gradients(pass, l, static_cast<int>(std::min<int64_t>(group, pass.levels.n_levels - l)));
    }
  }
  if (pass.grad_points) add_point_gradient(pass, launch);
  return nullptr;
}

}  // namespace saff
