#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "auditkit/parallel.hpp"
#include "check.hpp"

namespace auditkit {
namespace {

/// Sum of many terms of very different size, each chunk for itself, chunks in order: any other order changes its bits.
double chunked_sum(std::size_t size, std::size_t grain, unsigned n_threads) {
  std::vector<double> parts(size / grain + 1);
  parallel_for(size, grain, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      parts[begin / grain] += std::sin(static_cast<double>(i)) * std::exp2(static_cast<double>(i % 60));
  });
  return std::accumulate(parts.begin(), parts.end(), 0.0);
}

/// Exit status of `run` in a forked child, or -1 if a signal ended it: the alarm of a hang, the abort of an exception.
template <class Run>
int status_in_child(Run&& run) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    [&]() noexcept { _exit(run()); }();
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST(every_element_is_visited_once) {
  for (const std::size_t size : {0UL, 1UL, 2UL, 7UL, 64UL, 1000UL})
    for (const std::size_t grain : {0UL, 1UL, 3UL, 64UL, 2000UL})
      for (const unsigned n_threads : {0U, 1U, 2U, 3U, 8U, 50U}) {
        std::vector<std::atomic<int>> visits(size);
        parallel_for(size, grain, n_threads, [&](std::size_t begin, std::size_t end) {
          CHECK(begin < end && end <= size && end - begin <= std::max<std::size_t>(grain, 1));
          for (std::size_t i = begin; i < end; ++i) visits[i].fetch_add(1);
        });
        for (const auto& count : visits) CHECK(count.load() == 1);
      }
}

TEST(an_empty_range_calls_nothing) {
  parallel_for(0, 1, 4, [](std::size_t, std::size_t) { CHECK(false); });
}

TEST(results_have_the_same_bits_for_any_thread_count) {
  const double expected = chunked_sum(10'007, 16, 1);
  for (const unsigned n_threads : {0U, 2U, 3U, 5U, 16U}) CHECK(chunked_sum(10'007, 16, n_threads) == expected);
}

TEST(the_sum_used_above_depends_on_the_order_of_its_chunks) {
  CHECK(chunked_sum(10'007, 16, 1) != chunked_sum(10'007, 17, 1));
}

TEST(several_threads_do_work) {
  std::mutex lock;
  std::set<std::thread::id> seen;
  parallel_for(64, 1, 4, [&](std::size_t, std::size_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::scoped_lock guard(lock);
    seen.insert(std::this_thread::get_id());
  });
  CHECK(seen.size() > 1);
  CHECK(seen.contains(std::this_thread::get_id()));
}

TEST(an_exception_reaches_the_caller_after_all_threads_have_ended) {
  // The later chunks take a millisecond each. A thread that was put to sleep on its way out of chunk 3 has therefore
  // many seconds before the others could end the range without it, however busy the machine; they take none of that
  // time otherwise.
  constexpr std::size_t kChunks = 100'000;
  for (const unsigned n_threads : {1U, 2U, 8U}) {
    std::atomic<int> inside{0};
    std::atomic<std::size_t> calls{0};
    std::string message;
    try {
      parallel_for(kChunks, 1, n_threads, [&](std::size_t begin, std::size_t) {
        inside.fetch_add(1);
        calls.fetch_add(1);
        if (begin > 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        inside.fetch_sub(1);
        if (begin == 3) throw std::runtime_error("chunk 3");
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "chunk 3");
    CHECK(inside.load() == 0);
    CHECK(calls.load() < kChunks);
  }
}

TEST(when_every_chunk_throws_one_exception_arrives) {
  int caught = 0;
  try {
    parallel_for(100, 1, 4, [](std::size_t begin, std::size_t) { throw static_cast<int>(begin); });
  } catch (int) {
    ++caught;
  }
  CHECK(caught == 1);
}

TEST(a_forked_child_can_use_threads_again) {
  const double expected = chunked_sum(4'000, 16, 4);
  CHECK(status_in_child([&] { return chunked_sum(4'000, 16, 4) == expected ? 0 : 1; }) == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(too_little_memory_for_more_threads_is_no_failure) {
  const double expected = chunked_sum(4'000, 16, 1);
  CHECK(status_in_child([&] {
          // Leave address space for one or two thread stacks only.
          std::size_t pages = 0;
          std::ifstream("/proc/self/statm") >> pages;
          const rlim_t room = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (20U << 20U);
          const rlimit limit{room, room};
          if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
          return chunked_sum(4'000, 16, 64) == expected ? 0 : 1;
        }) == 0);
}
#endif

}  // namespace auditkit
