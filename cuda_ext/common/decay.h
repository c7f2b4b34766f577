#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "hd.h"

namespace saff {

// exp(-tau) and 1 - exp(-tau), both to their last digits: neither can be had from the other without cancellation where
// tau is small or large. One polynomial gives both, several times as fast as the library's two functions. With
// -tau = k ln 2 + r, |r| <= ln(2) / 2 and q = exp(r) - 1,
//   exp(-tau) = 2^k + 2^k q,  1 - exp(-tau) = (1 - 2^k) - 2^k q.
template <class T>
struct Decay {
  T clear, absorbed;
  SAFF_HD explicit Decay(T tau);
};

template <>
SAFF_HD Decay<double>::Decay(double tau) : clear(std::exp(-tau)), absorbed(-std::expm1(-tau)) {}

template <>
SAFF_HD Decay<float>::Decay(float tau) {
  constexpr float kBlack = 87, kBright = -88;  // from here on a float holds nothing else but 0, or infinity
  const float x = -(tau < kBright ? kBright : (tau > kBlack ? kBlack : tau));  // NaN stays
  const float k = std::floor(x * 1.44269504f + 0.5f);
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // ln 2 in two parts: Cody and Waite's reduction
  float q = 1.f / 5040;
  q = q * r + 1.f / 720;
  q = q * r + 1.f / 120;
  q = q * r + 1.f / 24;
  q = q * r + 1.f / 6;
  q = q * r + 0.5f;
  q = q * (r * r) + r;
  const int32_t bits = (static_cast<int32_t>(k == k ? k : 0.f) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  clear = tau > kBlack ? 0.f : scale + scale * q;
  absorbed = (1.f - scale) - scale * q;
}

}  // namespace saff
