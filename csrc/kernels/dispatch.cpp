#include "auditkit/dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace auditkit {

#define AUDITKIT_DECLARE_TILES(T, name)                                                  \
  void tile_product_##name(const TileShape&, const T*, const T*, T*);                    \
  void tile_squares_##name(const TileShape&, const T*, const T*, T*);                    \
  void tile_distances_##name(const PairTile<T>&, const DistanceRule<T>&, std::int64_t*); \
  void tile_sums_##name(const PairTile<T>&, T, T);                                       \
  bool tile_coefficients_##name(const PairTile<T>&, std::int64_t, std::int64_t, T, T);

#define AUDITKIT_DECLARE_LEVEL(level)                                                                         \
  namespace isa_##level {                                                                                     \
    PanelSums line_panel(const PrivacyLine&, double, double, double, bool);                                   \
    double tail_panel(const BetaLaw&, const BetaPoint&, double, double);                                      \
    void add_min(double*, const double*, double, std::int64_t);                                               \
    AUDITKIT_DECLARE_TILES(float, f32)                                                                        \
    AUDITKIT_DECLARE_TILES(double, f64)                                                                       \
  }                                                                                                           \
  namespace {                                                                                                 \
  constexpr KernelTable kTable_##level{                                                                       \
      isa_##level::line_panel,           isa_##level::tail_panel,         isa_##level::add_min,               \
      isa_##level::tile_product_f32,     isa_##level::tile_product_f64,   isa_##level::tile_squares_f32,      \
      isa_##level::tile_squares_f64,     isa_##level::tile_distances_f32, isa_##level::tile_distances_f64,    \
      isa_##level::tile_sums_f32,        isa_##level::tile_sums_f64,      isa_##level::tile_coefficients_f32, \
      isa_##level::tile_coefficients_f64};                                                                    \
  }

AUDITKIT_DECLARE_LEVEL(baseline)
#if defined(AUDITKIT_HAVE_X86_LEVELS)
AUDITKIT_DECLARE_LEVEL(avx2)
AUDITKIT_DECLARE_LEVEL(avx512)
#endif

namespace {

Isa processor_isa() {
#if defined(AUDITKIT_HAVE_X86_LEVELS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::baseline;
}

Isa choose() {
  Isa best = processor_isa();
  if (const char* cap = std::getenv("AUDITKIT_ISA")) {
    for (const Isa level : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (std::strcmp(cap, isa_name(level)) == 0 && level < best) best = level;
  }
  return best;
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::baseline: break;
  }
  return "baseline";
}

Isa active_isa() {
  static const Isa chosen = choose();
  return chosen;
}

const KernelTable& kernels() {
  switch (active_isa()) {
#if defined(AUDITKIT_HAVE_X86_LEVELS)
    case Isa::avx512: return kTable_avx512;
    case Isa::avx2: return kTable_avx2;
#endif
    default: return kTable_baseline;
  }
}

}  // namespace auditkit
