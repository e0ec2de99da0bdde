#include "auditkit/dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

namespace auditkit {

#define AUDITKIT_DECLARE_LEVEL(level)                                        \
  namespace isa_##level {                                                    \
    PanelSums line_panel(const PrivacyLine&, double, double, double, bool);  \
    double tail_panel(const BetaLaw&, const BetaPoint&, double, double);     \
    void add_min(double*, const double*, double, std::int64_t);              \
    std::remove_pointer_t<TileProductFn<float>> tile_product_f32;            \
    std::remove_pointer_t<TileProductFn<double>> tile_product_f64;           \
    std::remove_pointer_t<TileSquaresFn<float>> tile_squares_f32;            \
    std::remove_pointer_t<TileSquaresFn<double>> tile_squares_f64;           \
    std::remove_pointer_t<TileDistancesFn<float>> tile_distances_f32;        \
    std::remove_pointer_t<TileDistancesFn<double>> tile_distances_f64;       \
    std::remove_pointer_t<TileSumsFn<float>> tile_sums_f32;                  \
    std::remove_pointer_t<TileSumsFn<double>> tile_sums_f64;                 \
    std::remove_pointer_t<TileCoefficientsFn<float>> tile_coefficients_f32;  \
    std::remove_pointer_t<TileCoefficientsFn<double>> tile_coefficients_f64; \
    std::remove_pointer_t<WidthCellsFn<float>> width_cells_f32;              \
    std::remove_pointer_t<WidthCellsFn<double>> width_cells_f64;             \
    std::remove_pointer_t<AddMomentsFn<float>> add_moments_f32;              \
    std::remove_pointer_t<AddMomentsFn<double>> add_moments_f64;             \
    std::remove_pointer_t<AboveFn<float>> above_f32;                         \
    std::remove_pointer_t<AboveFn<double>> above_f64;                        \
    std::remove_pointer_t<MarkAboveFn<float>> mark_above_f32;                \
    std::remove_pointer_t<MarkAboveFn<double>> mark_above_f64;               \
    std::remove_pointer_t<CountEqualFn<float>> count_equal_f32;              \
    std::remove_pointer_t<CountEqualFn<double>> count_equal_f64;             \
  }                                                                          \
  namespace {                                                                \
  constexpr KernelTable kTable_##level{isa_##level::line_panel,              \
                                       isa_##level::tail_panel,              \
                                       isa_##level::add_min,                 \
                                       isa_##level::tile_product_f32,        \
                                       isa_##level::tile_product_f64,        \
                                       isa_##level::tile_squares_f32,        \
                                       isa_##level::tile_squares_f64,        \
                                       isa_##level::tile_distances_f32,      \
                                       isa_##level::tile_distances_f64,      \
                                       isa_##level::tile_sums_f32,           \
                                       isa_##level::tile_sums_f64,           \
                                       isa_##level::tile_coefficients_f32,   \
                                       isa_##level::tile_coefficients_f64,   \
                                       isa_##level::width_cells_f32,         \
                                       isa_##level::width_cells_f64,         \
                                       isa_##level::add_moments_f32,         \
                                       isa_##level::add_moments_f64,         \
                                       isa_##level::above_f32,               \
                                       isa_##level::above_f64,               \
                                       isa_##level::mark_above_f32,          \
                                       isa_##level::mark_above_f64,          \
                                       isa_##level::count_equal_f32,         \
                                       isa_##level::count_equal_f64};        \
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
