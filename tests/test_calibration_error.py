"""Binned calibration errors: kernels against plain loops, worked numbers, intervals and tests against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.runtime import core
from auditkit.uncertainty._inputs import Binary, read_binary, read_multiclass, read_predictions
from auditkit.uncertainty.bins import cut
from auditkit.uncertainty.calibration import (
    calibration_error,
    classwise_calibration_error,
    top_label_calibration_error,
)
from auditkit.uncertainty.diagrams import reliability
from auditkit.uncertainty.intervals import clopper_pearson, error_interval
from auditkit.uncertainty.nulls import draw_outcomes, p_value

P = np.array([0.05, 0.15, 0.22, 0.35, 0.41, 0.55, 0.62, 0.73, 0.88, 0.94])
Y = np.array([0, 0, 1, 0, 1, 0, 1, 1, 1, 1])
NONE = np.empty(0)


def plain_error(p, y, bins, norm="l1", w=None):
    """The formula row by row."""
    w = np.ones(len(p)) if w is None else w
    total = {}
    for pi, yi, wi in zip(p, y, w, strict=True):
        cell = total.setdefault(min(int(float(pi) * bins), bins - 1), [0.0, 0.0, 0.0])
        cell[0] += wi
        cell[1] += wi * float(pi)
        cell[2] += wi * yi
    gaps = [(c[0] / w.sum(), (c[1] - c[2]) / c[0]) for c in total.values()]
    if norm == "max":
        return max(abs(gap) for _, gap in gaps)
    power = 1 if norm == "l1" else 2
    return sum(share * abs(gap) ** power for share, gap in gaps) ** (1 / power)


def sample(n, slope=1.0, seed=0):
    """Labels from sigmoid(z), predictions sigmoid(slope z), z normal with deviation 1.5."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, n)
    truth = 1 / (1 + np.exp(-z))
    return 1 / (1 + np.exp(-slope * z)), (rng.random(n) < truth).astype(np.uint8), truth


def test_the_worked_set():
    error = calibration_error(P, Y, bins=5, seed=1)
    assert error.value == pytest.approx(0.15, abs=1e-15)
    assert [b.gap for b in error.bins] == pytest.approx([0.1, -0.215, -0.02, -0.325, -0.09], abs=1e-15)
    assert calibration_error(P, Y, bins=5, norm="max", seed=1).value == pytest.approx(0.325, abs=1e-15)
    squared = calibration_error(P, Y, bins=5, norm="l2", debiased=True, seed=1)
    assert calibration_error(P, Y, bins=5, norm="l2", seed=1).value ** 2 == pytest.approx(0.03407, abs=1e-15)
    assert squared.squared == pytest.approx(-0.06593, abs=1e-15)
    assert squared.value == 0


def test_the_last_bin_is_closed_and_there_is_no_further_one():
    """A peer counts p = 1 in a bin of its own and gives 0.525."""
    assert calibration_error([0.95, 1.0], [1, 0], bins=10, seed=1).value == pytest.approx(0.475, abs=1e-15)


def test_bins_are_closed_on_the_left():
    """On edges peers give 0.344, 0.456 or 0.5; ours follows p * bins in double precision."""
    p, y = np.arange(1, 10) / 10, np.arange(1, 10) % 2
    assert calibration_error(p, y, bins=10, seed=1).value == pytest.approx(plain_error(p, y, 10), abs=1e-15)
    assert [b.low for b in calibration_error([0.5], [1], bins=10, seed=1).bins] == [0.5]


def test_fifteen_bins_are_fifteen():
    """A peer's num_bins = 15 makes 14."""
    assert len(calibration_error((np.arange(15) + 0.5) / 15, np.arange(15) % 2, seed=1).bins) == 15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 100, 1003])
def test_the_pass_over_bins_agrees_with_the_formula(dtype, norm, n):
    rng = np.random.default_rng(n)
    p, y = rng.random(n).astype(dtype), rng.integers(0, 2, n)
    for bins in (1, 7, 15, 1000):
        found = calibration_error(p, y, bins=bins, norm=norm, replicates=1, seed=1)
        assert found.value == pytest.approx(plain_error(p, y, bins, norm), abs=n * 2e-16)
    w = rng.random(n) + 0.1
    found = calibration_error(p, y, norm=norm, weights=w, replicates=1, seed=1)
    assert found.value == pytest.approx(plain_error(p, y, 15, norm, w), abs=n * 4e-16)


