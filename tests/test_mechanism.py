"""The mechanism fit: what it reads, what it estimates, what it names."""

from __future__ import annotations

import base64
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.privacy.mechanism import EPSILON_LABEL, TraceSummary, fit_mechanism
from auditkit.privacy.trace import conformance

sys.path.insert(0, str(Path(__file__).parent))
from traces import declaration, observations, simulate_summary, summarise

SMALL = {"m": 24, "declared": {"steps": 12}}


def changed(**fields):
    return simulate_summary(1, fields=fields, **SMALL)


def test_a_summary_survives_json_bit_for_bit():
    trace = simulate_summary(1, **SMALL)
    again = TraceSummary.from_dict(json.loads(json.dumps(trace.to_dict(), allow_nan=False)))
    for name, value in vars(trace).items():
        np.testing.assert_array_equal(getattr(again, name), value, strict=isinstance(value, np.ndarray))
    assert (again.n_canaries, again.n_steps) == (24, 12)


def test_arrays_are_stored_as_little_endian_bytes():
    stored = simulate_summary(1, **SMALL).to_dict()
    sum1 = np.frombuffer(base64.b64decode(stored["sum1"]), "<f8")
    np.testing.assert_array_equal(sum1, simulate_summary(1, **SMALL).sum1)
    assert base64.b64decode(stored["bits"]) == b"\x01" * 12 + b"\x00" * 12


def test_nan_and_no_limit_survive_json():
    trace = changed(clip_ratio=np.full(12, np.nan), declared=declaration(steps=None, epsilon=math.inf))
    again = TraceSummary.from_dict(json.loads(json.dumps(trace.to_dict(), allow_nan=False)))
    assert np.isnan(again.clip_ratio).all()
    assert again.declared["epsilon"] == math.inf
    assert again.declared["steps"] is None


def test_a_summary_cannot_be_altered_by_whoever_made_it():
    sums = np.zeros(24)
    trace = changed(sum1=sums)
    sums[0] = 1e9
    assert trace.sum1[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        trace.sum1[0] = 1.0


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"sum1": np.full(24, np.nan)}, "AK-ME-001"),
        ({"sum1": np.full(24, np.inf)}, "AK-ME-001"),
        ({"sum1": np.zeros(23)}, "AK-ME-001"),
        ({"sum1": np.zeros((24, 1))}, "AK-ME-001"),
        ({"sum1": np.full(24, "a")}, "AK-ME-001"),
        ({"sum2": np.full(24, -1.0)}, "AK-ME-001"),
        ({"bits": np.ones(24)}, "AK-ME-001"),
        ({"bits": np.zeros(0, bool)}, "AK-ME-001"),
        ({"draws": np.full(24, 1)}, "AK-ME-001"),
        ({"draws": np.full(24, 0.5)}, "AK-ME-001"),
        ({"layer": np.full(24, 4)}, "AK-ME-001"),
        ({"layers": "first"}, "AK-ME-001"),
        ({"pairs": np.array([[12, 12]] * 6)}, "AK-ME-001"),
        ({"pairs": np.arange(12).reshape(6, 2)}, "AK-ME-001"),
        ({"batch_sizes": np.full(12, -2)}, "AK-ME-001"),
        ({"clip_ratio": np.full(12, np.inf)}, "AK-ME-001"),
        ({"accounted_rate": np.full(12, 1.5)}, "AK-ME-001"),
        ({"n_records": -1}, "AK-ME-001"),
        ({"n_records": True}, "AK-ME-001"),
        ({"real_sum_subtracted": 1}, "AK-ME-001"),
        ({"declared": None}, "AK-ME-002"),
        ({"declared": {"sigma": 1.0}}, "AK-ME-002"),
        ({"declared": declaration(sigma=-1.0)}, "AK-ME-002"),
        ({"declared": declaration(sigma=math.nan)}, "AK-ME-002"),
        ({"declared": declaration(sampling_rate=0.0)}, "AK-ME-002"),
        ({"declared": declaration(steps=True)}, "AK-ME-002"),
        ({"declared": declaration(sampler="random")}, "AK-ME-002"),
        ({"declared": declaration(delta=1.0)}, "AK-ME-002"),
        ({"declared": declaration(epsilon=10**400)}, "AK-ME-002"),
        ({"step_sum2": np.full(12, 5.0)}, "AK-ME-003"),
        ({"lag1": np.full(24, 1e3)}, "AK-ME-003"),
        ({"sum3": np.full(24, 1e200)}, "AK-ME-003"),
    ],
)
def test_a_summary_refuses_what_cannot_be(fields, error):
    with pytest.raises(InputError) as caught:
        changed(**fields)
    assert caught.value.id == error
    assert str(caught.value).startswith(next(iter(fields)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "auditkit.trace/2"},
        {"more": 1},
        {"sum1": [1.0]},
        {"sum1": "not base64"},
        {"sum1": base64.b64encode(b"12345").decode()},
        {"bits": base64.b64encode(b"\x02" * 24).decode()},
        {"pairs": base64.b64encode(bytes(8)).decode()},
        {"layers": "first"},
        {"declared": [1]},
    ],
)
def test_reading_refuses_another_layout(change):
    with pytest.raises(InputError) as caught:
        TraceSummary.from_dict(simulate_summary(1, **SMALL).to_dict() | change)
    assert caught.value.id == "AK-ME-004"


