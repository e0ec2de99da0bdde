/// One parallel loop for the whole library. Host only, C++20.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace auditkit {

/// Calls body(begin, end) over [0, size) in chunks of `grain`, on up to `n_threads` threads, the caller's among them.
///
/// Chunks are the same whatever the thread count and each writes only its own part of the output, so results never
/// depend on n_threads. Threads live only inside the call: a pool would hang in a forked child. The first exception a
/// chunk throws is rethrown here after all threads have been joined.
template <class Body>
void parallel_for(std::size_t size, std::size_t grain, unsigned n_threads, Body&& body) {
  if (size == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t chunks = (size - 1) / grain + 1;
  const std::size_t workers = std::min<std::size_t>(std::max(n_threads, 1U), chunks);
  if (workers == 1) {
    for (std::size_t begin = 0; begin < size; begin += grain) body(begin, std::min(size, begin + grain));
    return;
  }
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto work = [&]() noexcept {
    for (std::size_t chunk = next.fetch_add(1); chunk < chunks; chunk = next.fetch_add(1)) {
      try {
        body(chunk * grain, std::min(size, (chunk + 1) * grain));
      } catch (...) {
        const std::scoped_lock lock(failure_lock);
        if (!failure) failure = std::current_exception();
        next.store(chunks);
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(workers - 1);
    for (std::size_t i = 1; i < workers; ++i) {
      try {
        threads.emplace_back(work);
      } catch (const std::system_error&) {
        break;  // no room for another thread: those that run, the caller's at least, do the same work
      }
    }
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace auditkit
