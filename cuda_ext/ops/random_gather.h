#pragma once
// Reads pairs of floats at random places of a 4D hash grid's levels and does nothing else: the ceiling that
// benchmarks/roofline.py holds hash_encode against. As many reads as encoding takes, in the same order: level by level
// within blocks of samples on the host, levels outermost on the device.
#include "../common/hash_grid.h"
#include "../common/launch.h"
#ifndef __CUDACC__
#include "../common/hash_grid_host.h"
#endif

namespace saff {

// Counters scrambled until their upper bits look random; a generator would have to wait for its last number.
template <class Word>
SAFF_HD Word scrambled(Word counter) {
  Word x = counter * 2654435769u;
  x = x ^ (x >> 15);
  return x * 739982445u;
}

struct RandomGather {
  static constexpr int D = 4, n_reads = 1 << D;
  int64_t n_samples;
  HashLevels<float, D> levels;
  const float* table;  // (n_entries, 2)
  float* sums;         // (n_levels, n_samples): of what was read; reads without a result would be left out

  SAFF_HD static float scale(const HashLevel<float, D>& level) { return level.size * (1.0f / 16777216.0f); }

  SAFF_HD void operator()(int64_t item) const {
    const HashLevel<float, D>& level = levels.level[item / n_samples];
    const float* entries = table + level.offset * 2;
    float sum = 0;
    for (int c = 0; c < n_reads; ++c) {
      const uint32_t word = scrambled(static_cast<uint32_t>(item * n_reads + c));
      const auto index = static_cast<uint32_t>(static_cast<float>(word >> 8) * scale(level));
      const float* entry = entries + 2 * (index < level.size ? index : level.size - 1);
      sum += entry[0] + entry[1];
    }
    sums[item] = sum;
  }

#ifndef __CUDACC__
  // The items of one level, eight at a time, with the loads of encode_level; sums are written up to the next multiple
  // of kLanes.
  void read_level(int64_t l, int64_t begin, int count, float* block_sums) const {
    const HashLevel<float, D>& level = levels.level[l];
    const float* entries = table + level.offset * 2;
    const Words lanes = {0, 1, 2, 3, 4, 5, 6, 7}, last = Words{} + (level.size - 1);
    for (int first = 0; first < count; first += kLanes) {
      const Words counter = (lanes + static_cast<uint32_t>(l * n_samples + begin + first)) * n_reads;
      Pairs sum{};
#pragma GCC unroll 16
      for (int c = 0; c < n_reads; ++c) {
        const Words word = scrambled(counter + c);
        const Floats place = __builtin_convertvector((Ints)(word >> 8), Floats) * scale(level);
        const Words index = (Words) __builtin_convertvector(place, Ints);
        alignas(32) uint32_t at[kLanes];
        store(at, index < last ? index : last);
        const Pairs entry = Pairs::gather(entries, at);
        sum.low += entry.low;
        sum.high += entry.high;
      }
      store(block_sums + first, sum.sums());
    }
  }
#endif
};

inline const char* run(const RandomGather& pass, Launch launch) {
#ifdef __CUDACC__
  return for_each(pass.n_samples * pass.levels.n_levels, pass, launch);
#else
  for_each_block(pass.n_samples, launch, [&](int64_t begin, int count) {
    alignas(32) float block_sums[kBlock];
    for (int64_t l = 0; l < pass.levels.n_levels; ++l) {
      pass.read_level(l, begin, count, block_sums);
      std::copy_n(block_sums, count, pass.sums + l * pass.n_samples + begin);
    }
  });
  return nullptr;
#endif
}

}  // namespace saff