@pytest.mark.parametrize("values", [None, [], {}])
def test_reading_refuses_what_is_no_trace(values):
    with pytest.raises(InputError) as caught:
        TraceSummary.from_dict(values)
    assert caught.value.id == "AK-ME-004"


def outcomes(trace, level=0.95):
    found = conformance.run_tests(conformance.moments_of(trace, level))
    return {test.id: test for test in found}


def failures(trace):
    return [test.id for test in conformance.ranked_failures(tuple(outcomes(trace).values()))]


@pytest.mark.parametrize(
    ("count", "mean", "variance", "third"),
    [(1, 1.0, 0.0, 0.0), (2, 1.5, 0.125, 0.0)],
)
def test_kurtosis_moments_of_one_and_two_observations(count, mean, variance, third):
    # One: u = +-1. Two: n sum(u^4) = 3/2 + cos(4 theta)/2 with a uniform angle.
    assert [float(v) for v in conformance._kurtosis_moments(count)] == [mean, variance, third]


def test_kurtosis_moments_by_simulation():
    x = np.random.default_rng(5).standard_normal((100_000, 20))
    values = 20 * (x**4).sum(axis=1) / (x**2).sum(axis=1) ** 2
    mean, variance, third = (float(v) for v in conformance._kurtosis_moments(20))
    assert values.mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / 100_000))
    centred = values - mean
    for power, expected in ((2, variance), (3, third)):
        moment = centred**power
        assert moment.mean() == pytest.approx(expected, abs=5 * moment.std() / math.sqrt(100_000))


@pytest.mark.parametrize("share", [0.0, 0.3, -0.9, 0.999])
def test_tail_of_one_coordinate_of_a_sphere(share):
    # Freedom 1 is a point on a circle, freedom 2 one on a sphere (Archimedes: uniform).
    assert conformance._sphere_tail(share, 1) == pytest.approx(1 - 2 * math.asin(abs(share)) / math.pi)
    assert conformance._sphere_tail(share, 2) == pytest.approx(1 - abs(share))


def test_equal_variances_is_bartletts_test():
    groups = [np.random.default_rng(k).normal(0, 1 + k / 10, 20 + k) for k in range(5)]
    squares = np.array([((g - g.mean()) ** 2).sum() for g in groups])
    counts = np.array([g.size - 1 for g in groups])
    assert conformance._equal_variances(squares, counts)[0] == pytest.approx(stats.bartlett(*groups).pvalue)


def test_holm_on_a_worked_example():
    made = [conformance._chance(str(p), "", p, "") for p in (0.01, 0.04, 0.03, 0.005)]
    adjusted = [test.adjusted for test in conformance._corrected(made)]
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 10), (17_970, 179_700)])
def test_rates_are_clopper_pearson(successes, trials):
    found = conformance.fitted_rate(successes, trials, 0.95)
    known = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert (found.lower, found.upper) == pytest.approx((known.low, known.high), rel=1e-9)


