"""Canaries: what is planted, what is trained on, what the coins say, and what a bound from them may claim."""

from __future__ import annotations

import collections
import hashlib
import pickle
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import AuditWarning, InputError
from auditkit.privacy import Canaries, Evidence, dp_estimate
from auditkit.privacy.numbers import binomial_tail
from auditkit.privacy.planting import records as make

DELTA = 1e-5
KINDS = ("mislabel", "blank", "given", "label")


@cache
def digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X.astype(np.float32), y


@cache
def toy(n=200, d=5, classes=4):
    rng = np.random.default_rng(11)
    return rng.normal(size=(n, d)), rng.integers(0, classes, n)


def planted(kind="mislabel", m=60, seed=5, **more):
    return Canaries.plant(*toy(), m=m, kind=kind, seed=seed, **more)


def forest(X, y, seed=0, trees=60):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, random_state=seed).fit(X, y)


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def rows_of(X, y):
    """Records with labels as a multiset, told by their bytes."""
    return collections.Counter((x.tobytes(), label) for x, label in zip(X, y.tolist(), strict=True))


# What is planted


def test_mislabelled_canaries_are_rows_of_x_under_a_wrong_label():
    X, y = toy()
    canaries = planted(m=80)
    assert canaries.X.shape == (80, 5)
    assert np.array_equal(canaries.X, X[canaries.source])
    assert np.unique(canaries.source).size == 80
    assert (canaries.y != y[canaries.source]).all()
    assert set(canaries.y) <= set(y)
    assert np.array_equal(np.sort(np.concatenate([canaries.base_index, canaries.source])), np.arange(200))


def test_wrong_labels_are_uniform_over_the_other_classes():
    codes = np.repeat(np.arange(4), 3000)
    wrong = make.wrong_labels(codes, 4, np.random.default_rng(0))
    for true in range(4):
        counts = np.bincount(wrong[codes == true], minlength=4)
        assert counts[true] == 0
        others = np.delete(counts, true)
        # chi-square with 2 degrees of freedom: P(> 13.8) = 1e-3
        assert ((others - 1000) ** 2 / 1000).sum() < 13.8


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_label_pairs_differ_and_are_both_wrong_where_that_is_possible(classes):
    codes = np.random.default_rng(1).integers(0, classes, 6000)
    first, second = make.label_pairs(codes, classes, np.random.default_rng(2))
    assert (first != second).all()
    assert ((first >= 0) & (first < classes) & (second >= 0) & (second < classes)).all()
    if classes > 2:
        assert (first != codes).all()
        assert (second != codes).all()
    pairs = np.unique(np.stack([(first - codes) % classes, (second - codes) % classes], 1), axis=0)
    assert len(pairs) == (2 if classes == 2 else (classes - 1) * (classes - 2))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
def test_blank_canaries_are_distinct_noise_in_the_range_of_each_feature(dtype):
    X = (toy()[0] * 20 + 100).astype(dtype)
    canaries = Canaries.plant(X, toy()[1], m=100, kind="blank", seed=2)
    assert canaries.X.dtype == dtype
    assert (X.min(axis=0) <= canaries.X).all()
    assert (X.max(axis=0) >= canaries.X).all()
    assert len(np.unique(canaries.X, axis=0)) == 100
    assert not {x.tobytes() for x in canaries.X} & {x.tobytes() for x in X}
    assert (canaries.source == -1).all()
    assert np.array_equal(canaries.base_index, np.arange(200))
    distances = np.linalg.norm(canaries.X[:, None].astype(float) - canaries.X[None].astype(float), axis=2)
    spread = np.sqrt(2 * X.astype(float).var(axis=0).sum())
    assert distances[np.triu_indices(100, 1)].min() > 0.05 * spread


def test_given_records_are_the_canaries_all_or_a_random_part():
    X, y = toy()
    every = Canaries.plant(X, y, kind="given", seed=1)
    assert np.array_equal(every.X, X)
    assert np.array_equal(every.y, y)
    assert every.base_index.size == 0
    part = Canaries.plant(X, y, kind="given", m=70, seed=1)
    assert np.array_equal(part.X, X[part.source])
    assert np.array_equal(part.y, y[part.source])
    assert part.base_index.size == 130


def test_given_records_may_have_labels_of_any_kind():
    X, _ = toy()
    canaries = Canaries.plant(X, np.linspace(0, 1, 200), kind="given", seed=1)
    assert canaries.y[1] == 1 / 199


