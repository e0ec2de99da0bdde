/// What lets one header serve the host compiler, nvcc and run-time compilation (NVRTC): the host+device marker and the
/// two standard headers that shared code may use. Shared headers are C++17, allocate nothing and throw nothing.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define AUDITKIT_HD __host__ __device__
#else
#define AUDITKIT_HD
#endif

#if !defined(__CUDACC_RTC__)
#include <cmath>
#include <cstdint>
#endif

namespace auditkit {

#if defined(__CUDACC_RTC__)
using u32 = unsigned int;
using u64 = unsigned long long;
#else
using u32 = std::uint32_t;
using u64 = std::uint64_t;
#endif

inline constexpr double kInfinity = __builtin_huge_val();
inline constexpr double kLogSqrt2Pi = 0.91893853320467274178;
inline constexpr double kLogTwo = 0.69314718055994530942;

AUDITKIT_HD inline double min2(double a, double b) { return a < b ? a : b; }
AUDITKIT_HD inline double max2(double a, double b) { return a > b ? a : b; }
AUDITKIT_HD inline double clamp(double x, double low, double high) { return min2(max2(x, low), high); }

}  // namespace auditkit