def test_ties_bound_the_probability_of_a_repeated_size():
    # Three batches of Binomial(4, 1/2): all equal with probability sum p_k^3.
    chance = (stats.binom.pmf(np.arange(5), 4, 0.5) ** 3).sum()
    assert conformance._ties(3, 3, 4, 0.5) == pytest.approx(chance)


def test_dispersion_of_poisson_sampled_batches():
    rng = np.random.default_rng(11)
    tails = [conformance._dispersion(rng.binomial(60, 0.1, 40), 60, 0.1) for _ in range(800)]
    for level in (0.01, 0.05, 0.2):
        assert stats.binomtest(sum(p <= level for p in tails), 800, level).pvalue > 1e-3


def test_fitted_values_of_a_trace_without_chance():
    x = np.zeros((4, 6))
    x[:, 3:] = [[2, -2, 2], [-2, 2, -2], [2, 2, 2], [-2, -2, -2]]
    x[0, :3] = 1.5
    x[1, 0] = 1.5
    declared = declaration(sigma=2.0, sampling_rate=0.25, steps=4)
    trace = summarise(x, np.arange(6) < 3, np.array([2, 1, 1, 0, 0, 0]), declared=declared)
    data = conformance.moments_of(trace, 0.95)
    ends = [math.sqrt(48 / q) for q in stats.chi2.ppf([0.975, 0.025], 12)]
    assert data.sigma.value == 2.0
    assert (data.sigma.lower, data.sigma.upper) == pytest.approx(ends)
    clip = conformance.fitted_clip(data)
    assert clip.value == pytest.approx(1.5)
    assert clip.upper - 1.5 == pytest.approx(stats.t.ppf(0.975, 12) * 2 * math.sqrt(4 / 6))
    assert conformance.canary_draws(trace) == (4, 12)
    assert conformance.record_draws(trace) is None


def test_moments_need_no_draws():
    # Noise of almost no size: M = q C' and V = q (1 - q) C'^2 must give back C' = 3 and the share of draws.
    trace = simulate_summary(3, m=2000, sigma=0.01, clip=3.0)
    found = fit_mechanism(trace, delta=1e-5).moments
    assert found["clip"] == pytest.approx(3.0, rel=1e-3)
    assert found["sampling_rate"] == pytest.approx(trace.draws.sum() / 1000 / 100, rel=1e-3)


CAUSES = {
    "noise": {"sigma": 0.5},
    "clipping": {"clip": 3.0},
    "sampling-rate": {"rate": 1.0, "batches": "all"},
    "sampler": {"batches": "fixed"},
    "steps": {"steps": 120},
    "clipping-probe": {"fields": {"clip_ratio": np.full(100, 10.0)}},
    "accounted-sigma": {"fields": {"accounted_sigma": np.full(100, 1.3)}},
    "accounted-sampling-rate": {"fields": {"accounted_rate": np.full(100, 0.01)}},
}


@pytest.mark.parametrize("cause", CAUSES)
def test_the_right_cause_is_named_first(cause):
    for seed in range(5):
        assert failures(simulate_summary(seed, **CAUSES[cause]))[0] == cause


def test_words_name_the_parameter_with_its_numbers():
    half = fit_mechanism(simulate_summary(1, sigma=0.5), delta=1e-5)
    assert half.status == "INCONSISTENT"
    assert "noise: standard deviation 0.500 of the declared: 0.4997" in half.verdict
    assert half.verdict.startswith("INCONSISTENT with the declaration: noise:")
    for seed, words in (
        ("sampling-rate", "no subsampling, every record takes part in every step"),
        ("sampler", "fixed size (shuffled)"),
        ("clipping-probe", "a gradient of norm 10 C came out with 10 C at worst, off at 100 of 100 steps"),
        ("accounted-sigma", "1 declared, the accountant was told 1.3 at 100 of 100 steps"),
        ("steps", "120 seen, 100 declared"),
    ):
        assert words in outcomes(simulate_summary(1, **CAUSES[seed]))[seed].text


