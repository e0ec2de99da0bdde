"""LiRA and RMIA against loops, scipy, and simulations whose likelihood ratio is known."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.privacy.attacks.lira import OWN_VARIANCE_MODELS, lira
from auditkit.privacy.attacks.rmia import area_under_curve, log_marginal, rmia, tune_offline


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    for word in words:
        assert word in str(caught.value)


def shadows(models, records, variants=1, seed=0, mu=2.0):
    rng = np.random.default_rng(seed)
    bits = rng.random((models, records)) < 0.5
    centre = rng.normal(0, 3, (records, variants))
    scale = rng.uniform(0.5, 2, (records, variants))
    shadow = centre + scale * (mu * bits[:, :, None] + rng.normal(size=(models, records, variants)))
    member = rng.random(records) < 0.5
    target = centre + scale * (mu * member[:, None] + rng.normal(size=(records, variants)))
    return target, shadow, bits, member, centre, scale


def lira_by_loops(target, shadow, bits, variant, pooled):
    """One record, one side, one variant at a time, with scipy's normal density."""
    models, records, variants = shadow.shape
    own = {}
    for j in range(records):
        for side in (0, 1):
            for k in range(variants):
                own[j, side, k] = [shadow[i, j, k] for i in range(models) if bits[i, j] == side]
    common = {}
    for side in (0, 1):
        for k in range(variants):
            groups = [own[j, side, k] for j in range(records) if len(own[j, side, k]) > 1]
            squares = math.fsum((x - math.fsum(g) / len(g)) ** 2 for g in groups for x in g)
            freedom = sum(len(g) - 1 for g in groups)
            common[side, k] = squares / freedom if freedom else math.nan
    scores = []
    for j in range(records):
        total = 0.0
        for k in range(variants):
            laws = []
            for side in (0, 1):
                values = own[j, side, k]
                few = len(values) < 64 if pooled is None else pooled
                variance = statistics.variance(values) if len(values) > 1 else 0.0
                if few or not variance > 0 or not math.isfinite(variance):
                    variance = common[side, k]
                laws.append((np.mean(values) if values else math.nan, math.sqrt(variance)))
            (mu_out, s_out), (mu_in, s_in) = laws
            if variant == "offline":
                total += (target[j, k] - mu_out) / s_out / variants
            else:
                total += stats.norm.logpdf(target[j, k], mu_in, s_in)
                total -= stats.norm.logpdf(target[j, k], mu_out, s_out)
        scores.append(total)
    return np.array(scores)


@pytest.mark.parametrize("pooled", [None, True, False])
@pytest.mark.parametrize("variant", ["online", "offline"])
@pytest.mark.parametrize(("models", "variants"), [(10, 1), (140, 3)])
def test_lira_is_what_loops_and_scipy_give(variant, pooled, models, variants):
    target, shadow, bits, *_ = shadows(models, 12, variants)
    bits[:, 3] = np.arange(models) == 0  # one model with the record: no variance of its own
    shadow[bits[:, 5], 5] = 1.25  # a variance of 0
    found = lira(target, shadow, bits, variant=variant, pooled=pooled)
    expected = lira_by_loops(target, shadow, bits, variant, pooled)
    assert found.scored.all()
    # Sums of at most 280 terms of order 1e3 in another order: far below 1e-9 of the largest term.
    np.testing.assert_allclose(found.scores, expected, rtol=1e-9, atol=1e-9)
    if variants == 1:
        flat = lira(target[:, 0], shadow[:, :, 0], bits, variant=variant, pooled=pooled)
        np.testing.assert_array_equal(flat.scores, found.scores)


def test_variances_are_a_records_own_from_64_models_a_side_on():
    target, shadow, bits, *_ = shadows(2 * OWN_VARIANCE_MODELS, 6)
    half = np.arange(2 * OWN_VARIANCE_MODELS) % 2 == 0
    bits[:] = half[:, None]
    same = lira(target, shadow, bits).scores
    np.testing.assert_array_equal(same, lira(target, shadow, bits, pooled=False).scores)
    fewer = lira(target, shadow[:-2], bits[:-2]).scores
    np.testing.assert_array_equal(fewer, lira(target, shadow[:-2], bits[:-2], pooled=True).scores)


def test_lira_abstains_where_a_side_has_no_model():
    target, shadow, bits, *_ = shadows(20, 5)
    bits[:, 1], bits[:, 3] = True, False
    online, offline = (lira(target, shadow, bits, variant=v) for v in ("online", "offline"))
    assert online.scored.tolist() == [True, False, True, False, True]
    assert offline.scored.tolist() == [True, False, True, True, True]
    for found in (online, offline):
        assert np.isfinite(found.scores[found.scored]).all()
        assert np.isnan(found.scores[~found.scored]).all()
    constant = lira(np.zeros(5), np.zeros((20, 5)), bits)
    assert not constant.scored.any()
    huge = lira(target * 1e200, shadow * 1e200, bits)
    assert not huge.scored.any() or np.isfinite(huge.scores[huge.scored]).all()


