/// Which instruction set the kernels use: the best the processor has, capped by the environment variable AUDITKIT_ISA.
#pragma once

#include "auditkit/adaptive_rows.hpp"
#include "auditkit/bin_rows.hpp"
#include "auditkit/kernel_tiles.hpp"
#include "auditkit/line_panels.hpp"
#include "auditkit/min_plus.hpp"
#include "auditkit/tile_product.hpp"

namespace auditkit {

enum class Isa { baseline, avx2, avx512 };

/// One table per instruction set; every entry obeys the contract in its own header.
struct KernelTable {
  LinePanelFn line_panel;
  TailPanelFn tail_panel;
  AddMinFn add_min;
  TileProductFn<float> tile_product_f32;
  TileProductFn<double> tile_product_f64;
  TileSquaresFn<float> tile_squares_f32;
  TileSquaresFn<double> tile_squares_f64;
  TileDistancesFn<float> tile_distances_f32;
  TileDistancesFn<double> tile_distances_f64;
  TileSumsFn<float> tile_sums_f32;
  TileSumsFn<double> tile_sums_f64;
  TileCoefficientsFn<float> tile_coefficients_f32;
  TileCoefficientsFn<double> tile_coefficients_f64;
  WidthCellsFn<float> width_cells_f32;
  WidthCellsFn<double> width_cells_f64;
  AddMomentsFn<float> add_moments_f32;
  AddMomentsFn<double> add_moments_f64;
  AboveFn<float> above_f32;
  AboveFn<double> above_f64;
  MarkAboveFn<float> mark_above_f32;
  MarkAboveFn<double> mark_above_f64;
  CountEqualFn<float> count_equal_f32;
  CountEqualFn<double> count_equal_f64;
};

/// Chosen at first use and fixed from then on.
Isa active_isa();
const KernelTable& kernels();

/// "baseline", "avx2", "avx512".
const char* isa_name(Isa isa);

}  // namespace auditkit
