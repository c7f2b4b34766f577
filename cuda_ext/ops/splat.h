#pragma once
#include <cmath>
#include <cstdint>

#include "../common/hd.h"
#include "../common/launch.h"
#include "../common/scatter.h"

namespace saff {

// The pixels of an image, each added bilinearly to the four pixels around where its flow takes it.
template <class T>
struct Splat {
  int64_t height, width, n_channels;
  const T* values;   // (height, width, n_channels)
  const T* weights;  // (height, width)
  const T* flow;     // (height, width, 2): x, y
  T* sums;           // (height, width, n_channels)
  T* totals;         // (height, width)

  // One work item is one pixel.
  SAFF_HD void operator()(int64_t pixel) const { add(pixel, 0, height); }

  // Adds what of a pixel lands in rows [first_row, end_row).
  SAFF_HD void add(int64_t pixel, int64_t first_row, int64_t end_row) const {
    const T y = T(pixel / width) + flow[2 * pixel + 1];
    if (!(y > T(first_row) - T(1) && y < T(end_row))) return;  // NaN lands nowhere
    const T x = T(pixel % width) + flow[2 * pixel];
    if (!(x > T(-1) && x < T(width))) return;
    const T top = std::floor(y), left = std::floor(x);
    for (int corner = 0; corner < 4; ++corner) {
      const int64_t lower = corner >> 1, right = corner & 1;
      const int64_t row = int64_t(top) + lower, column = int64_t(left) + right;
      if (row < first_row || row >= end_row || column < 0 || column >= width) continue;
      const T share_y = lower ? y - top : T(1) - (y - top), share_x = right ? x - left : T(1) - (x - left);
      add_to(row * width + column, pixel, share_x * share_y * weights[pixel]);
    }
  }

  SAFF_HD void add_to(int64_t target, int64_t pixel, T weight) const {
    if (weight == T(0)) return;  // a value that does not count may be NaN
    scatter_add(totals + target, weight);
    for (int64_t c = 0; c < n_channels; ++c) {
      scatter_add(sums + target * n_channels + c, weight * values[pixel * n_channels + c]);
    }
  }
};

// Adds to sums and totals. On the host each thread goes through all pixels, in their order, and adds what lands in its
// own rows: the order of the additions to a pixel is that of the image, however the rows are divided.
template <class T>
const char* run(const Splat<T>& pass, Launch launch) {
  const int64_t n_pixels = pass.height * pass.width;
#ifdef __CUDACC__
  return for_each(n_pixels, pass, launch);
#else
  const int64_t n_bands = launch.n_threads;
#pragma omp parallel for schedule(static) num_threads(static_cast<int>(n_bands))
  for (int64_t band = 0; band < n_bands; ++band) {
    const int64_t first_row = pass.height * band / n_bands, end_row = pass.height * (band + 1) / n_bands;
    for (int64_t pixel = 0; pixel < n_pixels; ++pixel) pass.add(pixel, first_row, end_row);
  }
  return nullptr;
#endif
}

}  // namespace saff