def test_online_lira_comes_to_the_true_likelihood_ratio():
    """The score of x = c + s u comes to 2 u - 2 when models with the record have mean c + 2 s.

    With about 1,000 models a side, means are off by s / sqrt(1000) and log standard deviations by
    1 / sqrt(2000); the density's derivatives in them are u and u^2 - 1. Six standard deviations at 400 records.
    """
    target, shadow, bits, member, centre, scale = shadows(2000, 400, mu=2.0)
    found = lira(target, shadow, bits)
    u = ((target - centre) / scale)[:, 0]
    true = 2.0 * u - 2.0
    spread = sum(v**2 / 1000 + (v**2 - 1) ** 2 / 2000 for v in (u, u - 2))
    assert (np.abs(found.scores - true) < 6 * np.sqrt(spread)).all()
    expected = stats.norm.cdf(2 / math.sqrt(2))
    # AUC of 400 records: standard error below sqrt(.25 / 200) / 1.7 = 0.021; five of them.
    assert abs(area_under_curve(true, member) - expected) < 0.1
    assert abs(area_under_curve(found.scores, member) - area_under_curve(true, member)) < 0.005


def test_few_models_do_better_with_a_pooled_variance():
    """The reason for the default: records of one scale, 8 models; true ratio known."""
    rng = np.random.default_rng(3)
    n, better = 500, []
    for _ in range(20):
        bits = np.arange(8)[:, None] % 2 == rng.integers(0, 2, n)
        shadow = 1.5 * bits + rng.normal(size=(8, n))
        member = rng.random(n) < 0.5
        target = 1.5 * member + rng.normal(size=n)
        own, pooled = (
            area_under_curve(lira(target, shadow, bits, pooled=p).scores, member) for p in (False, True)
        )
        better.append(pooled > own)
    assert sum(better) >= 18  # by chance, at even odds: 2e-4


def test_shadow_arrays_are_checked():
    target, shadow, bits, *_ = shadows(6, 4)
    refused("AK-AT-021", lambda: lira(target, shadow, bits, variant="both"), "both")
    refused("AK-AT-020", lambda: lira(target, shadow[:, :3], bits), "shadow")
    refused("AK-AT-020", lambda: lira(target[:0], shadow[:, :0], bits[:, :0]))
    refused("AK-AT-020", lambda: lira(target, shadow, bits[:5]), "included")
    refused("AK-AT-022", lambda: lira(target, shadow, bits * 2), "included")
    refused("AK-AT-022", lambda: lira(target, shadow, bits.astype("U5")))
    refused("AK-AT-002", lambda: lira(target, np.where(bits[:, :, None], np.nan, shadow), bits), "shadow")
    refused("AK-AT-002", lambda: lira(np.full_like(target, np.inf), shadow, bits), "target")
    refused("AK-AT-001", lambda: lira(target, shadow[0, 0], bits))


# RMIA


def probabilities(models=9, records=7, population=11, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "target": np.log(rng.uniform(0.01, 1, records)),
        "shadow": np.log(rng.uniform(0.01, 1, (models, records))),
        "included": (np.arange(models)[:, None] + np.arange(records)) % 2 == 0,
        "population_target": np.log(rng.uniform(0.01, 1, population)),
        "population_shadow": np.log(rng.uniform(0.01, 1, (models, population))),
    }


def rmia_by_loops(case, variant, gamma, a):
    """The definition on probabilities, not logarithms."""
    p, q = np.exp(case["shadow"]), np.exp(case["population_shadow"])
    own, z = np.exp(case["target"]), np.exp(case["population_target"])
    scores = []
    for j in range(own.size):
        inside = [p[i, j] for i in range(len(p)) if case["included"][i, j]]
        outside = [p[i, j] for i in range(len(p)) if not case["included"][i, j]]
        if variant == "online":
            marginal = (np.mean(inside) + np.mean(outside)) / 2
        else:
            marginal = ((1 + a) * np.mean(outside) + 1 - a) / 2
        wins = 0
        for k in range(z.size):
            reference = z[k] / (((1 + a) * np.mean(q[:, k]) + 1 - a) / 2)
            wins += own[j] / marginal / reference >= gamma
        scores.append(wins / z.size)
    return np.array(scores)


