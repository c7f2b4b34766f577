#pragma once
#include "hash_encode.h"

namespace saff {

// Which cells of the unit cube are occupied at the time of each frame, in the bits that march reads.
struct OccupancySlices {
  int64_t rx, ry, rz, n_frames, n_bytes;
  const uint8_t* bits;  // (n_frames, n_bytes), or null where everything counts as occupied

  // Whether the cell nearest to (x, y, z) is occupied in the slice nearest to time x[3]; NaN counts as 0.
  template <class T>
  SAFF_HD bool occupied(const T* x) const {
    if (!bits) return true;
    const auto frame = static_cast<int64_t>(clamp_to_unit(x[3]) * T(n_frames - 1) + T(0.5));
    const int64_t cell = (index(x[0], rx) * ry + index(x[1], ry)) * rz + index(x[2], rz);
    return bits[frame * n_bytes + (cell >> 3)] >> (cell & 7) & 1;
  }

 private:
  template <class T>
  SAFF_HD static int64_t index(T u, int64_t n) {
    const auto i = static_cast<int64_t>(clamp_to_unit(u) * T(n));
    return i < n ? i : n - 1;
  }
};

// Position i % n_positions at the neighbour time of sample i: (p + f, t) in the unit cube of space and time.
template <class T>
struct DisplacedPoints {
  static constexpr int n_moving = 3;  // a gradient of p + f is one of p and of f; t is given
  int64_t n_positions;
  const T* positions;  // (n_positions, 3)
  const T* flows;      // (n_samples, 3)
  const T* times;      // (n_samples,)

  SAFF_HD void displace(int64_t i, T* x) const {
    for (int d = 0; d < 3; ++d) x[d] = positions[i % n_positions * 3 + d] + flows[i * 3 + d];
    x[3] = times[i];
  }
};

template <class T>
struct FlowSamples : DisplacedPoints<T> {
  OccupancySlices slices;
  T* displaced;  // (n_samples, 3)
  T* inside;     // (n_samples,), 1 or 0
  T* occupied;   // (n_samples,), 1 or 0
  T* outside;    // (n_samples,), L1 distance to the unit cube

  SAFF_HD bool load(int64_t i, T* x) const {
    this->displace(i, x);
    return slices.occupied(x);
  }

  SAFF_HD void store(int64_t i, const T* x, bool looked_up) const {
    bool within = inside_unit(x[3]);
    T distance = T(0);
    for (int d = 0; d < 3; ++d) {
      displaced[i * 3 + d] = x[d];
      within = within && inside_unit(x[d]);
      distance += x[d] > T(1) ? x[d] - T(1) : (x[d] < T(0) ? -x[d] : T(0));
    }
    inside[i] = within ? T(1) : T(0);
    occupied[i] = looked_up ? T(1) : T(0);
    outside[i] = distance;
  }
};

template <class T>
struct FlowSampleGradients : DisplacedPoints<T> {
  const T* occupied;        // as the forward pass found it
  const T* grad_displaced;  // (n_samples, 3)
  const T* grad_outside;    // (n_samples,)

  SAFF_HD bool load(int64_t i, T* x) const {
    this->displace(i, x);
    return occupied[i] != T(0);
  }

  SAFF_HD T own_gradient(int64_t i, int d, T coordinate) const {
    const T away = coordinate > T(1) ? grad_outside[i] : (coordinate < T(0) ? -grad_outside[i] : T(0));
    return grad_displaced[i * 3 + d] + away;
  }
};

}  // namespace saff
