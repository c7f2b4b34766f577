// The kernels of one level, for all dimensions, numbers of features and types of entries.
#include "../common/half.h"
#include "../common/hash_level_kernels.h"

namespace saff {
namespace {

template <int D, int F>
void to_rows(const float* levels, const PointBlock<D>& block, int64_t n_levels, float* rows, int64_t stride) {
  for (int i = 0; i < block.count; ++i) {
    float* row = rows + block.sample[i] * stride;
    for (int64_t l = 0; l < n_levels; ++l) std::memcpy(row + l * F, levels + (l * kBlock + i) * F, F * sizeof(float));
  }
}

template <int D, int F>
void from_rows(const float* rows, int64_t stride, const PointBlock<D>& block, int64_t n_levels, float* levels) {
  for (int i = 0; i < block.count; ++i) {
    const float* row = rows + block.sample[i] * stride;
    for (int64_t l = 0; l < n_levels; ++l) std::memcpy(levels + (l * kBlock + i) * F, row + l * F, F * sizeof(float));
  }
  for (int64_t l = 0; l < n_levels; ++l) {
    float* level = levels + l * kBlock * F;
    std::fill(level + block.count * F, level + padded(block.count) * F, 0.0f);
  }
}

template <int D, int F, class Entry>
constexpr LevelKernels<D> kKernels{
    F, encode_level<D, F, Entry>, slope_level<D, F, Entry>, scatter_level<D, F>, to_rows<D, F>, from_rows<D, F>};

}  // namespace

template <int D, class Entry>
const LevelKernels<D>& level_kernels(int n_features) {
  switch (n_features) {
    case 1:
      return kKernels<D, 1, Entry>;
    case 2:
      return kKernels<D, 2, Entry>;
    case 4:
      return kKernels<D, 4, Entry>;
    default:
      return kKernels<D, 8, Entry>;
  }
}

template const LevelKernels<2>& level_kernels<2, float>(int);
template const LevelKernels<2>& level_kernels<2, Half>(int);
template const LevelKernels<3>& level_kernels<3, float>(int);
template const LevelKernels<3>& level_kernels<3, Half>(int);
template const LevelKernels<4>& level_kernels<4, float>(int);
template const LevelKernels<4>& level_kernels<4, Half>(int);

}  // namespace saff
