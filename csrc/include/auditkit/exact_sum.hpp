/// A sum in two doubles, which carries the rounding of each addition along. Host only, C++20.
/// Source: Knuth, The art of computer programming, volume 2, section 4.2.2, theorem B.
#pragma once

#include <cmath>
#include <limits>

namespace auditkit {

/// hi + lo with nothing lost but 2^-106 of the largest partial sum.
class ExactSum {
 public:
  void add(double x) {
    const double sum = hi_ + x;
    const double part = sum - hi_;
    lo_ += (hi_ - (sum - part)) + (x - part);
    hi_ = sum;
  }

  void add_product(double count, double x) {
    const double product = count * x;
    add(product);
    add(std::fma(count, x, -product));
  }

  [[nodiscard]] double value() const { return hi_ + lo_; }

  /// The least double that is not below the sum, `margin` added.
  [[nodiscard]] double upper(double margin) const {
    const double sum = value();
    const double rest = lo_ - (sum - hi_);
    if (margin == 0.0 && rest <= 0.0) return sum;
    return std::nextafter(sum + margin, std::numeric_limits<double>::infinity());
  }

 private:
  double hi_ = 0.0, lo_ = 0.0;
};

}  // namespace auditkit