def test_label_canaries_are_always_there_and_the_coin_chooses_the_label():
    canaries = planted("label")
    X, y = canaries.arrays()
    assert len(y) == 200
    trained = np.where(canaries.member, canaries.y, canaries.y_other)
    counts = rows_of(X, y)
    for x, label in zip(canaries.X, trained.tolist(), strict=True):
        assert counts[(x.tobytes(), label)] == 1
    assert canaries.adjacency == "label"
    assert "label differential privacy" in canaries.assumptions[0].text


# Coins


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_canaries_and_another_seed_others(kind):
    one, two, other = planted(kind), planted(kind), planted(kind, seed=6)
    for name in ("X", "y", "unit", "member", "source"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert one.record_sha256 == two.record_sha256
    assert not np.array_equal(one.member, other.member)
    assert not np.array_equal(one.X, other.X)
    assert np.array_equal(one.arrays()[0], two.arrays()[0])


def test_a_drawn_seed_is_recorded():
    one, two = planted(seed=None), planted(seed=None)
    assert one.seed != two.seed
    assert np.array_equal(planted(seed=one.seed).member, one.member)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    planted("blank").arrays()
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_coins_are_fair_and_independent_of_neighbours():
    X, y = np.random.default_rng(0).normal(size=(20_000, 4)), np.zeros(20_000, int)
    coins = Canaries.plant(X, y, kind="given", near=0, seed=8).member
    for heads, n in ((coins.sum(), 20_000), ((coins[1:] == coins[:-1]).sum(), 19_999)):
        assert min(binomial_tail(int(heads), n, 0.5), binomial_tail(int(n - heads), n, 0.5)) > 5e-4


def test_rows_that_share_a_unit_share_a_coin_and_move_together():
    X, y = toy()
    unit = np.arange(200) // 2
    canaries = Canaries.plant(X, y, m=60, kind="mislabel", unit=unit, seed=3, near=0)
    assert canaries.n_units == 60
    assert canaries.X.shape[0] == 120
    assert np.array_equal(canaries.unit, unit[canaries.source])
    for label in np.unique(canaries.unit):
        assert np.unique(canaries.member[canaries.unit == label]).size == 1
    assert not set(unit[canaries.base_index]) & set(canaries.unit)
    assert "up to 2" in canaries.assumptions[-1].text


# The training set


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_hold_the_ordinary_rows_and_the_members_once_each(kind):
    X, y = toy()
    canaries = planted(kind)
    expected = rows_of(X[canaries.base_index], y[canaries.base_index])
    inside = canaries.in_training
    expected += rows_of(canaries.X[inside], canaries.labels_trained[inside])
    assert rows_of(*canaries.arrays()) == expected
    assert rows_of(*canaries.arrays((X, y))) == expected
    assert canaries.verify_records(canaries.arrays()).status == "pass"


def test_originals_are_kept_only_when_asked_for():
    X, y = toy()
    kept = planted(keep_originals=True)
    assert np.array_equal(kept.base_index, np.arange(200))
    counts = rows_of(*kept.arrays())
    assert all(counts[key] >= 1 for key in rows_of(X, y))
    assert kept.verify_records(kept.arrays()).status == "pass"


def test_a_coin_moves_no_other_record():
    canaries = planted()
    flipped = canaries.member.copy()
    flipped[7] = not flipped[7]
    ids, others = (c.dataset().ids for c in (canaries, replace(canaries, member=flipped)))
    longer, shorter = (ids, others) if ids.size > others.size else (others, ids)
    assert np.array_equal(longer[longer != 200 + 7], shorter)


def test_canaries_stand_anywhere_in_the_training_set():
    canaries = planted(m=100)
    place = np.flatnonzero(canaries.dataset().ids >= 200) / len(canaries.dataset())
    # A mean of about 50 uniform places: sd 0.29 / 7 = 0.041, here within five of them.
    assert abs(place.mean() - 0.5) < 0.2
    assert place.min() < 0.2 < 0.8 < place.max()


def test_other_training_data_stand_beside_given_canaries():
    X, y = toy()
    rng = np.random.default_rng(3)
    base = rng.normal(size=(50, 5)), rng.integers(0, 4, 50)
    canaries = Canaries.plant(X, y, kind="given", seed=1)
    inside = canaries.member
    assert rows_of(*canaries.arrays(base)) == rows_of(*base) + rows_of(X[inside], y[inside])
    assert rows_of(*canaries.arrays()) == rows_of(X[inside], y[inside])
    doubled = np.concatenate([base[0], X[:3]]), np.concatenate([base[1], y[:3]])
    refused("AK-CA-005", lambda: canaries.arrays(doubled), "trained on twice", "3 of 200")


def test_text_labels_and_images_work():
    X = toy()[0].reshape(200, 1, 5)
    y = np.array(["cat", "dog", "newt", "ox"])[toy()[1]]
    canaries = Canaries.plant(X, y, m=60, seed=1)
    X_train, y_train = canaries.arrays()
    assert X_train.shape[1:] == (1, 5)
    model = forest(X_train[:, 0], y_train, trees=5)
    scores = canaries.score(lambda x: model.predict_proba(x[:, 0]), lambda out, labels: np.zeros(labels.size))
    assert scores["loss"].shape == (60,)
    assert canaries.verify_records((X_train, y_train)).status == "pass"


# Copies


def test_given_copies_are_refused_with_their_number():
    X, y = toy()
    X = np.concatenate([X, X[:4]])
    y = np.concatenate([y, y[:4]])
    refused("AK-CA-005", lambda: Canaries.plant(X, y, kind="given"), "4 of 204")


def test_rows_that_occur_twice_never_become_canaries():
    X, y = toy()
    X = np.concatenate([X, X[:150]])
    y = np.concatenate([y, y[:150]])
    for kind in ("mislabel", "label", "given"):
        canaries = Canaries.plant(X, y, m=50, kind=kind, seed=4)
        assert set(canaries.source) == set(range(150, 200))
        assert canaries.verify_records(canaries.arrays()).status == "pass"
    refused("AK-CA-008", lambda: Canaries.plant(X, y, m=51), "51", "50")


def test_near_copies_among_given_records_share_a_coin():
    X, y = toy()
    rng = np.random.default_rng(0)
    near = X[:10] + 1e-3 * rng.normal(size=(10, 5))
    canaries = Canaries.plant(np.concatenate([X, near]), np.concatenate([y, y[:10]]), kind="given", seed=1)
    assert canaries.n_units == 200
    assert np.array_equal(canaries.unit[:10], canaries.unit[200:])
    assert np.array_equal(canaries.member[:10], canaries.member[200:])
    apart = Canaries.plant(
        np.concatenate([X, near]), np.concatenate([y, y[:10]]), kind="given", seed=1, near=0
    )
    assert apart.n_units == 210


def test_drawn_canaries_are_never_near_each_other_and_near_ordinary_records_are_counted():
    X, y = toy()
    rng = np.random.default_rng(0)
    X = np.concatenate([X, X[:100] + 1e-3 * rng.normal(size=(100, 5))])
    y = np.concatenate([y, y[:100]])
    canaries = Canaries.plant(X, y, m=200, seed=9)
    pair = np.where(canaries.source >= 200, canaries.source - 200, canaries.source)
    assert np.unique(pair).size == 200
    assert canaries.near == 100
    check = canaries.verify_records(canaries.arrays())
    assert check.status == "warn"
    assert "100 canaries are near an ordinary record" in check.text


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from([1, 2, 9, 12]), st.floats(0.0, 4.0), st.integers(0, 10**6))
def test_near_pairs_agree_with_all_distances(n, d, radius, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (n, d)).astype(float)
    gap = X[:, None] - X[None]
    close = (gap**2).sum(axis=2) <= radius * radius
    expected = np.argwhere(np.triu(close, 1)) if radius > 0 else np.empty((0, 2))
    assert np.array_equal(make.near_pairs(X, radius), expected)
    others = rng.integers(0, 4, (n + 3, d)).astype(float)
    close = ((X[:, None] - others[None]) ** 2).sum(axis=2) <= radius * radius
    assert np.array_equal(make.near_others(X, others, radius), close.any(axis=1) & (radius > 0))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 10**6))