@pytest.mark.parametrize("variant", ["online", "offline"])
@pytest.mark.parametrize(("gamma", "a"), [(1.0, 0.3), (2.0, 0.0), (1.5, 1.0)])
def test_rmia_is_the_definition(variant, gamma, a):
    for seed in range(5):
        case = probabilities(seed=seed)
        found = rmia(**case, variant=variant, gamma=gamma, a=a, break_ties=False)
        expected = rmia_by_loops(case, variant, gamma, a)
        np.testing.assert_allclose(found.scores, expected, atol=1e-12)
        broken = rmia(**case, variant=variant, gamma=gamma, a=a)
        z = case["population_target"].size
        np.testing.assert_array_equal(np.floor(broken.scores * (z + 1) + 1e-9), np.round(expected * z))
        assert np.unique(broken.scores).size == broken.scores.size


def test_ties_are_broken_below_2000_population_records_by_the_ratio():
    case = probabilities(records=300, population=3)
    coarse = rmia(**case, a=0.5, break_ties=False).scores
    fine = rmia(**case, a=0.5).scores
    assert np.unique(coarse).size <= 4
    assert np.unique(fine).size == 300
    order = np.argsort(fine)
    assert (np.diff(coarse[order]) >= 0).all()
    ratio = case["target"] - log_marginal(case["shadow"], case["included"], None)
    np.testing.assert_array_equal(order, np.argsort(ratio))
    many = probabilities(records=300, population=2000)
    np.testing.assert_array_equal(rmia(**many, a=0.5).scores, rmia(**many, a=0.5, break_ties=False).scores)


def test_rmia_survives_probabilities_that_underflow():
    case = probabilities()
    case["target"] = case["target"] - 800
    case["shadow"] = case["shadow"] - 800
    case["shadow"][case["included"]] -= 400
    found = rmia(**case, a=1.0, break_ties=False)
    assert found.scored.all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_rmia_abstains_where_a_side_has_no_model():
    case = probabilities()
    case["included"][:, 0], case["included"][:, 1] = True, False
    assert rmia(**case, a=0.5).scored.tolist() == [False, False] + [True] * 5
    assert rmia(**case, a=0.5, variant="offline").scored.tolist() == [False] + [True] * 6


def test_a_is_tuned_on_the_shadow_models_alone():
    case = probabilities(models=12, records=60, population=40)
    tuned = tune_offline(case["shadow"], case["included"], population_shadow=case["population_shadow"])
    assert 0 <= tuned <= 1
    auto = rmia(**case, variant="offline")
    np.testing.assert_array_equal(auto.scores, rmia(**case, variant="offline", a=tuned).scores)
    one = {k: v[:1] if v.ndim == 2 else v for k, v in case.items()}
    assert tune_offline(one["shadow"], one["included"], population_shadow=one["population_shadow"]) == 0.5


def test_tuning_finds_the_a_that_made_the_data():
    """P(x | in) = a p + 1 - a exactly, records of very different difficulty, noise small: the a in use is best."""
    rng = np.random.default_rng(5)
    base = rng.uniform(0.05, 0.95, 400)
    bits = rng.random((10, 400)) < 0.5
    inside = 0.4 * base + 0.6
    noise = np.exp(rng.normal(0, 0.25, (10, 400)))
    shadow = np.log(np.minimum(np.where(bits, inside, base) * noise, 1))
    population = np.log(np.minimum(base * np.exp(rng.normal(0, 0.25, (10, 400))), 1))
    assert 0.1 <= tune_offline(shadow, bits, population_shadow=population) <= 0.7


def test_area_under_curve_counts_ties_half():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, 25).astype(float)
        bits = rng.random(25) < 0.5
        pairs = [(a > b) + 0.5 * (a == b) for a in scores[bits] for b in scores[~bits]]
        assert area_under_curve(scores, bits) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert math.isnan(area_under_curve(np.arange(3.0), np.ones(3, bool)))


def test_rmia_arguments_are_checked():
    case = probabilities()
    refused("AK-AT-021", lambda: rmia(**case, variant="half"), "half")
    for gamma in (0.5, math.nan, math.inf):
        refused("AK-AT-023", lambda g=gamma: rmia(**case, gamma=g), "gamma")
    for a in (-0.1, 1.1, math.nan):
        refused("AK-AT-023", lambda a=a: rmia(**case, a=a), "a: ")
    refused("AK-AT-024", lambda: rmia(**{**case, "target": -case["target"]}), "target")
    refused("AK-AT-024", lambda: rmia(**{**case, "population_shadow": -case["population_shadow"]}))
    refused("AK-AT-020", lambda: rmia(**{**case, "population_target": case["target"]}), "population_shadow")
    refused(
        "AK-AT-020",
        lambda: rmia(**{**case, "population_target": np.empty(0), "population_shadow": np.empty((9, 0))}),
    )
    with pytest.raises(TypeError, match="population"):
        rmia(case["target"], case["shadow"], case["included"])


def test_both_attacks_are_public_names():
    from auditkit.privacy import attacks

    assert attacks.lira is lira
    assert attacks.rmia is rmia
