#pragma once
// What the host does with one level of a hash grid and a block of samples, behind function pointers, so that the code
// around it is compiled once for all numbers of features and types of entries. host/hash_levels.cpp compiles them.
#include "hash_lanes.h"

namespace saff {

constexpr int kRowFloats = 16;  // a cache line of a sample's row of encodings

template <int D>
struct LevelKernels {
  using Level = HashLevel<float, D>;
  using Block = PointBlock<D>;
  int n_features;
  // Those of hash_lanes.h; the table is one of the entries that the kernels are for.
  void (*encode)(const Level&, const Block&, const void* table, float* encodings);
  void (*slope)(const Level&, const Block&, const void* table, const float* grad, float (*grad_x)[kBlock]);
  void (*scatter)(const Level&, const Block&, const float* grad, float* grad_table);
  // Between n_levels levels, one behind the other, and the rows of the block's samples.
  void (*to_rows)(const float* levels, const Block&, int64_t n_levels, float* rows, int64_t stride);
  // Fills the last group of lanes with zeros.
  void (*from_rows)(const float* rows, int64_t stride, const Block&, int64_t n_levels, float* levels);
};

// n_features: 1, 2, 4 or 8.
template <int D, class Entry>
const LevelKernels<D>& level_kernels(int n_features);

}  // namespace saff