def test_sums_do_not_depend_on_threads_and_chunks_add_up():
    rng = np.random.default_rng(3)
    p, y = rng.random(300_001).astype(np.float32), rng.integers(0, 2, 300_001).astype(np.uint8)
    one = core.bin_sums(p, y, NONE, 15, NONE, 1)
    assert np.array_equal(one, core.bin_sums(p, y, NONE, 15, NONE, 3))
    wide = p.astype(np.float64)
    b = np.minimum((wide * 15).astype(int), 14)
    assert np.array_equal(one[0], np.bincount(b, minlength=15))
    assert np.array_equal(one[3], np.bincount(b, y, 15))
    # sums of n terms of size at most 1, each rounded once an addition
    for row, terms in ((2, wide), (4, wide * (1 - wide)), (5, wide * (1 - wide) * (1 - 2 * wide))):
        assert np.allclose(
            one[row], np.bincount(b, terms, 15), rtol=0, atol=p.size / 15 * 2e-16 * p.size / 15
        )


def test_equal_mass_bins_keep_equal_predictions_together():
    p = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.9, 0.9])
    y = np.array([0, 1, 0, 0, 1, 1, 1, 0])
    bins = calibration_error(p, y, bins=4, binning="mass", seed=1).bins
    # ranks 2, 4 and 6: the first two fall into the run of 0.2 and move to its end, the third is the end of 0.3
    assert [(b.low, b.n) for b in bins] == [(0, 5), (0.3, 1), (0.9, 2)]
    constant = calibration_error(np.full(9, 0.5), np.arange(9) % 2, bins=4, binning="mass", seed=1)
    assert [b.n for b in constant.bins] == [9]
    rng = np.random.default_rng(5)
    sizes = [
        b.n
        for b in calibration_error(rng.random(1000), rng.integers(0, 2, 1000), binning="mass", seed=1).bins
    ]
    assert len(sizes) == 15 and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("n", [1, 2, 6])
def test_the_law_of_outcomes_is_that_of_all_outcomes(n):
    p = np.random.default_rng(n).random(n)
    exact = np.zeros(n + 1)
    for y in itertools.product([0, 1], repeat=n):
        exact[sum(y)] += math.prod(pi if yi else 1 - pi for pi, yi in zip(p, y, strict=True))
    ((first, pmf),) = core.outcome_laws(p, 1, NONE, np.array([True]))
    assert first == 0
    assert np.allclose(pmf, exact, rtol=0, atol=1e-15)


def test_the_law_of_many_rows_with_one_probability_is_binomial():
    ((first, pmf),) = core.outcome_laws(np.full(5000, 0.01), 1, NONE, np.array([True]))
    counts = first + np.arange(pmf.size)
    assert np.allclose(pmf, stats.binom.pmf(counts, 5000, 0.01), rtol=1e-10, atol=1e-20)
    assert pmf.size < 150  # what is negligible is dropped


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.1, 0.01, 0.001])
def test_the_corrected_normal_law_is_near_the_exact_one(rate, monkeypatch):
    """Where it takes over, at variance 100: 2e-4 beside each jump of the exact law it already has the right side."""
    n = math.ceil(100 / (rate * (1 - rate)))
    cells = cut(Binary(np.full(n, rate), np.zeros(n, dtype=np.uint8)), 1)
    assert cells.laws == (None,)
    counts = np.arange(stats.binom.ppf(1e-9, n, rate), stats.binom.isf(1e-9, n, rate))
    for error in (-2e-4, 2e-4):
        u = stats.binom.cdf(counts, n, rate) + error
        inside = (u > 1e-6) & (u < 1 - 1e-6)
        monkeypatch.setattr(core, "philox_uniform", lambda *_, u=u[inside]: u)
        drawn = draw_outcomes(cells, int(inside.sum()), seed=1)[:, 0]
        # just below the jump of the exact law the count itself or less, just above it more
        assert (drawn <= counts[inside]).all() if error < 0 else (drawn > counts[inside]).all()


@pytest.mark.parametrize("rate", [0.5, 0.01])
def test_null_outcomes_follow_their_law(rate):
    """Above and below the variance where the normal law takes over: Kolmogorov distance of 20,000 draws."""
    for n in (30, 20_000):
        cells = cut(Binary(np.full(n, rate), np.zeros(n, dtype=np.uint8)), 1)
        drawn = draw_outcomes(cells, 20_000, seed=4)[:, 0]
        counts = np.arange(n + 1)
        empirical = np.searchsorted(np.sort(drawn), counts, side="right") / drawn.size
        # the 1e-6 point of the Kolmogorov law, 2.7 / sqrt(draws), and 1e-3 for the normal law
        assert np.abs(empirical - stats.binom.cdf(counts, n, rate)).max() < 2.7 / math.sqrt(20_000) + 1e-3


