"""Special functions of the core against mpmath with 50 digits and tables in ball arithmetic, over their whole domains.

Each tolerance is a count of rounding errors: ``ulps * eps * condition(x, f)``, where the condition is what one rounding
of an intermediate result does to the answer. docs/numerics.md lists the worst errors measured.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from auditkit.runtime import core

sys.path.insert(0, str(Path(__file__).parent))
from tables import read_table, real

EPS = 2.0**-52


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


def spread(low: float, high: float, count: int) -> np.ndarray:
    """Points from low to high, evenly spaced in the logarithm."""
    return np.exp(np.linspace(math.log(low), math.log(high), count))


def assert_accurate(got, want, condition, ulps, labels):
    """|got - want| <= ulps * eps * condition for every case; the message shows the worst one."""
    worst, message = 0.0, ""
    for value, truth, scale, label in zip(got, want, condition, labels, strict=True):
        error = float(abs(mpmath.mpf(float(value)) - truth) / (EPS * scale))
        if not error <= worst:
            worst, message = error, f"{label}: {float(value)!r}, not {mpmath.nstr(truth, 20)}"
    assert worst <= ulps, f"{worst:.3g} roundings (allowed {ulps}) at {message}"


def check(function, reference, points, *, ulps, condition=None):
    """One function of one argument; by default the condition is |f|: plain relative error."""
    x = np.unique(np.asarray(points, dtype=float))
    want = [reference(mpmath.mpf(float(v))) for v in x]
    scales = [
        condition(float(v), float(w)) if condition else abs(float(w)) for v, w in zip(x, want, strict=True)
    ]
    assert_accurate(function(x), want, scales, ulps, [f"x = {float(v)!r}" for v in x])


def around(centre: float, *, count: int = 40) -> np.ndarray:
    gaps = spread(1e-15, 0.5, count)
    return np.concatenate([centre - gaps, centre + gaps])


class TestLogGamma:
    def test_relative_error_everywhere_also_at_its_zeros(self):
        points = np.concatenate(
            [spread(1e-300, 1e15, 250), around(1.0), around(2.0), np.linspace(0.3, 30, 150)]
        )
        check(core.log_gamma, mpmath.loggamma, points, ulps=4)

    def test_stirling_error(self):
        def reference(x):
            with mpmath.workdps(90):
                return mpmath.loggamma(x) - ((x - 0.5) * mpmath.log(x) - x + mpmath.log(2 * mpmath.pi) / 2)

        # Below 16 up to sixteen rounded terms are added.
        points = np.concatenate([spread(1e-300, 1e12, 250), np.linspace(0.3, 30, 150), np.arange(1, 41) / 2])
        check(core.stirling_error, reference, points, ulps=20)


class TestLogarithms:
    def test_log1p_minus(self):
        def reference(u):
            with mpmath.workdps(340):
                return mpmath.log(1 + u) - u

        points = np.concatenate(
            [spread(1e-150, 1e12, 200), -spread(1e-150, 1 - 2**-52, 200), np.linspace(-0.5, 0.7, 150)]
        )
        check(core.log1p_minus, reference, points, ulps=4)

    def test_log1m_exp(self):
        def reference(x):
            return mpmath.log(-mpmath.expm1(x)) if x > -1 else mpmath.log1p(-mpmath.exp(x))

        # Down to where the result is a subnormal number, which has fewer digits.
        check(core.log1m_exp, reference, -spread(1e-300, 708, 300), ulps=4)

    def test_log_expm1(self):
        # At its zero, log 2, one rounding of e^x - 1 is an absolute error of one eps.
        points = np.concatenate([spread(1e-300, 1e5, 250), np.linspace(0.6, 0.8, 50)])
        check(
            core.log_expm1,
            lambda x: mpmath.log(mpmath.expm1(x)),
            points,
            ulps=4,
            condition=lambda _, f: max(1.0, abs(f)),
        )

    @pytest.mark.parametrize("shift", [-700.0, -1.0, 0.0, 3.0, 1e4])
    def test_sums_and_differences(self, shift):
        gaps = np.concatenate([[0.0], spread(1e-10, 800, 60)])
        a, b = np.full(gaps.size, shift), shift - gaps
        labels = [f"({x!r}, {y!r})" for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        big, small = ([mpmath.mpf(v) for v in values.tolist()] for values in (a, b))
        added = [x + mpmath.log1p(mpmath.exp(y - x)) for x, y in zip(big, small, strict=True)]
        scales = [max(1.0, abs(shift))] * gaps.size
        assert_accurate(core.log_add_exp(a, b), added, scales, 4, labels)
        assert np.array_equal(core.log_add_exp(a, b), core.log_add_exp(b, a))
        less = [x + mpmath.log(-mpmath.expm1(y - x)) for x, y in zip(big[1:], small[1:], strict=True)]
        scales = [max(1.0, abs(shift), abs(float(w))) for w in less]
        assert_accurate(core.log_sub_exp(a[1:], b[1:]), less, scales, 4, labels[1:])


def normal_tail(z):
    """Phi(z) without cancellation on either side."""
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


def refine_quantile(start: float, target, log: bool):
    """Newton steps in 50 digits from a double that is nearly right."""
    z = mpmath.mpf(start)
    for _ in range(5):
        tail = normal_tail(z)
        z -= (mpmath.log(tail) - target) * tail / mpmath.npdf(z) if log else (tail - target) / mpmath.npdf(z)
    return z


class TestNormal:
    def test_distribution_function(self):
        # Rounding z / sqrt(2) moves the tail by z^2 / 2 eps.
        check(
            core.normal_cdf,
            normal_tail,
            np.linspace(-37.5, 9, 400),
            ulps=3,
            condition=lambda z, f: f * (1 + z * z / 2),
        )

    def test_its_logarithm_below_zero(self):
        points = np.concatenate(
            [np.linspace(-60, 0, 300), np.linspace(-30.1, -29.9, 40), -spread(60, 1e7, 60)]
        )

        def reference(z):
            if z > -1000:
                return mpmath.log(normal_tail(z))
            # The asymptotic series of the Mills ratio; its first neglected term is below 1e-50 here.
            w = 1 / z**2
            terms = [mpmath.mpf(1)]
            for k in range(1, 12):
                terms.append(-terms[-1] * (2 * k - 1) * w)
            return (
                -z * z / 2 - mpmath.log(-z) - mpmath.log(2 * mpmath.pi) / 2 + mpmath.log(mpmath.fsum(terms))
            )

        check(core.normal_log_cdf, reference, points, ulps=6)

    def test_its_logarithm_above_zero(self):
        # -Phi(-z), with the error of that tail; up to where it is a subnormal number.
        check(
            core.normal_log_cdf,
            lambda z: mpmath.log1p(-normal_tail(-z)),
            np.linspace(0.01, 37.4, 200),
            ulps=3,
            condition=lambda z, f: abs(f) * (1 + z * z / 2),
        )

    def test_quantile(self):
        gaps = spread(1e-15, 0.4999, 60)
        points = np.concatenate(
            [spread(1e-300, 0.49, 120), 1 - spread(1e-16, 0.49, 60), 0.5 - gaps, 0.5 + gaps]
        )
        check(
            core.normal_quantile,
            lambda p: refine_quantile(float(core.normal_quantile(np.array([float(p)]))[0]), p, log=False),
            points[points < 1],
            ulps=4,
        )
        assert core.normal_quantile(np.array([0.0, 0.5, 1.0])).tolist() == [-math.inf, 0.0, math.inf]

    def test_quantile_of_a_logarithm(self):
        # Near log(1/2) the argument itself is known to one eps, which is an absolute error of the result.
        check(
            core.normal_quantile_of_log,
            lambda t: refine_quantile(
                float(core.normal_quantile_of_log(np.array([float(t)]))[0]), t, log=True
            ),
            -spread(math.log(2) * (1 + 1e-9), 1e6, 150),
            ulps=4,
            condition=lambda _, z: max(1.0, abs(z)),
        )

    @pytest.mark.parametrize("mu", [1e-3, 0.01, 0.1, 1.0, 3.0, 10.0, 30.0])
    def test_epsilon_of_a_gaussian_mechanism(self, mu):
        for delta in (0.1, 1e-3, 1e-5, 1e-12, 1e-30):
            (epsilon,) = core.gaussian_epsilon(np.array([mu]), np.array([delta]))
            m, e, d = mpmath.mpf(mu), mpmath.mpf(float(epsilon)), mpmath.mpf(delta)

            def delta_of(epsilon, m=m):
                return normal_tail(m / 2 - epsilon / m) - mpmath.exp(epsilon) * normal_tail(
                    -m / 2 - epsilon / m
                )

            if epsilon == 0.0:
                assert delta_of(mpmath.mpf(0)) <= d
                continue
            # The two tails cancel down to delta: an error of eps * first / delta in it, divided by its slope.
            first = normal_tail(m / 2 - e / m)
            slope = mpmath.exp(e) * normal_tail(-m / 2 - e / m)
            log_first = 1 + abs(mpmath.log(first))
            allowed = 8 * EPS * float(first * log_first / slope) + 4 * EPS * float(e)
            assert abs(float((delta_of(e) - d) / slope)) <= allowed, (mu, delta, float(epsilon))


def log_lower_tail(a, b, x, one_minus_x):
    """log I_x(a, b) for x below the mean by the continued fraction of DLMF 8.17.22 (the core integrates instead)."""
    a, b, x, q = (mpmath.mpf(v) for v in (a, b, x, one_minus_x))
    front = a * mpmath.log(x) + b * mpmath.log(q) - mpmath.log(a)
    front -= mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
    d = 1 / (1 - (a + b) * x / (a + 1))
    c, value, m = mpmath.mpf(1), d, 0
    while True:
        m += 1
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d)
            c = 1 + factor / c
            value *= c * d
        if abs(c * d - 1) < mpmath.mpf(10) ** -32:
            return front + mpmath.log(value)


def random_laws(seed: int) -> list[tuple[float, float]]:
    """Parameters from 0.01 to 1e9, half of them half-integers as counts with a prior of 1/2 are."""
    rng = np.random.default_rng(seed)
    laws = [(0.5, 1e9 + 0.5), (1e9 + 0.5, 0.5), (1.0, 1.0), (0.01, 0.02), (1e9, 1e9), (31.5, 1969.5)]
    for top, count in [(1e1, 20), (1e3, 20), (1e5, 20), (1e7, 12), (1e9, 6)]:
        for exponents in rng.uniform(math.log(0.01), math.log(top), (count, 2)):
            a, b = np.exp(exponents)
            laws.append(
                (math.ceil(2 * a) / 2, math.ceil(2 * b) / 2) if rng.random() < 0.5 else (float(a), float(b))
            )
    return laws


def exact_point(x: float, one_minus_x: float):
    """The pair (x, 1 - x) in 50 digits, from the side that is known better."""
    if x <= one_minus_x:
        return mpmath.mpf(x), 1 - mpmath.mpf(x)
    return 1 - mpmath.mpf(one_minus_x), mpmath.mpf(one_minus_x)


def points_of(a: float, b: float, rng: np.random.Generator):
    """Points of all kinds: near the mean, in both tails, near both ends."""
    mean, sd = a / (a + b), math.sqrt(a * b) / (a + b) ** 1.5
    for z in rng.choice([-30, -8, -3, -1, -0.2, 0.0, 0.1, 1, 4, 10, 35], 3, replace=False):
        x = mean + z * sd
        if 0 < x < 1:
            yield x, 1.0 - x
    small = float(10 ** rng.uniform(-300, -1))
    yield (small, 1.0 - small) if rng.random() < 0.5 else (1.0 - small, small)


class TestBetaTails:
    def test_both_tails_and_their_logarithms(self):
        rng = np.random.default_rng(8)
        cases, smaller, labels, below = [], [], [], []
        for a, b in random_laws(1):
            for x, q in points_of(a, b, rng):
                exact_x, exact_q = exact_point(x, q)
                lower = exact_x <= mpmath.mpf(a) / (mpmath.mpf(a) + mpmath.mpf(b))
                tail = (
                    log_lower_tail(a, b, exact_x, exact_q)
                    if lower
                    else log_lower_tail(b, a, exact_q, exact_x)
                )
                cases.append((a, b, x, q))
                smaller.append(tail)
                below.append(lower)
                labels.append(f"a, b, x, 1 - x = {a!r}, {b!r}, {x!r}, {q!r}")
        table = core.beta_tails(*(np.array(column) for column in zip(*cases, strict=True)))
        side = np.array(below)
        # The tail beyond the mean is exp(C - deviance) times a sum of up to a dozen panels of order one.
        scales = [1 + abs(float(t)) for t in smaller]
        assert_accurate(np.where(side, table[2], table[3]), smaller, scales, 12, labels)
        other = [mpmath.log1p(-mpmath.exp(t)) for t in smaller]
        scales = [
            scale * abs(math.exp(float(t)) / math.expm1(float(t))) + 1e-300
            for scale, t in zip(scales, smaller, strict=True)
        ]
        assert_accurate(np.where(side, table[3], table[2]), other, scales, 12, labels)
        # The tails are the exponentials of their logarithms.
        for row, log_row in ((0, 2), (1, 3)):
            np.testing.assert_allclose(table[row], np.exp(table[log_row]), rtol=8 * EPS, atol=0)
        np.testing.assert_allclose(table[0] + table[1], 1.0, rtol=0, atol=2 * EPS)

    def test_agrees_with_scipy_at_moderate_counts(self):
        from scipy import special

        rng = np.random.default_rng(3)
        a, b = np.exp(rng.uniform(-1, 6, (2, 500)))
        x = rng.beta(a, b)
        table = core.beta_tails(a, b, x, 1.0 - x)
        # scipy is no sharper oracle than this at hundreds; it is a second, independent one.
        np.testing.assert_allclose(table[0], special.betainc(a, b, x), rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(table[1], special.betaincc(a, b, x), rtol=1e-11, atol=1e-300)


class TestBetaQuantile:
    def test_relative_error_of_both_ends(self):
        rng = np.random.default_rng(9)
        cases = []
        for a, b in random_laws(2):
            for log_p in rng.choice(
                [-1e-12, -1e-4, -0.1, -0.6, -0.8, -3.0, -20.0, -300.0, -2000.0], 2, replace=False
            ):
                cases.append((a, b, float(log_p), float(mpmath.log(-mpmath.expm1(log_p)))))
        found = core.beta_quantile(*(np.array(column) for column in zip(*cases, strict=True)))
        for (a, b, log_p, log_1mp), x, q in zip(cases, *found, strict=True):
            if min(x, q) < 1e-300:
                continue  # beyond the smallest normal numbers the documented range ends
            exact_x, exact_q = exact_point(float(x), float(q))
            lower = log_p <= log_1mp
            below = exact_x <= mpmath.mpf(a) / (mpmath.mpf(a) + mpmath.mpf(b))
            near = log_lower_tail(a, b, exact_x, exact_q) if below else log_lower_tail(b, a, exact_q, exact_x)
            log_tail = near if below == lower else mpmath.log1p(-mpmath.exp(near))
            log_density = a * mpmath.log(exact_x) + b * mpmath.log(exact_q)
            log_density -= mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(mpmath.mpf(a) + b)
            # An error of the logit is the relative error of the smaller of x and 1 - x, and bounds that of the other.
            # Newton's steps stop at 1e-15 of the logit; the constant is the error of the tail that they solve for.
            gap = abs(log_tail - (log_p if lower else log_1mp)) * mpmath.exp(log_tail - log_density)
            allowed = 3e-14 + 1e-15 * abs(math.log(x / q))
            assert gap <= allowed, (a, b, log_p, float(x), float(q), float(gap))

    def test_ends(self):
        two, ends = np.full(2, 2.0), np.array([-math.inf, 0.0])
        assert core.beta_quantile(two, two, ends, ends[::-1].copy()).tolist() == [[0.0, 1.0], [1.0, 0.0]]


TINY = 2.3e-308  # results below are subnormal and have fewer digits


def rows_of(name: str) -> np.ndarray:
    """The numeric columns of one function; "exact", which says whether x or 1 - x was rounded, is left out."""
    rows = [
        [float(f) if f.isdecimal() else real(f) for f in fields if f not in ("x", "c")]
        for fields in (row[1:] for row in read_table("special_functions.txt") if row[0] == name)
    ]
    assert rows, name
    return np.array(np.array(rows).T, order="C")


def exact_values(values: np.ndarray) -> list[mpmath.mpf]:
    return [mpmath.mpf(float(v)) for v in values]


def log_tail_slope(a: float, b: float, x: float, q: float, log_tail: float) -> float:
    """|d log tail / d logit|: what one rounding of x or 1 - x does to the tail. A scale, so doubles will do."""
    if min(x, q) <= 0.0:
        return 0.0
    log_density = a * math.log(x) + b * math.log(q) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(min(log_density - log_tail, 700.0))


class TestTable:
    """Lines of tests/data/special_functions.txt: made by another library in another way, rounded once."""

    @pytest.mark.parametrize(
        ("name", "function", "ulps", "condition"),
        [
            ("log_gamma", core.log_gamma, 4, None),
            ("stirling_error", core.stirling_error, 20, None),
            ("log1pmx", core.log1p_minus, 4, None),
            ("normal_cdf", core.normal_cdf, 4, lambda z, f: f * (1 + z * z / 2)),
            ("normal_quantile", core.normal_quantile, 4, None),
        ],
    )
    def test_functions_of_one_argument(self, name, function, ulps, condition):
        x, value = rows_of(name)[:2]
        keep = (np.abs(value) > TINY) | (value == 0.0)
        x, value = x[keep], value[keep]
        scales = [condition(a, f) if condition else abs(f) for a, f in zip(x, value, strict=True)]
        scales = [max(scale, 1e-300) for scale in scales]
        assert_accurate(function(x), exact_values(value), scales, ulps, [f"x = {v!r}" for v in x.tolist()])

    def test_log_of_the_normal_distribution_function(self):
        z, _, log = rows_of("normal_cdf")
        keep = np.abs(log) > TINY
        z, log = z[keep], log[keep]
        scales = np.abs(log) * np.where(z > 0, 1 + z * z / 2, 1.0)
        assert_accurate(
            core.normal_log_cdf(z), exact_values(log), scales, 6, [f"z = {v!r}" for v in z.tolist()]
        )

    @pytest.mark.parametrize(("name", "row"), [("beta_lower", 2), ("beta_upper", 3)])
    def test_logs_of_both_beta_tails(self, name, row):
        a, b, x, q, _, log = rows_of(name)
        got = core.beta_tails(a, b, x, q)
        want = exact_values(log)
        scales, labels = [], []
        for case in zip(a, b, x, q, log, got[5 - row], strict=True):
            slope = log_tail_slope(*case[:5])
            small = abs(case[4]) if case[4] > -math.log(2) else 1 + abs(case[4])
            # The larger tail's logarithm is that of 1 - smaller: relative to itself, with the smaller one's roundings.
            scales.append(small * (1 + abs(case[5])) + slope + TINY / EPS)
            labels.append(f"a, b, x, 1 - x = {case[:4]!r}")
        assert_accurate(got[row], want, scales, 12, labels)

    @pytest.mark.parametrize(("name", "row"), [("binomial_logsf", 2), ("binomial_logcdf", 3)])
    def test_binomial_tails_are_beta_tails(self, name, row):
        n, k, p, log = rows_of(name)
        inside = (k < n) & (k >= 0)
        n, k, p, log = n[inside], k[inside], p[inside], log[inside]
        got = core.beta_tails(k + 1, n - k, p, 1.0 - p)  # P(W > k) = I_p(k + 1, n - k)
        scales = [
            (abs(v) if v > -math.log(2) else 1 + abs(v)) * (1 + abs(other)) + TINY / EPS
            for v, other in zip(log, got[5 - row], strict=True)
        ]
        labels = [f"n, k, p = {case!r}" for case in zip(n, k, p, strict=True)]
        assert_accurate(got[row], exact_values(log), scales, 12, labels)

    def test_beta_quantiles(self):
        a, b, p, x, q = rows_of("beta_quantile")
        log_1mp = np.where(p < 0.5, np.log1p(-p), np.log(1.0 - p))
        got = core.beta_quantile(a, b, np.log(p), log_1mp)
        for case in zip(a, b, p, x, q, *got, strict=True):
            small, found = (case[3], case[5]) if case[3] <= case[4] else (case[4], case[6])
            if small < TINY:
                continue
            # The level passes through a logarithm: eps (1 + |log p|) of it, divided by the slope of the log tail.
            level = min(math.log(case[2]), math.log1p(-case[2])) if 0 < case[2] < 1 else 0.0
            slope = log_tail_slope(*case[:2], case[3], case[4], level)
            allowed = 3e-14 + 1e-15 * abs(math.log(small)) + EPS * (1 + abs(level)) / max(slope, 1e-300)
            assert abs(found / small - 1) <= allowed, case
