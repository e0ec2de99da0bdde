/// Leave-one-out kernel posterior of the class and the gradient of the Bayes error it stands for.
///
/// With l_ij = log v_j - |x_i - x_j|^2 / (2 h^2) over the references j of i (other rows of another group):
///   log Z_i = logsumexp_j l_ij,  p_ic = sum of exp(l_ij - log Z_i) over references of class c.
/// J = 1 - mean_i phi(p_i) with phi(p) = tau log sum_c exp(p_c / tau), or max_c p_c (lowest class on ties) when tau =
/// 0. Row i without a reference, or with references of weight 0 only: log Z_i = -inf, p_i = 0, no part in J or its
/// gradient. Source: the local posterior averages of Zhang et al. (arXiv 2511.08191), repaired to lose no mass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

/// Points that know their class. Everything is row-major; sizes agree.
template <class T>
struct LabelledPoints {
  std::span<const T> x;  ///< n * d, finite
  std::size_t d = 0;
  std::span<const std::int64_t> codes;  ///< n, in [0, classes)
  std::span<const double> log_weights;  ///< n, finite or -inf
  std::size_t classes = 0;
  [[nodiscard]] std::size_t size() const { return codes.size(); }
};

/// For every bandwidth: log_normaliser[b * m + i] and probability[(b * m + i) * classes + c].
///
/// The rows i are the points themselves when `queries` is empty; rows of one group are then not each other's
/// references. Otherwise they are the m = queries / d queries, and every point is a reference of each. Threads share
/// blocks of rows; the result is the same to the last bit for any number of them. Cost m n d multiply-adds (half of
/// that for the points themselves), memory O(n (d + classes)).
template <class T>
void kernel_posterior(const LabelledPoints<T>& points, std::span<const std::int64_t> groups, std::span<const T> queries,
                      std::span<const double> bandwidths, unsigned n_threads, std::span<T> log_normaliser,
                      std::span<T> probability);

/// J over the same rows, and its gradient by them (m * d): the points move when they are the rows, else they are held.
template <class T>
double kernel_gradient(const LabelledPoints<T>& points, std::span<const std::int64_t> groups,
                       std::span<const T> queries, double bandwidth, double tau, unsigned n_threads,
                       std::span<T> gradient);

}  // namespace auditkit