def test_clopper_pearson_is_the_inverted_binomial_test():
    for k, n in ((0, 10), (3, 10), (10, 10), (168, 200)):
        low, high = (ends[0] for ends in clopper_pearson(np.array([float(k)]), np.array([float(n)]), 0.05))
        expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def true_error(p, truth, bins=15):
    b = np.minimum((p * bins).astype(int), bins - 1)
    return np.abs(np.bincount(b, p - truth, bins)).sum() / p.size


@pytest.mark.parametrize("slope", [1.0, 1.3])
@pytest.mark.parametrize("n", [200, 1000])
def test_intervals_cover_and_the_test_keeps_its_size(slope, n):
    covered, rejected, above = 0, 0, 0
    trials = 100
    for seed in range(trials):
        p, y, truth = sample(n, slope, seed)
        found = calibration_error(p, y, replicates=99, seed=seed)
        covered += found.lower <= true_error(p, truth) <= found.upper
        rejected += found.p_value <= 0.05
        above += found.lower > 0
    # 1e-6 points of the binomial law
    assert covered >= stats.binom.ppf(1e-6, trials, 0.95)
    if slope == 1:
        assert rejected <= stats.binom.isf(1e-6, trials, 0.05)
        assert above <= stats.binom.isf(1e-6, trials, 0.05)


def test_the_upper_end_is_below_that_of_clopper_pearson_alone():
    p, y, _ = sample(10_000, 1.3)
    cells = cut(read_binary(p, y), 15)
    low, high = clopper_pearson(cells.outcome, cells.rows, 0.05 / cells.rows.size)
    mean = cells.mean_prediction
    alone = cells.norm(np.maximum(mean - low, high - mean), "l1")
    assert error_interval(cells, "l1", 0.05)[1] < 0.65 * alone


def test_the_upper_end_is_the_bound_of_its_proof():
    """Outcomes at rate 1/2 in all bins, the worst there is: the best exponent by a search of its own."""
    n, alpha = 6000, 0.05
    p = np.repeat((np.arange(15) + 0.5) / 15, n // 15)
    cells = cut(Binary(p, (np.arange(n) % 2).astype(np.uint8)), 15)
    s = np.linspace(1, 2000, 200_000)
    log_mgf = np.log(np.cosh(s / n / 2))  # of one centred outcome times s / n
    seen = float(cells.norm(cells.gaps(), "l1"))
    expected = seen + ((n * log_mgf + math.log(2 / alpha)) / s).min()
    assert expected <= error_interval(cells, "l1", alpha)[1] <= expected + 1e-4


def test_calibrated_values_stand_beside_the_value():
    p, y, _ = sample(1000)
    found = calibration_error(p, y, seed=3)
    assert 0.03 < found.null_value < 0.048  # the mean is 0.039 over samples of this kind
    assert found.null_value < found.null_upper


def test_weighted_rows_of_equal_weight_give_the_same_value():
    p, y, _ = sample(500)
    plain, weighted = (calibration_error(p, y, weights=w, seed=3) for w in (None, np.full(500, 3.0)))
    assert weighted.value == pytest.approx(plain.value, abs=1e-14)
    assert weighted.squared == plain.squared is None
    assert weighted.lower <= plain.lower
    assert weighted.upper >= plain.value


def test_weighted_null_draws_have_the_weighted_variance():
    p, y, _ = sample(300)
    w = np.random.default_rng(1).exponential(size=300)
    found = calibration_error(p, y, weights=w, replicates=400, seed=3)
    assert 0 < found.null_value < 1
    covered = sum(
        calibration_error(
            p, (np.random.default_rng(s).random(300) < p), weights=w, replicates=49, seed=s
        ).p_value
        <= 0.1
        for s in range(60)
    )
    assert covered <= stats.binom.isf(1e-6, 60, 0.1)


def test_the_same_seed_gives_the_same_bytes():
    p, y, _ = sample(700)
    first, second = (calibration_error(p, y, seed=9).to_json() for _ in range(2))
    assert first == second
    drawn = calibration_error(p, y)
    assert drawn.to_json() == calibration_error(p, y, seed=drawn.seed).to_json()


def table(n=600, k=4, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k), n)
    labels = np.array([rng.choice(k, p=row) for row in probabilities])
    return probabilities, labels


