/// The test harness: TEST registers a function, CHECK and its kin report and go on, main runs all of one executable.
#pragma once

#include <limits>

namespace auditkit::test {

inline constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

void report(const char* file, int line, const char* text);
void report(const char* file, int line, const char* text, double got, double want, double error, double tolerance);
bool add_test(const char* name, void (*run)());

/// |got - want| <= tolerance * scale; equal values, infinities among them, always agree and NaN never does.
void check_close(const char* file, int line, const char* text, double got, double want, double tolerance, double scale);

}  // namespace auditkit::test

#define TEST(name)                                                          \
  static void name();                                                       \
  static const bool name##_added = ::auditkit::test::add_test(#name, name); \
  static void name()

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) ::auditkit::test::report(__FILE__, __LINE__, #condition); \
  } while (false)

/// Relative agreement.
#define CHECK_CLOSE(got, want, tolerance) \
  ::auditkit::test::check_close(__FILE__, __LINE__, #got, got, want, tolerance, want)

/// Absolute agreement.
#define CHECK_NEAR(got, want, tolerance) \
  ::auditkit::test::check_close(__FILE__, __LINE__, #got, got, want, tolerance, 1.0)