def shaped(noise, **fields):
    """A summary of a run with this noise, in units of sigma; every second canary takes part."""
    steps, m = noise.shape
    rng = np.random.default_rng([7, 32])
    x, bits, draws = observations(rng, m=m, steps=steps, sigma=1.0, rate=0.1, noise=noise)
    return summarise(x, bits, draws, declared=declaration(steps=steps), **fields)


def test_noise_that_is_not_as_it_should_be_is_named():
    rng = np.random.default_rng(17)
    usual = rng.standard_normal((100, 400))
    reused = np.repeat(usual[:1], 100, axis=0)
    same_in_pairs = usual.copy()
    same_in_pairs[:, 201::2] = same_in_pairs[:, 200::2]
    one_pair = usual.copy()
    one_pair[:, 201] = -one_pair[:, 200]
    silent = usual * (np.arange(100) % 5 > 0)[:, None]
    quiet_layer = usual * np.where(np.arange(400) % 4 == 2, 0.8, 1.0)
    heavy = rng.laplace(0, math.sqrt(0.5), (100, 400))
    cases = [
        (reused, "autocorrelation-1"),
        (np.repeat(usual[:50], 2, axis=0), "autocorrelation-1"),
        (np.concatenate([usual[:2]] * 50), "autocorrelation-2"),
        (same_in_pairs, "cross-correlation"),
        (one_pair, "cross-correlation"),
        (silent, "noise-steps"),
        (quiet_layer, "noise-layers"),
        (heavy, "normality"),
        (usual + 0.1, "noise-mean"),
    ]
    assert failures(shaped(usual.copy())) == []
    for noise, name in cases:
        trace = shaped(noise.copy())
        assert failures(trace)[0] == name
        fit = fit_mechanism(trace, delta=1e-5)
        assert fit.epsilon is None
        assert "the model does not hold" in fit.no_epsilon


def test_equal_noise_names_the_layer_and_the_steps():
    rng = np.random.default_rng(18)
    usual = rng.standard_normal((100, 400))
    quiet = shaped(usual * np.where(np.arange(400) % 4 == 2, 0.5, 1.0))
    assert "farthest off in third" in outcomes(quiet)["noise-layers"].text
    silent = shaped(usual * (np.arange(100) % 5 > 0)[:, None])
    assert "below half of it at 20 of 100" in outcomes(silent)["noise-steps"].text


NOTHING_KNOWN = {
    "batch_sizes": np.full(100, -1),
    "n_records": 0,
    "clip_ratio": np.full(100, np.nan),
    "accounted_sigma": np.full(100, np.nan),
    "accounted_rate": np.full(100, np.nan),
}
SHAPE = {
    *("noise-mean", "autocorrelation-1", "autocorrelation-2", "cross-correlation"),
    *("noise-steps", "noise-layers", "normality"),
}


def not_run(trace):
    found = {id: test for id, test in outcomes(trace).items() if test.status == "not-run"}
    assert all(test.text and test.p_value is None for test in found.values())
    return set(found)


def test_what_is_not_known_is_not_run():
    trace = simulate_summary(1, fields=NOTHING_KNOWN)
    assert not_run(trace) == {
        *("sampling-rate", "sampler", "clipping-probe", "accounted-sigma", "accounted-sampling-rate")
    }
    assert not_run(simulate_summary(1, declared={"steps": None}, steps=100)) == {"steps"}


def test_one_step_without_sampling():
    trace = simulate_summary(1, declared={"sampling_rate": 1.0, "steps": 1}, batches="all")
    assert not_run(trace) == {
        *("sampler", "autocorrelation-1", "autocorrelation-2", "noise-steps", "normality")
    }
    fit = fit_mechanism(trace, delta=1e-5)
    assert fit.status == "consistent"
    mu = 1 / np.array([fit.epsilon.sigma.upper, fit.epsilon.sigma.lower])
    eps = np.array([fit.epsilon.lower, fit.epsilon.upper])
    # Balle and Wang (2018), equation (6), the exact curve of the Gaussian mechanism.
    curve = stats.norm.cdf(mu / 2 - eps / mu) - np.exp(eps) * stats.norm.cdf(-mu / 2 - eps / mu)
    assert curve == pytest.approx(1e-5, rel=0.03)


