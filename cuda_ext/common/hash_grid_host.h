#pragma once
// Encoding with a hash grid on the host: the passes of hash_grid_plain.h.
// Levels are outermost within blocks of samples, so that one level's entries stay in the cache. No result depends on
// the number of threads: the forward pass and the gradient of the points are partitioned by sample, the gradient of
// the table by level.
#include "hash_grid_plain.h"
#include "hash_level_kernels.h"
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

// Encodings of a block, or their gradients, for as many levels as share a cache line of their rows: level by level.
// Going through this instead of the rows of all levels keeps a level's reads and writes next to each other; writes that
// miss the cache one by one took most of the time.
struct EncodingBlock {
  alignas(64) float values[kRowFloats * kBlock];
  float* level(int64_t l, int64_t n_features) { return values + l * n_features * kBlock; }
};

template <int D, class Points>
void encode_points(int64_t n_samples, const HashLevels<float, D>& levels, const Points& points,
                   const LevelKernels<D>& kernels, const void* table, float* encodings, Launch launch) {
  const int64_t n_levels = levels.n_levels, n_features = kernels.n_features, stride = n_levels * n_features;
  const int64_t at_once = kRowFloats / n_features;
  for_each_block(n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock buffer;
    for (int i = 0; i < count; ++i) {
      float x[D];
      const bool looked_up = points.load(begin + i, x);
      points.store(begin + i, x, looked_up);
      if (looked_up) {
        block.add(i, x);
      } else {
        std::fill_n(encodings + (begin + i) * stride, stride, 0.0f);
      }
    }
    block.pad();
    for (int64_t first = 0; first < n_levels; first += at_once) {
      const int64_t n = std::min(at_once, n_levels - first);
      for (int64_t l = 0; l < n; ++l) {
        kernels.encode(levels.level[first + l], block, table, buffer.level(l, n_features));
      }
      kernels.to_rows(buffer.values, block, n, encodings + begin * stride + first * n_features, stride);
    }
  });
}

template <int D, int F, class Points, class Entry>
const char* run_fast(const HashEncodeForward<float, D, F, Points, Entry>& pass, Launch launch) {
  encode_points(pass.n_samples, pass.levels, pass.points, level_kernels<D, Entry>(F), pass.table, pass.encodings,
                launch);
  return nullptr;
}

// The levels are summed in their order.
template <int D, class Points>
void write_point_gradient(int64_t n_samples, const HashLevels<float, D>& levels, const Points& points,
                          const LevelKernels<D>& kernels, const void* table, const float* grad_encodings,
                          float* grad_points, Launch launch) {
  constexpr int n_moving = Points::n_moving;
  const int64_t n_levels = levels.n_levels, n_features = kernels.n_features, stride = n_levels * n_features;
  const int64_t at_once = kRowFloats / n_features;
  for_each_block(n_samples, launch, [&](int64_t begin, int count) {
    PointBlock<D> block;
    EncodingBlock buffer;
    alignas(64) float grad_x[D][kBlock] = {};
    for (int i = 0; i < count; ++i) {
      float x[D], *grad_point = grad_points + (begin + i) * n_moving;
      if (points.load(begin + i, x)) block.add(i, x);
      for (int d = 0; d < n_moving; ++d) grad_point[d] = points.own_gradient(begin + i, d, x[d]);
    }
    block.pad();
    for (int64_t first = 0; first < n_levels; first += at_once) {
      const int64_t n = std::min(at_once, n_levels - first);
      kernels.from_rows(grad_encodings + begin * stride + first * n_features, stride, block, n, buffer.values);
      for (int64_t l = 0; l < n; ++l) {
        kernels.slope(levels.level[first + l], block, table, buffer.level(l, n_features), grad_x);
      }
    }
    for (int i = 0; i < block.count; ++i) {
      const int64_t sample = begin + block.sample[i];
      float x[D], *grad_point = grad_points + sample * n_moving;
      points.load(sample, x);
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
void write_level_gradients(const TableGradient<float, D, F, Points>& pass, const LevelKernels<D>& kernels,
                           int64_t first_level, int n_levels) {
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
    for (int l = 0; l < n_levels; ++l) kernels.scatter(level[l], block, grad[l], pass.grad_table);
  }
}

template <int D, int F, class Points>
void write_table_gradient(const TableGradient<float, D, F, Points>& pass, const LevelKernels<D>& kernels,
                          Launch launch) {
  constexpr int64_t group = kLevelGroup<F>;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast<int>(launch.n_threads))
  for (int64_t l = 0; l < pass.levels.n_levels; l += group) {
    write_level_gradients(pass, kernels, l, static_cast<int>(std::min(group, pass.levels.n_levels - l)));
  }
}

template <int D, int F, class Points, class Entry>
const char* run_fast(const HashEncodeBackward<float, D, F, Points, Entry>& pass, Launch launch) {
  const LevelKernels<D>& kernels = level_kernels<D, Entry>(F);
  if (pass.grad_table) write_table_gradient<D, F, Points>(pass, kernels, launch);
  if (pass.grad_points) {
    write_point_gradient(pass.n_samples, pass.levels, pass.points, kernels, pass.table, pass.grad_encodings,
                         pass.grad_points, launch);
  }
  return nullptr;
}

}  // namespace saff
