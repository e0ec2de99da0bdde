/// Which instruction set the kernels use: the best the processor has, capped by the environment variable AUDITKIT_ISA.
#pragma once

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
};

/// Chosen at first use and fixed from then on.
Isa active_isa();
const KernelTable& kernels();

/// "baseline", "avx2", "avx512".
const char* isa_name(Isa isa);

}  // namespace auditkit