def test_without_excluded_canaries_clipping_is_read_against_the_declared_noise():
    x = np.random.default_rng(2).standard_normal((100, 50)) + 1.0
    every = declaration(sampling_rate=1.0)
    trace = summarise(x, np.ones(50, bool), np.full(50, 100), declared=every)
    fit = fit_mechanism(trace, delta=1e-5)
    assert SHAPE | {"noise"} <= not_run(trace)
    assert (fit.epsilon, fit.no_epsilon) == (
        None,
        "every canary takes part, so that none shows the noise alone",
    )
    clip = next(p.fitted for p in fit.parameters if p.id == "clip")
    assert clip.upper - clip.value == pytest.approx(1.959964 / math.sqrt(5000), rel=1e-6)


def test_without_included_canaries_nothing_is_said_of_clipping():
    x = np.random.default_rng(1).standard_normal((100, 1000))
    trace = summarise(x, np.zeros(1000, bool), np.zeros(1000, np.int64), declared=declaration())
    assert {"clipping", "canary-rate"} <= not_run(trace)
    assert fit_mechanism(trace, delta=1e-5).moments == {}


def test_real_data_in_the_observations_leave_the_one_sided_test_of_noise():
    rng = np.random.default_rng(4)
    left_in = {"real_sum_subtracted": False}
    data = shaped(rng.standard_normal((100, 400)) * 1.2, **left_in)
    assert SHAPE | {"clipping"} <= not_run(data)
    assert outcomes(data)["noise"].status == "pass"
    assert "can only add" in outcomes(data)["noise"].text
    fit = fit_mechanism(data, delta=1e-5)
    assert fit.parameters[0].fitted.lower is None
    assert fit.epsilon.upper is None
    assert fit.epsilon.lower < fit.epsilon.of_declaration
    short = shaped(rng.standard_normal((100, 400)) * 0.97, **left_in)
    assert failures(short) == ["noise"]


def test_silence_is_named_and_gives_no_epsilon():
    trace = shaped(np.zeros((100, 400)))
    fit = fit_mechanism(trace, delta=1e-5)
    assert fit.verdict.startswith("INCONSISTENT with the declaration: noise: standard deviation 0.000")
    assert fit.no_epsilon == "without noise no epsilon is finite"
    none = simulate_summary(1, declared={"sigma": 0.0})
    assert fit_mechanism(none, delta=1e-5).epsilon is None
    assert "noise" in not_run(none)


def test_a_probe_that_passes_the_clipping_gives_no_epsilon():
    fit = fit_mechanism(simulate_summary(1, **CAUSES["clipping-probe"]), delta=1e-5)
    assert fit.epsilon is None
    assert "nothing limits a record's part" in fit.no_epsilon


def test_shuffled_batches_that_were_declared_are_not_tested_for_poisson_sampling():
    trace = simulate_summary(1, batches="fixed", declared={"sampler": "shuffle"})
    assert "sampler" in not_run(trace)


def test_a_batch_larger_than_the_data_contradicts_sampling():
    trace = simulate_summary(1, fields={"n_records": 150})
    assert failures(trace)[0] == "sampling-rate"
    assert "more than once a step" in outcomes(trace)["sampling-rate"].text


def test_an_accountant_that_was_not_told_of_every_step():
    told = np.where(np.arange(100) < 97, 1.0, np.nan)
    trace = simulate_summary(1, fields={"accounted_sigma": told})
    assert "told nothing at 3 of 100 steps" in outcomes(trace)["accounted-sigma"].text
    assert "accounted-sigma" in failures(trace)