def test_a_table_means_the_confidence_of_the_predicted_class():
    probabilities, labels = table()
    s, a = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = calibration_error(s, a, seed=2)
    assert calibration_error(probabilities, labels, seed=2).to_json() == expected.to_json()


def test_classwise_is_the_mean_over_classes():
    probabilities, labels = table()
    found = classwise_calibration_error(probabilities, labels, seed=2)
    each = [plain_error(probabilities[:, k], labels == k, 15) for k in range(4)]
    assert found.value == pytest.approx(np.mean(each), abs=1e-14)
    assert [part["value"] for part in found.parts] == pytest.approx(each, abs=1e-14)
    assert found.worst["value"] == pytest.approx(max(each), abs=1e-14)
    assert found.lower <= found.value <= found.upper
    assert found.p_value > 0.01  # labels were drawn from the table


def test_labels_are_drawn_from_their_rows():
    probabilities = np.tile([0.5, 0.2, 0.3, 0.0], (2000, 1))
    counts = core.draw_labels(probabilities, np.empty(0), 1, 7, 20, 1)
    assert np.array_equal(counts, core.draw_labels(probabilities, np.empty(0), 1, 7, 20, 3))
    shares = counts.sum(axis=0)[:, 0] / 40_000
    assert counts.sum() == 40_000 and shares[3] == 0
    assert np.abs(shares - [0.5, 0.2, 0.3, 0.0]).max() < 5 * 0.5 / math.sqrt(40_000)


def test_top_label_does_not_let_labels_cancel():
    """Two labels, one promised too much and one too little: the confidence error is 0, that of the top label is not."""
    probabilities = np.array([[0.7, 0.3]] * 100 + [[0.3, 0.7]] * 100)
    labels = np.array([0] * 90 + [1] * 10 + [1] * 50 + [0] * 50)
    assert calibration_error(probabilities, labels, seed=1).value == pytest.approx(0, abs=1e-12)
    for average in ("share", "plain"):
        found = top_label_calibration_error(probabilities, labels, average=average, seed=1)
        assert found.value == pytest.approx(0.2, abs=1e-12)
    assert found.details["average"] == "plain"


def test_reliability_is_the_picture_in_numbers():
    p, y, _ = sample(2000)
    shown = reliability(p, y, seed=1)
    assert sum(shown.histogram) == 2000 and len(shown.curve) == 200
    rates = [point["rate"] for point in shown.curve]
    assert rates == sorted(rates)
    for one in shown.bins:
        assert one.simultaneous_lower <= one.lower <= one.mean_outcome <= one.upper <= one.simultaneous_upper
        assert one.null_lower <= one.mean_prediction + 0.05 and one.null_upper >= one.mean_prediction - 0.05
    inside = [point["null_lower"] <= point["rate"] <= point["null_upper"] for point in shown.curve]
    assert np.mean(inside) > 0.7  # calibrated: about 95 % pointwise
    worked = reliability(P, Y, bins=5, seed=1)
    assert [point["rate"] for point in worked.curve] == [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("p", "y"), [([0.0], [0]), ([1.0], [0]), ([0.3], [1]), ([0.5] * 4, [1] * 4), ([0.0, 1.0] * 5, [0, 1] * 5)]
)
def test_edge_data_have_defined_values(p, y):
    for norm in ("l1", "l2", "max"):
        found = calibration_error(p, y, norm=norm, seed=1)
        assert 0 <= found.lower <= found.value <= found.upper <= 1
        assert 0 < found.p_value <= 1
    assert reliability(p, y, seed=1).n == len(p)


def test_rounding_is_clipped_and_more_is_refused():
    assert calibration_error([1 + 1e-7, -1e-7], [1, 0], seed=1).value == 0
    with pytest.raises(InputError, match=r"p\[1\]: must be a probability, 0 to 1, not 1\.01"):
        calibration_error([0.5, 1.01], [1, 0])


