"""Philox4x32-10: published answers, an independent integer implementation, and what a stream promises."""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.runtime import core

# The known answers that its authors publish with the generator (Random123, kat_vectors: philox4x32 10).
KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def words(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


def oracle(counter: list[int], key: list[int]) -> list[int]:
    """The round function of Salmon et al. (2011) in Python integers."""
    x, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * x[2], 1 << 32)
        x = [high1 ^ x[1] ^ k[0], low1, high0 ^ x[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % (1 << 32), (k[1] + 0xBB67AE85) % (1 << 32)]
    return x


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_published_known_answers(counter, key, answer):
    assert core.philox4x32_10(words(counter), words(key)).tolist() == answer


def test_agrees_with_integer_arithmetic():
    rng = np.random.default_rng(20110)
    for _ in range(300):
        counter = rng.integers(0, 1 << 32, 4).tolist()
        key = rng.integers(0, 1 << 32, 2).tolist()
        assert core.philox4x32_10(words(counter), words(key)).tolist() == oracle(counter, key)


def test_uniforms_are_the_documented_function_of_seed_task_and_index():
    seed, task, first = 0x0123456789ABCDEF, 0xFEDCBA9876543210, (1 << 40) + 1
    got = core.philox_uniform(seed, task, first, 7)
    for offset, value in enumerate(got):
        index = first + offset
        block, half = divmod(index, 2)
        counter = [block % (1 << 32), block >> 32, task % (1 << 32), task >> 32]
        block_words = oracle(counter, [seed % (1 << 32), seed >> 32])
        bits = block_words[2 * half] << 32 | block_words[2 * half + 1]
        assert value == (2 * (bits >> 12) + 1) / 2**53


def test_a_part_of_a_stream_is_that_part_of_the_whole():
    whole = core.philox_uniform(7, 1, 0, 1000)
    assert np.array_equal(whole[301:640], core.philox_uniform(7, 1, 301, 339))
    assert core.philox_uniform(7, 1, 0, 0).size == 0


def test_uniforms_are_odd_multiples_strictly_inside_the_unit_interval():
    sample = core.philox_uniform(1, 2, 0, 20_000)
    scaled = sample * 2.0**53
    assert sample.min() > 0.0
    assert sample.max() < 1.0
    assert np.array_equal(scaled, np.floor(scaled))
    assert np.all(scaled % 2 == 1)


def test_uniforms_fill_the_unit_interval_evenly():
    from scipy import stats

    # One fixed sample, so this passes or fails for good; three independent streams must each look uniform.
    for seed, task in [(1, 0), (1, 1), (2, 0)]:
        assert stats.kstest(core.philox_uniform(seed, task, 0, 50_000), "uniform").pvalue > 1e-3


def test_seeds_and_tasks_give_unrelated_streams():
    streams = np.array(
        [
            core.philox_uniform(s, t, 0, 20_000)
            for s, t in [(1, 0), (0, 1), (1, 1), (1 << 32, 0), (0, 1 << 32)]
        ]
    )
    correlation = np.corrcoef(streams) - np.eye(len(streams))
    # Standard error 1 / sqrt(20000) = 0.0071; the largest of 10 pairs stays below 5 of them.
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


@pytest.mark.parametrize(("counter", "key"), [([0] * 3, [0] * 2), ([0] * 4, [0] * 3), ([], [])])
def test_wrong_shapes_are_refused(counter, key):
    with pytest.raises(ValueError, match="counter must have 4 words and key 2"):
        core.philox4x32_10(words(counter), words(key))


def test_nothing_is_converted_silently():
    with pytest.raises(TypeError):
        core.philox4x32_10(np.zeros(4), words([0, 0]))
    with pytest.raises(TypeError):
        core.philox_uniform(-1, 0, 0, 1)
