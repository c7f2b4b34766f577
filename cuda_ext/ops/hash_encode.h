#pragma once
// The passes of a hash grid, run on the device this is compiled for. The host's double precision, which only checks of
// gradients need, runs the device's functors; single precision runs the fast form, tested against them.
#include "../common/hash_grid_plain.h"
#include "../common/launch.h"
#ifndef __CUDACC__
#include "../common/hash_grid_host.h"
#endif

namespace saff {

template <class T, int D, int F, class Points>
const char* run(const HashEncodeForward<T, D, F, Points>& pass, Launch launch) {
#ifndef __CUDACC__
  if constexpr (std::is_same_v<T, float>) return encode_on_host(pass, launch);
#endif
  return for_each(pass.n_samples * pass.levels.n_levels, pass, launch);
}

// Writes grad_table and adds to grad_points; either may be null.
template <class T, int D, int F, class Points>
const char* run(const HashEncodeBackward<T, D, F, Points>& pass, Launch launch) {
#ifndef __CUDACC__
  if constexpr (std::is_same_v<T, float>) return differentiate_on_host(pass, launch);
#endif
  if (pass.grad_table) {
    const char* error = fill_zero(pass.grad_table, pass.levels.n_entries() * F, launch);
    if (error) return error;
  }
  launch.n_threads = 1;  // samples share entries, and the host adds without atomics
  return for_each(pass.n_samples * pass.levels.n_levels, pass, launch);
}

}  // namespace saff