BAD = [
    (([0.5, np.nan], [0, 1]), "AK-UN-001", r"p\[1\]: .*not nan"),
    (([0.5, -np.inf], [0, 1]), "AK-UN-001", r"p\[1\]"),
    (([], []), "AK-UN-001", "of shape"),
    (("abc", [0, 1]), "AK-UN-001", "array of numbers"),
    (([0.5, 0.5], [0]), "AK-UN-002", r"one outcome a row \(2\)"),
    (([0.5, 0.5], [0, 2]), "AK-UN-002", r"y\[1\]: must be 0 or 1, not 2"),
    (([0.5, 0.5], [0.0, 0.5]), "AK-UN-002", r"y\[1\]: must be 0 or 1, not 0\.5"),
    (([0.5, 0.5], ["a", "b"]), "AK-UN-002", "of type"),
    (([[0.5, 0.5]], [2]), "AK-UN-002", "a column, 0 to 1"),
    (([[0.5, 0.5]], [0.5]), "AK-UN-002", "a column, 0 to 1"),
    (([[0.5, 0.6]], [0]), "AK-UN-003", r"P?p?\[0\]: must be probabilities that sum to one, not 1\.1"),
]


@pytest.mark.parametrize(("arguments", "id", "words"), BAD)
def test_bad_rows_are_refused_by_number(arguments, id, words):
    with pytest.raises(InputError, match=words) as caught:
        calibration_error(*arguments)
    assert caught.value.id == id


@pytest.mark.parametrize(
    ("setting", "id"),
    [
        ({"weights": [1.0]}, "AK-UN-004"),
        ({"weights": [1.0, -1.0]}, "AK-UN-004"),
        ({"weights": [0.0, 0.0]}, "AK-UN-004"),
        ({"alpha": 0}, "AK-UN-007"),
        ({"bins": 0}, "AK-UN-008"),
        ({"bins": 2.5}, "AK-UN-008"),
        ({"seed": -1}, "AK-UN-008"),
        ({"norm": "l3"}, "AK-UN-009"),
        ({"binning": "other"}, "AK-UN-009"),
        ({"debiased": True}, "AK-UN-009"),
    ],
)
def test_bad_settings_are_refused(setting, id):
    with pytest.raises(InputError) as caught:
        calibration_error([0.2, 0.8], [0, 1], **setting)
    assert caught.value.id == id


def test_inputs_are_read_once():
    data, none = read_predictions(P, Y)
    assert none is None and data.y.dtype == np.uint8
    many = read_multiclass(np.eye(3, dtype=np.float32), [0, 1, 2])
    assert many.P.dtype == np.float32 and many.top()[0].y.tolist() == [1, 1, 1]


def test_p_values_count_ties():
    assert p_value(0.5, np.array([0.5, 0.4, 0.6])) == 3 / 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [1, 7, 10, 15, 3000])
def test_bins_are_products_in_double_precision(dtype, bins):
    """Beside every edge the last digit decides, whatever the instruction set."""
    edges = (np.arange(bins + 1) / bins).astype(dtype)
    p = np.concatenate([np.nextafter(edges, dtype(-1))[1:], edges, np.nextafter(edges, dtype(2))[:-1]])
    y = (np.arange(p.size) % 2).astype(np.uint8)
    found = core.bin_sums(p, y, np.empty(0), bins, np.empty(0), 1)
    exact = p.astype(np.float64)
    place = np.minimum((exact * bins).astype(int), bins - 1)
    assert np.array_equal(found[0], np.bincount(place, minlength=bins))
    assert np.array_equal(found[3], np.bincount(place, y, minlength=bins))
    for row, values in ((2, exact), (7, exact * y), (8, exact**2), (9, exact**2 * y)):
        assert found[row] == pytest.approx(np.bincount(place, values, minlength=bins), rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 4095, 4096, 9999])
def test_what_is_no_probability_is_found_anywhere(dtype, place):
    p = np.linspace(0, 1, 10_000).astype(dtype)
    assert core.first_bad_probability(p, 1e-6) == (-1, False)
    tiny, one = np.finfo(dtype).smallest_subnormal, dtype(1)
    for value in (-0.0, tiny, np.nextafter(one, dtype(0))):
        p[place] = value
        assert core.first_bad_probability(p, 1e-6) == (-1, False)
    for value in (-tiny, np.nextafter(one, dtype(2)), -5e-7, 1 + 5e-7):
        p[place] = value
        assert core.first_bad_probability(p, 1e-6) == (-1, True)
    for value in (np.nan, -np.nan, np.inf, -np.inf, 1.01, -2e-6, 1e30, -1e30, -1.5):
        p[place] = value
        assert core.first_bad_probability(p, 1e-6) == (place, True)
    p[5000] = -1
    assert core.first_bad_probability(p, 1e-6)[0] == min(place, 5000)
