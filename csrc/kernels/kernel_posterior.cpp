#include "auditkit/kernel_posterior.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

template <class T>
double distance2(const T* a, const T* b, std::size_t d) {
  double sum = 0.0;
  for (std::size_t k = 0; k < d; ++k) {
    const double gap = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += gap * gap;
  }
  return sum;
}

/// Rows to predict: their own group keeps a reference out; no groups where the queries stand beside the points.
template <class T>
struct Rows {
  std::span<const T> x;
  std::span<const std::int64_t> groups;
  std::size_t size;
};

template <class T>
void weights_of(const Rows<T>& rows, std::size_t i, const LabelledPoints<T>& points, double bandwidth, double& log_z,
                std::vector<double>& w) {
  const std::size_t n = points.size();
  double top = kNothing;
  for (std::size_t j = 0; j < n; ++j) {
    const bool kept = rows.groups.empty() || rows.groups[i] != rows.groups[j];
    const double gap = distance2(&rows.x[i * points.d], &points.x[j * points.d], points.d);
    w[j] = kept ? points.log_weights[j] - gap / (2 * bandwidth * bandwidth) : kNothing;
    top = std::max(top, w[j]);
  }
  log_z = kNothing;
  if (top == kNothing) {
    std::ranges::fill(w, 0.0);
    return;
  }
  double sum = 0.0;
  for (double& l : w) sum += std::exp(l - top);
  log_z = top + std::log(sum);
  for (double& l : w) l = std::exp(l - log_z);
}

template <class T>
void posterior_rows(const Rows<T>& rows, const LabelledPoints<T>& points, std::span<const double> bandwidths,
                    unsigned n_threads, std::span<T> log_normaliser, std::span<T> probability) {
  std::ranges::fill(probability, T{0});
  parallel_for(bandwidths.size() * rows.size, 16, n_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<double> w(points.size()), p(points.classes);
    for (std::size_t task = begin; task < end; ++task) {
      double log_z = 0.0;
      weights_of(rows, task % rows.size, points, bandwidths[task / rows.size], log_z, w);
      log_normaliser[task] = static_cast<T>(log_z);
      std::ranges::fill(p, 0.0);
      for (std::size_t j = 0; j < points.size(); ++j) p[static_cast<std::size_t>(points.codes[j])] += w[j];
      for (std::size_t c = 0; c < points.classes; ++c) probability[task * points.classes + c] = static_cast<T>(p[c]);
    }
  });
}

/// phi(p) and its gradient g by p.
double smooth_top(std::span<const double> p, double tau, std::span<double> g) {
  const auto best = std::ranges::max_element(p);
  if (tau == 0.0) {
    std::ranges::fill(g, 0.0);
    g[static_cast<std::size_t>(best - p.begin())] = 1.0;
    return *best;
  }
  double sum = 0.0;
  for (std::size_t c = 0; c < p.size(); ++c) sum += g[c] = std::exp((p[c] - *best) / tau);
  for (double& value : g) value /= sum;
  return *best + tau * std::log(sum);
}

/// The gradient of J: with `symmetric`, references move too (they are the rows themselves).
template <class T>
double gradient_rows(const Rows<T>& rows, const LabelledPoints<T>& points, double bandwidth, double tau, bool symmetric,
                     std::span<T> gradient) {
  const std::size_t n = points.size(), d = points.d;
  std::vector<double> w(n), p(points.classes), g(points.classes), total(rows.size * d, 0.0);
  double sum = 0.0;
  std::size_t counted = 0;
  for (std::size_t i = 0; i < rows.size; ++i) {
    double log_z = 0.0;
    weights_of(rows, i, points, bandwidth, log_z, w);
    if (log_z == kNothing) continue;
    ++counted;
    std::ranges::fill(p, 0.0);
    for (std::size_t j = 0; j < n; ++j) p[static_cast<std::size_t>(points.codes[j])] += w[j];
    sum += smooth_top(p, tau, g);
    double mean = 0.0;
    for (std::size_t c = 0; c < p.size(); ++c) mean += g[c] * p[c];
    for (std::size_t j = 0; j < n; ++j) {
      const double a = w[j] * (g[static_cast<std::size_t>(points.codes[j])] - mean);
      if (a == 0.0) continue;
      for (std::size_t k = 0; k < d; ++k) {
        const double move = a * (static_cast<double>(rows.x[i * d + k]) - static_cast<double>(points.x[j * d + k]));
        total[i * d + k] += move;
        if (symmetric) total[j * d + k] -= move;
      }
    }
  }
  if (counted == 0) return 0.0;
  const double scale = 1.0 / (static_cast<double>(counted) * bandwidth * bandwidth);
  for (std::size_t k = 0; k < total.size(); ++k) gradient[k] = static_cast<T>(total[k] * scale);
  return 1.0 - sum / static_cast<double>(counted);
}

}  // namespace

template <class T>
void kernel_posterior(const LabelledPoints<T>& points, std::span<const std::int64_t> groups,
                      std::span<const double> bandwidths, unsigned n_threads, std::span<T> log_normaliser,
                      std::span<T> probability) {
  posterior_rows<T>({points.x, groups, points.size()}, points, bandwidths, n_threads, log_normaliser, probability);
}

template <class T>
void kernel_posterior_at(std::span<const T> queries, const LabelledPoints<T>& points,
                         std::span<const double> bandwidths, unsigned n_threads, std::span<T> log_normaliser,
                         std::span<T> probability) {
  posterior_rows<T>({queries, {}, queries.size() / points.d}, points, bandwidths, n_threads, log_normaliser,
                    probability);
}

template <class T>
double kernel_gradient(const LabelledPoints<T>& points, std::span<const std::int64_t> groups, double bandwidth,
                       double tau, unsigned /*n_threads*/, std::span<T> gradient) {
  return gradient_rows<T>({points.x, groups, points.size()}, points, bandwidth, tau, true, gradient);
}

template <class T>
double kernel_gradient_at(std::span<const T> queries, const LabelledPoints<T>& points, double bandwidth, double tau,
                          unsigned /*n_threads*/, std::span<T> gradient) {
  return gradient_rows<T>({queries, {}, queries.size() / points.d}, points, bandwidth, tau, false, gradient);
}

#define AUDITKIT_KERNEL_POSTERIOR(T)                                                                                  \
  template void kernel_posterior<T>(const LabelledPoints<T>&, std::span<const std::int64_t>, std::span<const double>, \
                                    unsigned, std::span<T>, std::span<T>);                                            \
  template void kernel_posterior_at<T>(std::span<const T>, const LabelledPoints<T>&, std::span<const double>,         \
                                       unsigned, std::span<T>, std::span<T>);                                         \
  template double kernel_gradient<T>(const LabelledPoints<T>&, std::span<const std::int64_t>, double, double,         \
                                     unsigned, std::span<T>);                                                         \
  template double kernel_gradient_at<T>(std::span<const T>, const LabelledPoints<T>&, double, double, unsigned,       \
                                        std::span<T>);
AUDITKIT_KERNEL_POSTERIOR(float)
AUDITKIT_KERNEL_POSTERIOR(double)
#undef AUDITKIT_KERNEL_POSTERIOR

}  // namespace auditkit