def test_of_units_near_each_other_those_drawn_first_stay(n, size, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 2 * n, (n * size, 1)).astype(float)
    units = np.split(rng.permutation(n * size), n)
    stays = []
    for rows in units:
        others = [X[u] for u, stay in zip(units, stays, strict=False) if stay]
        stays.append(all(np.abs(X[rows] - other.T).min() > 1 for other in others))
    assert make._apart(X, units, 1.0) == stays


def test_noise_never_repeats_an_ordinary_record():
    corners = np.array([[i & 1, i & 2, i & 4] for i in range(8)], bool)
    made = make.make_noise(corners[:6], 2, 0.0, np.random.default_rng(0))
    assert {tuple(row) for row in made.tolist()} == {tuple(row) for row in corners[6:].tolist()}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=15))
def test_merged_units_are_connected_components(pairs):
    unit = np.arange(15)
    merged = make.merge_units(unit, np.array(pairs, np.int64).reshape(-1, 2))
    reach = np.eye(15, dtype=bool)
    for i, j in pairs:
        reach[i, j] = reach[j, i] = True
    for k in range(15):
        reach |= reach[:, k : k + 1] & reach[k : k + 1]
    assert np.array_equal(merged, np.argmax(reach, axis=1))


# Checks


def test_digests_are_of_type_shape_values_and_label():
    X = np.array([[1.0, 2.0]], np.float32)
    expected = hashlib.sha256(b"auditkit.record/1|<f4|(2,)|" + X.tobytes() + b"|i3").hexdigest()
    assert make.record_sha256(X, np.array([3])) == (expected,)
    assert make.record_sha256(X.astype(">f4"), np.array([3.0])) == (expected,)
    changed = [
        (X + 1, 3),
        (X.astype(np.float64), 3),
        (X.reshape(1, 2, 1), 3),
        (X, 4),
        (X, "3"),
        (X, 3.5),
    ]
    digests = {make.record_sha256(x, np.array([label]))[0] for x, label in changed}
    assert len(digests | {expected}) == 7


