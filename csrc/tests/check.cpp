#include "check.hpp"

#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace auditkit::test {
namespace {

struct TestCase {
  const char* name;
  void (*run)();
};

std::vector<TestCase>& cases() {
  static std::vector<TestCase> all;
  return all;
}

constexpr int kReportsShown = 20;
int failures = 0;

}  // namespace

bool add_test(const char* name, void (*run)()) {
  cases().push_back({name, run});
  return true;
}

void report(const char* file, int line, const char* text) {
  if (++failures <= kReportsShown) std::printf("%s:%d: failed: %s\n", file, line, text);
}

void report(const char* file, int line, const char* text, double got, double want, double error, double tolerance) {
  if (++failures <= kReportsShown)
    std::printf("%s:%d: failed: %s is %.17g, not %.17g: error %.3g, tolerance %.3g\n", file, line, text, got, want,
                error, tolerance);
}

void check_close(const char* file, int line, const char* text, double got, double want, double tolerance,
                 double scale) {
  if (got == want) return;
  const double error = std::fabs(got - want) / std::fabs(scale);
  if (!(error <= tolerance)) report(file, line, text, got, want, error, tolerance);
}

}  // namespace auditkit::test

int main() {
  using namespace auditkit::test;
  int failed_cases = 0;
  for (const auto& test : cases()) {
    const int before = failures;
    try {
      test.run();
    } catch (const std::exception& error) {
      report(test.name, 0, error.what());
    }
    const bool passed = failures == before;
    failed_cases += passed ? 0 : 1;
    std::printf("%s %s\n", passed ? "ok  " : "FAIL", test.name);
  }
  std::printf("%zu tests, %d failed\n", cases().size(), failed_cases);
  return failed_cases == 0 ? 0 : 1;
}
