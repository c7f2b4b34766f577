#pragma once
// The passes of a hash grid, run on the device this is compiled for. The host's double precision, which only checks of
// gradients need, runs the device's functors, as x86 processors without AVX2 do; else single precision runs the fast
// form, tested against them.
#include "../common/hash_grid_plain.h"
#include "../common/launch.h"
#if !defined(__CUDACC__) && !(defined(__x86_64__) && !defined(__AVX2__))
#define SAFF_FAST_GRID
#include "../common/hash_grid_host.h"
#endif

namespace saff {

#ifndef SAFF_FAST_GRID
template <class T>
constexpr bool kPlain = true;
template <class Pass>
const char* run_fast(const Pass&, Launch);  // there is none
#else
template <class T>
constexpr bool kPlain = std::is_same_v<T, double>;
#endif

template <class T, int D, int F, class Points, class Entry>
const char* run(const HashEncodeForward<T, D, F, Points, Entry>& pass, Launch launch) {
  if constexpr (kPlain<T>) {
    return for_each(pass.n_samples * pass.levels.n_levels, pass, launch);
  } else {
    return run_fast(pass, launch);
  }
}

// Writes grad_table and grad_points; either may be null.
template <class T, int D, int F, class Points, class Entry>
const char* run(const HashEncodeBackward<T, D, F, Points, Entry>& pass, Launch launch) {
  if constexpr (kPlain<T>) {
    if (pass.grad_table) {
      const char* error = fill_zero(pass.grad_table, pass.levels.n_entries() * F, launch);
      if (error) return error;
    }
    if (pass.grad_points) {
      const char* error = fill_zero(pass.grad_points, pass.n_samples * Points::n_moving, launch);
      if (error) return error;
    }
    launch.n_threads = 1;  // samples share entries, and the host adds without atomics
    return for_each(pass.n_samples * pass.levels.n_levels, pass, launch);
  } else {
    return run_fast(pass, launch);
  }
}

}  // namespace saff