@pytest.mark.parametrize("kind", KINDS)
def test_tampered_coins_are_found(kind):
    canaries = planted(kind)
    assert [c.status for c in canaries.checks(canaries.arrays(), baseline=False)] == ["pass", "pass"]
    flipped = canaries.member.copy()
    flipped[[3, 17]] ^= True
    changed = replace(canaries, member=flipped)
    check = changed.verify_coins()
    assert check.status == "fail"
    assert check.details["canaries_that_differ"] == 2
    scores = {"loss": np.random.default_rng(0).normal(size=60)}
    result = dp_estimate(changed.evidence(scores, baseline=False), delta=DELTA, seed=1)
    assert result.verdict.status == "invalid-design"
    assert result.epsilon_lower is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_set_that_does_not_follow_the_coins_is_found(kind):
    canaries = planted(kind)
    flipped = canaries.member.copy()
    flipped[:5] ^= True
    check = canaries.verify_records(replace(canaries, member=flipped).arrays())
    assert check.status == "fail"
    moved = check.details["canaries_missing"] + check.details["canaries_against_their_coin"]
    assert moved == (10 if kind == "label" else 5)
    X, y = canaries.arrays()
    x0, y0 = canaries.X[canaries.in_training][0], canaries.labels_trained[canaries.in_training][0]
    twice = canaries.verify_records((np.concatenate([X, x0[None]]), np.append(y, y0)))
    assert (twice.status, twice.details["canaries_repeated"]) == ("fail", 1)
    altered = canaries.X.copy()
    altered[0] += 1
    assert replace(canaries, X=altered).verify_records().status == "fail"


def test_records_are_compared_in_the_type_of_the_training_set():
    canaries = planted()
    X, y = canaries.arrays()
    assert canaries.verify_records((X.astype(np.float32), y.astype(np.float32))).status == "pass"
    assert canaries.verify_records((2 * X, y)).status == "fail"


def test_a_commitment_fixes_everything_and_tells_nothing():
    canaries = planted()
    promise = canaries.commitment
    assert canaries.verify_coins(promise).status == "pass"
    assert planted().commitment != promise  # the salt
    for other in (
        planted(),
        replace(canaries, y=np.roll(canaries.y, 1)),
        replace(canaries, unit=canaries.unit[::-1]),
        replace(canaries, X=canaries.X + 1),
        replace(canaries, kind="given"),
        replace(canaries, seed=6),
    ):
        check = other.verify_coins(promise)
        assert check.status == "fail"
        assert "commitment" in check.text


