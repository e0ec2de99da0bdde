#include "auditkit/philox.hpp"

#include "check.hpp"

namespace auditkit {
namespace {

bool equal(const PhiloxCounter& got, const PhiloxCounter& want) {
  bool same = true;
  for (int i = 0; i < 4; ++i) same = same && got.word[i] == want.word[i];
  return same;
}

}  // namespace

// The known answers that its authors publish with the generator (Random123, kat_vectors: philox4x32 10).
TEST(published_known_answers) {
  CHECK(equal(philox4x32_10({{0, 0, 0, 0}}, {{0, 0}}), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  constexpr u32 ones = 0xffffffff;
  CHECK(equal(philox4x32_10({{ones, ones, ones, ones}}, {{ones, ones}}),
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(equal(philox4x32_10({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xa4093822, 0x299f31d0}}),
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST(a_stream_is_addressed_by_seed_task_and_index) {
  const PhiloxStream stream{0x299f31d0a4093822ULL, 0x0370734413198a2eULL};
  CHECK(equal(philox_block(stream, 0x85a308d3243f6a88ULL), {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST(doubles_lie_strictly_inside_the_unit_interval) {
  CHECK(open_unit_double(0, 0) == 0x1p-53);
  CHECK(open_unit_double(0xffffffff, 0xffffffff) == 1.0 - 0x1p-53);
  CHECK(open_unit_double(0x80000000, 0) == 0.5 + 0x1p-53);
  CHECK(open_unit_double(0, 0xfff) == 0x1p-53);
  CHECK(open_unit_double(0, 0x1000) == 3 * 0x1p-53);
}

TEST(a_block_gives_two_doubles) {
  const PhiloxStream stream{5, 9};
  const PhiloxCounter block = philox_block(stream, 21);
  CHECK(philox_uniform(stream, 42) == open_unit_double(block.word[0], block.word[1]));
  CHECK(philox_uniform(stream, 43) == open_unit_double(block.word[2], block.word[3]));
}

}  // namespace auditkit