def test_the_fitted_epsilon_is_that_of_an_independent_accountant():
    from dp_accounting.pld import privacy_loss_distribution as pld

    fit = fit_mechanism(simulate_summary(1, declared={"sigma": 2.0}), delta=1e-5)
    found = fit.epsilon

    def epsilon(sigma):
        one = pld.from_gaussian_mechanism(sigma, sampling_prob=0.1, value_discretization_interval=2e-3)
        return one.self_compose(100).get_epsilon_for_delta(1e-5)

    assert found.rate_source == "declared"
    for sigma, shown in (
        (found.sigma.value, found.value),
        (found.sigma.upper, found.lower),
        (found.sigma.lower, found.upper),
        (2.0, found.of_declaration),
    ):
        # Both are enclosures of the same number; connecting dots 2e-3 apart over 100 steps costs below 2 %.
        assert shown == pytest.approx(epsilon(sigma), rel=0.02)
    assert found.lower < found.value < found.upper


def test_a_contradicted_rate_or_norm_enters_the_fitted_epsilon():
    none = fit_mechanism(simulate_summary(1, m=200, **CAUSES["sampling-rate"]), delta=1e-5).epsilon
    assert (none.rate_source, none.rate.value) == ("batch sizes", 1.0)
    large = fit_mechanism(simulate_summary(1, **CAUSES["clipping"]), delta=1e-5)
    assert large.epsilon.sigma.value == pytest.approx(1 / 3, rel=0.05)
    assert large.epsilon.lower > large.epsilon.of_declaration


def test_a_fit_is_plain_json_and_never_calls_itself_a_bound():
    fit = fit_mechanism(simulate_summary(1), delta=1e-5)
    stored = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert stored["verdict"] == "consistent with the declaration: 16 tests find nothing that contradicts it"
    assert stored["inconsistent"] == []
    assert stored["epsilon"]["label"] == EPSILON_LABEL
    assert "not an attack-based bound" in EPSILON_LABEL
    assert [row["id"] for row in stored["parameters"]] == ["sigma", "clip", "rate", "canary-rate"]
    assert {row["test"] for row in stored["parameters"]} <= {test["id"] for test in stored["tests"]}


@pytest.mark.parametrize("argument", ["delta", "level"])
@pytest.mark.parametrize("value", [0.0, 1.0, math.nan, None, True, "a"])
def test_delta_and_level_are_probabilities(argument, value):
    with pytest.raises(InputError) as caught:
        fit_mechanism(simulate_summary(1, **SMALL), **({"delta": 1e-5} | {argument: value}))
    assert caught.value.id == "AK-ME-005"


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e30])
def test_traces_of_absurd_size_are_answered(scale):
    fit = fit_mechanism(shaped(np.random.default_rng(3).standard_normal((100, 40)) * scale), delta=1e-5)
    assert fit.status == "INCONSISTENT"
    assert fit.epsilon is None
    json.dumps(fit.to_dict(), allow_nan=False)


def test_one_canary_and_one_step_are_enough_for_an_answer():
    for bit in (False, True):
        trace = summarise(
            np.ones((1, 1)),
            np.array([bit]),
            np.array([int(bit)]),
            declared=declaration(sampling_rate=1.0, steps=1),
            pairs=np.empty((0, 2), np.int64),
        )
        fit = fit_mechanism(trace, delta=1e-5)
        assert fit.status == "consistent"
        json.dumps(fit.to_dict(), allow_nan=False)


def test_a_trace_that_supports_no_test_says_so():
    trace = summarise(
        np.ones((1, 1)),
        np.array([True]),
        np.array([0]),
        declared=declaration(steps=None),
        clip_ratio=[np.nan],
    )
    # The coin of the one canary at the one step is all that is left.
    assert [t.id for t in fit_mechanism(trace, delta=1e-5).tests if t.status != "not-run"] == ["canary-rate"]


def test_false_alarms_and_power_in_few_runs():
    alarms = sum(bool(failures(simulate_summary(seed))) for seed in range(60))
    # Of 60 runs at 1 % more than 5 are seen with probability 4e-5.
    assert alarms <= 5
    found = sum("noise" in failures(simulate_summary(seed, sigma=0.98)) for seed in range(20))
    # At 95 % fewer than 15 of 20 are seen with probability 3e-4.
    assert found >= 15
