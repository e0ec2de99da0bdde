/// Philox4x32-10: random words as a pure function of (seed, task, index), so that any element of any task can be made
/// on any thread or device, in any order, with the same digits everywhere.
///
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 4.3.
#pragma once

#include "auditkit/portable.hpp"

namespace auditkit {

struct PhiloxCounter {
  u32 word[4];
};

struct PhiloxKey {
  u32 word[2];
};

/// Ten rounds: a bijection of the 2^128 counters for every key.
AUDITKIT_HD inline PhiloxCounter philox4x32_10(PhiloxCounter counter, PhiloxKey key) {
  constexpr u32 multiplier0 = 0xD2511F53U, multiplier1 = 0xCD9E8D57U;
  constexpr u32 weyl0 = 0x9E3779B9U, weyl1 = 0xBB67AE85U;  // golden ratio and sqrt(3) - 1, as binary fractions
  for (int round = 0; round < 10; ++round) {
    const u64 product0 = static_cast<u64>(multiplier0) * counter.word[0];
    const u64 product1 = static_cast<u64>(multiplier1) * counter.word[2];
    counter = {{static_cast<u32>(product1 >> 32) ^ counter.word[1] ^ key.word[0], static_cast<u32>(product1),
                static_cast<u32>(product0 >> 32) ^ counter.word[3] ^ key.word[1], static_cast<u32>(product0)}};
    key.word[0] += weyl0;
    key.word[1] += weyl1;
  }
  return counter;
}

/// The random numbers of one task: the seed is the key, the task is the high half of the counter and the index of a
/// block its low half. Different (seed, task, index) never share a counter under one key, so streams cannot overlap.
struct PhiloxStream {
  u64 seed, task;
};

AUDITKIT_HD inline PhiloxCounter philox_block(const PhiloxStream& stream, u64 index) {
  const PhiloxCounter counter{{static_cast<u32>(index), static_cast<u32>(index >> 32), static_cast<u32>(stream.task),
                               static_cast<u32>(stream.task >> 32)}};
  const PhiloxKey key{{static_cast<u32>(stream.seed), static_cast<u32>(stream.seed >> 32)}};
  return philox4x32_10(counter, key);
}

/// A double strictly between 0 and 1 from 64 random bits: the odd multiples of 2^-53, each equally likely. They use all
/// 53 bits of a double, are exact, symmetric about 1/2, and 1 - u is exact too.
AUDITKIT_HD inline double open_unit_double(u32 high, u32 low) {
  const u64 bits = (static_cast<u64>(high) << 32) | low;
  return static_cast<double>((bits >> 12) * 2 + 1) * 0x1p-53;
}

/// Uniform number `index` of a stream: two to a block.
AUDITKIT_HD inline double philox_uniform(const PhiloxStream& stream, u64 index) {
  const PhiloxCounter block = philox_block(stream, index / 2);
  return index % 2 == 0 ? open_unit_double(block.word[0], block.word[1])
                        : open_unit_double(block.word[2], block.word[3]);
}

}  // namespace auditkit