def test_a_manifest_tosses_the_same_coins_again(tmp_path):
    from auditkit.io.manifest import Attack, Manifest, write_manifest

    X, y = toy()
    names = np.random.default_rng(0).permutation(100)[np.arange(200) // 2]
    canaries = Canaries.plant(X, y, m=60, unit=names, seed=3, near=0)
    (tmp_path / "model.pt").write_bytes(b"weights")
    manifest = Manifest(
        model_sha256=hashlib.sha256(b"weights").hexdigest(),
        model_bytes=7,
        created="2026-01-01T00:00:00+00:00",
        groups=(canaries.group({"loss": np.arange(120.0)}),),
        attacks=(Attack(0, "loss"),),
        adjacency=canaries.adjacency,
        seed=canaries.seed,
        commitment=canaries.commitment,
    )
    write_manifest(manifest, tmp_path / "model.pt.audit")
    evidence = Evidence.from_manifest(tmp_path / "model.pt.audit")
    assert evidence.n_units == 60
    assert {c.id: c.status for c in evidence.checks}["coins"] == "pass"


# Files


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_brings_everything_back(kind, tmp_path):
    canaries = planted(kind)
    canaries.save(tmp_path / "canaries.npz")
    again = Canaries.load(tmp_path / "canaries.npz")
    for name in ("X", "y", "y_other", "unit", "member", "source"):
        one, two = getattr(canaries, name), getattr(again, name)
        assert (one is None and two is None) or (np.array_equal(one, two) and one.dtype == two.dtype)
    for name in ("kind", "rows", "seed", "salt", "near", "record_sha256", "commitment", "keep_originals"):
        assert getattr(canaries, name) == getattr(again, name)
    assert [c.status for c in again.checks(canaries.arrays(), baseline=False)] == ["pass", "pass"]
    assert rows_of(*again.arrays(toy())) == rows_of(*canaries.arrays())
    refused("AK-CA-009", again.arrays, "base")


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "canaries.npz"
    planted().save(path)
    data = path.read_bytes()
    arrays = dict(np.load(path))

    def written(**changes):
        np.savez(path, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})

    cases = [
        lambda: path.write_bytes(data[: len(data) // 2]),
        lambda: path.write_bytes(b"not a zip"),
        lambda: path.write_bytes(data.replace(b"PK", b"KP")),
        lambda: written(format=np.array("auditkit.canaries/2")),
        lambda: written(seed=np.array(3)),
        lambda: written(X=None),
        lambda: written(X=np.array([None] * 60)),
        lambda: written(X=np.full((60, 5), np.nan)),
        lambda: written(X=arrays["X"][:59]),
        lambda: written(unit=arrays["unit"].astype(np.int32)),
        lambda: written(kind=np.array("gradient")),
        lambda: written(kind=np.array("label")),
        lambda: written(source=arrays["source"] + 200),
        lambda: written(member=np.zeros(0, bool)),
        lambda: written(numbers=np.array([-1, 200, 0, 0])),
    ]
    for damage in cases:
        damage()
        refused("AK-CA-011", lambda: Canaries.load(path), "canaries.npz")
    planted("label").save(path)
    arrays = dict(np.load(path))
    written(y_other=np.full(60, np.nan))
    refused("AK-CA-011", lambda: Canaries.load(path), "finite")
    # every flipped byte gives either the same canaries or one line
    for place in range(0, len(data), max(1, len(data) // 150)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            loaded = Canaries.load(path)
        except InputError as error:
            assert error.id == "AK-CA-011"
        else:
            assert loaded.commitment == planted().commitment or loaded.verify_coins().status in (
                "pass",
                "fail",
            )
    refused("AK-IO-001", lambda: Canaries.load(tmp_path / "none.npz"))
    refused("AK-IO-004", lambda: planted().save(tmp_path / "none" / "canaries.npz"))


# Bad input


def test_bad_input_is_refused_by_name():
    X, y = toy()
    plant = Canaries.plant
    refused("AK-CA-001", lambda: plant(X, y, m=60, kind="gradient"), "gradient")
    refused("AK-CA-001", lambda: plant(X, y, m=60, near=1.5), "near")
    refused("AK-CA-002", lambda: plant(X, y, m=60, p=0.3), "0.3", "fair coins")
    refused("AK-CA-003", lambda: plant(X[:, :0], y, m=60))
    refused("AK-CA-003", lambda: plant(X, y[:-1], m=60), "200")
    refused("AK-CA-003", lambda: plant(X.astype(complex), y, m=60), "complex")
    refused("AK-CA-003", lambda: plant(np.where(X > 2, np.nan, X), y, m=60), "nan")
    refused("AK-CA-003", lambda: plant([[1.0], [1.0, 2.0]], y, m=60))
    refused("AK-CA-003", lambda: plant(X, np.array([None] * 200), m=60), "object")
    for m in (None, 1, 201, 2.5, True, "9"):
        refused("AK-CA-004", lambda m=m: plant(X, y, m=m), "m:")
    refused("AK-CA-006", lambda: plant(X, np.zeros(200, int), m=60), "two classes")
    refused("AK-CA-006", lambda: plant(X, X[:, 0], m=60), "fractions")
    refused("AK-CA-007", lambda: plant(X, y, m=60, kind="blank", unit=y), "unit")
    refused("AK-CA-007", lambda: plant(X, y, m=60, kind="label", keep_originals=True), "keep_originals")
    refused("AK-EV-004", lambda: plant(X, y, m=60, unit=y[:3]), "unit")
    refused("AK-DP-011", lambda: plant(X, y, m=60, seed=-1), "seed")
    refused("AK-CA-008", lambda: plant(X[:, :3] > 0, y, m=50, kind="blank"), "room")
    refused("AK-CA-008", lambda: plant(X, y, kind="given", near=0.99), "two units")


def test_few_coins_are_warned_of_with_what_a_perfect_attack_could_show():
    # 20 right of 20 coins: p^20 = .05, p = .861, log(p / (1 - p)) = 1.82
    with pytest.warns(AuditWarning, match=r"20 coins .* at most 1\.8 "):
        planted(m=20)


def test_bases_that_do_not_fit_are_refused():
    X, y = toy()
    canaries = planted()
    refused("AK-CA-009", lambda: canaries.arrays((X[:-1], y[:-1])), "200", "199")
    refused("AK-CA-009", lambda: canaries.arrays((X[:, :3], y)), "(5,)", "(3,)")
    refused("AK-CA-009", lambda: canaries.arrays((X, y, y)))
    refused("AK-CA-009", lambda: canaries.dataset(iter([1])), "map-style")
    refused("AK-CA-003", lambda: canaries.arrays((X, y[:-1])), "base y")


def test_models_losses_and_scores_that_do_not_fit_are_refused():
    canaries = planted()
    wide = np.zeros((60, 4))
    refused("AK-CA-010", lambda: canaries.score(lambda x: wide[:, :3]), "label")
    refused("AK-CA-010", lambda: canaries.score(lambda x: wide, lambda out, y: out), "shape")
    refused("AK-CA-010", lambda: canaries.score(lambda x: wide, lambda out, y: y * np.nan), "NaN")
    refused("AK-AR-006", lambda: canaries.score(3), "model")
    text = Canaries.plant(toy()[0], toy()[1].astype(str), m=60, seed=1)
    refused("AK-CA-010", lambda: text.score(lambda x: wide), "label")
    refused("AK-CA-012", lambda: canaries.group({}))
    refused("AK-CA-012", lambda: canaries.group({"loss": np.zeros(3)}), "loss")
    refused("AK-CA-012", lambda: canaries.group({"loss": np.full(60, np.nan)}), "NaN")
    refused("AK-CA-012", lambda: canaries.evidence({"loss": np.zeros(60)}, attack="logit"), "logit")


# Scores


def test_scores_are_those_of_the_formulas():
    canaries = planted()
    rng = np.random.default_rng(4)
    W, W0 = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    z, z0 = canaries.X @ W, canaries.X @ W0
    rows = np.arange(60)

    def log_p(z):
        return z[rows, canaries.y] - np.log(np.exp(z).sum(axis=1))

    scores = canaries.score(lambda x: x @ W)
    assert list(scores) == ["logit", "loss"]
    np.testing.assert_allclose(scores["loss"], log_p(z), rtol=1e-12, atol=1e-12)
    p = np.exp(log_p(z))
    np.testing.assert_allclose(scores["logit"], np.log(p / (1 - p)), rtol=1e-9, atol=1e-9)
    calibrated = canaries.score(lambda x: x @ W, initial=lambda x: x @ W0)
    assert list(calibrated) == ["calibrated-logit", "calibrated-loss"]
    np.testing.assert_allclose(calibrated["calibrated-loss"], log_p(z) - log_p(z0), rtol=1e-12, atol=1e-12)
    own = canaries.score(lambda x: x @ W, lambda out, y: -out[np.arange(60), y])
    np.testing.assert_array_equal(own["loss"], z[rows, canaries.y])


def test_label_scores_prefer_the_first_label():
    canaries = planted("label")
    W = np.random.default_rng(4).normal(size=(5, 4))
    z = canaries.X @ W
    rows = np.arange(60)
    expected = z[rows, canaries.y] - z[rows, canaries.y_other]  # loss(y1) - loss(y0)
    np.testing.assert_allclose(canaries.score(lambda x: x @ W)["loss"], expected, rtol=1e-9, atol=1e-9)


def test_labels_are_matched_with_the_classes_of_the_model():
    X, y = toy()
    names = np.array(["newt", "cat", "ox", "dog"])
    numbered = Canaries.plant(X, y, m=60, seed=1)
    named = Canaries.plant(X, names[y], m=60, seed=1)
    one, two = (forest(*c.arrays(), trees=5) for c in (numbered, named))
    for canaries, model in ((numbered, one), (named, two)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AuditWarning)
            scores = canaries.score(model)["loss"]
        proba = model.predict_proba(canaries.X)
        column = [list(model.classes_).index(label) for label in canaries.y]
        floor = np.maximum(proba[np.arange(60), column], 1e-300)
        fine = floor > 1e-300
        np.testing.assert_allclose(scores[fine], np.log(floor[fine]), rtol=1e-9, atol=1e-12)


# What a bound may claim


def test_a_forest_gives_its_mislabelled_canaries_away():
    X, y = digits()
    canaries = Canaries.plant(X, y, m=600, seed=0)
    train = canaries.arrays()
    model = forest(*train)
    evidence = canaries.evidence(canaries.score(model), train=train, commitment=canaries.commitment)
    result = dp_estimate(evidence, delta=DELTA, claimed_epsilon=1.0, seed=1)
    assert result.epsilon_lower > 3
    assert result.verdict.status == "fail"
    assert {k: c.status for k, c in result.checks.items()}["coins"] == "pass"
    assert result.checks["canary-records"].status == "pass"
    assert result.checks["blind-baseline"].status == "pass"


def test_coins_that_look_at_the_records_are_found_by_the_blind_baseline():
    X, y = digits()
    canaries = Canaries.plant(X, y, m=200, seed=0)
    brightness = canaries.X.sum(axis=1)
    crooked = replace(canaries, member=brightness > np.median(brightness))
    assert crooked.verify_blindness().status == "fail"
    assert replace(canaries, member=np.ones(200, bool)).verify_blindness().status == "not-run"
    named = Canaries.plant(toy()[0], toy()[1].astype(str), m=100, seed=1)
    assert named.verify_blindness().status == "pass"


def test_one_odd_p_value_warns_only(monkeypatch):
    from auditkit.privacy import baseline
    from auditkit.results import Check

    for p_value, status in ((5e-3, "warn"), (2e-5, "fail")):
        details = {"p_value": p_value, "auc": 0.61}
        found = Check("blind-baseline", "fail", "told apart", details)
        monkeypatch.setattr(baseline, "blind_baseline", lambda *a, found=found, **k: found)
        assert planted().verify_blindness().status == status


def test_a_forest_gives_label_canaries_away():
    X, y = digits()
    canaries = Canaries.plant(X, y, m=300, kind="label", seed=0)
    train = canaries.arrays()
    result = dp_estimate(canaries.evidence(canaries.score(forest(*train)), train=train), delta=DELTA, seed=1)
    assert result.epsilon_lower > 2
    texts = {a.id: a.text for a in result.assumptions}
    assert "label" in texts["label-adjacency"]
    assert "label" in texts["fair-coins"]


def test_twenty_rows_that_share_a_coin_count_once():
    X, y = digits()
    X, y = X[:1600], y[:1600]
    canaries = Canaries.plant(X, y, m=60, kind="given", unit=np.arange(1600) // 20, seed=2, near=0)
    group = canaries.group({"loss": np.arange(1200.0)})
    evidence = Evidence.from_scores(group.scores["loss"], group.bits, unit=group.unit, design="one-run")
    assert (evidence.n_units, evidence.n_rows, evidence.largest_unit) == (60, 1200, 20)
    perfect = canaries.evidence({"loss": canaries.member.astype(float)}, baseline=False)
    result = dp_estimate(perfect, delta=0.0, seed=1)
    # 60 coins, a quarter of them spent on thresholds: 45 right guesses show at most log(p/(1-p)), p^45 = .05
    p = 0.05 ** (1 / 45)
    assert 0 < result.epsilon_lower <= np.log(p / (1 - p)) + 1e-9
    assert "20" in {a.id: a.text for a in result.assumptions}["unit-adjacency"]


def false_claims(seeds, kind, unit_size=1, m=200):
    """In how many seeds a model that never saw a canary gives a positive bound."""
    X, y = digits()
    X, y = X[:1600], y[:1600]
    unit = None if kind == "blank" else np.arange(1600) // unit_size
    claims = 0
    for seed in seeds:
        canaries = Canaries.plant(X, y, m=m, kind=kind, seed=seed, unit=unit, near=0)
        ordinary = canaries.base_index if kind == "blank" else np.arange(1600, 1797)
        base = digits() if kind != "blank" else (X, y)
        centres = np.stack([base[0][ordinary][base[1][ordinary] == k].mean(axis=0) for k in range(10)])

        def nearest_centre(x, centres=centres):
            return -((x[:, None].astype(float) - centres[None]) ** 2).sum(axis=2) / 100

        scores = canaries.score(nearest_centre)
        group = canaries.group(scores)
        evidence = Evidence.from_scores(group.scores["loss"], group.bits, unit=group.unit, design="one-run")
        claims += headline(evidence, seed) > 0
    return claims


def headline(evidence, seed):
    """The headline bound alone, without the checks and pictures of `dp_estimate`, which take most of its time."""
    from auditkit.privacy import methods

    question = methods.Question(evidence, DELTA, 0.05, seed)
    point = methods.operating_point(question)
    (name, *_) = methods.chosen_methods(evidence, None, delta=DELTA)
    return methods.compute_bounds((name,), question, point)[name].epsilon


@pytest.mark.parametrize(
    ("kind", "unit_size", "m"), [("mislabel", 1, 200), ("label", 1, 200), ("given", 20, 60)]
)
def test_a_model_that_never_saw_the_canaries_is_seldom_accused(kind, unit_size, m):
    assert binomial_tail(false_claims(range(60), kind, unit_size, m), 60, 0.05) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "unit_size", "m"),
    [("mislabel", 1, 200), ("label", 1, 200), ("blank", 1, 200), ("given", 1, 400), ("given", 20, 60)],
)
def test_a_model_that_never_saw_the_canaries_is_seldom_accused_in_many_seeds(kind, unit_size, m):
    assert binomial_tail(false_claims(range(600), kind, unit_size, m), 600, 0.05) > 1e-3


# torch


def test_a_dataset_serves_a_data_loader_with_workers():
    torch = pytest.importorskip("torch")
    X, y = digits()
    canaries = Canaries.plant(X, y, m=300, seed=1)
    data = canaries.dataset()
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True, num_workers=2)
    batches = list(loader)
    assert batches[0][0].dtype == torch.float32
    assert batches[0][1].dtype == torch.int64
    served = rows_of(torch.cat([b[0] for b in batches]).numpy(), torch.cat([b[1] for b in batches]).numpy())
    assert served == rows_of(*canaries.arrays())
    again = pickle.loads(pickle.dumps(data))
    assert len(again) == len(data)
    assert torch.equal(again[5][0], data[5][0])
    assert canaries.verify_records(data).status == "pass"
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.parametrize("form", ["tensors", "whole labels", "lists", "arrays"])
def test_canaries_take_the_form_of_the_items_of_a_data_set(form):
    torch = pytest.importorskip("torch")
    X, y = toy()

    class Items:
        def __len__(self):
            return 200

        def __getitem__(self, i):
            x = torch.tensor(X[i], dtype=torch.float32)
            return {
                "tensors": (x, torch.tensor(y[i], dtype=torch.int32)),
                "whole labels": (x, int(y[i])),
                "lists": [x, int(y[i])],
                "arrays": (X[i].astype(np.float32), y[i]),
            }[form]

    data = planted().dataset(Items())
    ordinary = data[int(np.flatnonzero(data.ids < 200)[0])]
    canary = data[int(np.flatnonzero(data.ids >= 200)[0])]
    assert type(canary) is type(ordinary)
    for one, two in zip(canary, ordinary, strict=True):
        assert type(one) is type(two)
        assert getattr(one, "dtype", None) == getattr(two, "dtype", None)
        assert getattr(one, "shape", None) == getattr(two, "shape", None)
    assert planted().verify_records(data).status == "pass"


def test_data_sets_that_do_not_fit_are_refused_or_warned_of():
    torch = pytest.importorskip("torch")
    X, y = toy()
    canaries = planted()
    pairs = torch.utils.data.TensorDataset
    x, labels = torch.tensor(X), torch.tensor(y)
    refused("AK-CA-009", lambda: canaries.dataset(pairs(x[:100], labels[:100])), "200", "100")
    refused("AK-CA-009", lambda: canaries.dataset(pairs(x)), "pairs")
    refused("AK-CA-009", lambda: canaries.dataset(pairs(x[:, :2], labels)), "(5,)", "(2,)")
    with pytest.warns(AuditWarning, match="not the record of X"):
        canaries.dataset(pairs(2 * x, labels))
    given_all = Canaries.plant(X, y, kind="given", seed=1)
    refused("AK-CA-005", lambda: given_all.dataset(pairs(x, labels)), "200 of 200")


def test_a_network_is_scored_by_its_logits_and_its_initial_weights():
    torch = pytest.importorskip("torch")
    X, y = digits()
    torch_state = torch.get_rng_state()
    canaries = Canaries.plant(torch.tensor(X / 16), torch.tensor(y), m=300, seed=1)
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.1)
    initial = {k: v.clone() for k, v in net.state_dict().items()}
    data = canaries.dataset(torch.utils.data.TensorDataset(torch.tensor(X / 16), torch.tensor(y)))
    loader = torch.utils.data.DataLoader(data, batch_size=128, shuffle=True, generator=generator)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(25):
        for x, label in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), label).backward()
            optimizer.step()
    first = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    first.load_state_dict(initial)
    scores = canaries.score(net, initial=first)
    assert (
        dp_estimate(canaries.evidence(scores, train=data, baseline=False), delta=DELTA, seed=1).epsilon_lower
        > 1
    )
    torch.set_rng_state(torch_state)
