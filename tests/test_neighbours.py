"""Neighbours, close pairs and the spanning tree against all distances at once, matchings against enumeration."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree

from auditkit import _core
from auditkit.bayes_error._inputs import read_labelled
from auditkit.bayes_error.neighbours import (
    METRICS,
    NEIGHBOURS,
    cover_hart,
    henze_penrose,
    knn_errors,
    knn_predictions,
    nearest,
    spanning_tree,
    vote,
)
from auditkit.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from bayes_truths import TRUTHS


def all_distances(A, B, norm):
    gaps = np.abs(A.astype(float)[:, None] - B.astype(float)[None])
    return {"l2": (gaps**2).sum(axis=2), "l1": gaps.sum(axis=2), "linf": gaps.max(axis=2)}[norm]


def brute_nearest(queries, points, k, norm, own=None, others=None):
    distance = all_distances(queries, points, norm)
    if own is not None:
        distance[own[:, None] == others[None]] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    far = np.take_along_axis(distance, order, axis=1)
    return np.where(np.isinf(far), -1, order), far


def lattice(rng, n, d):
    """Whole numbers: exact distances, so that every tie is one."""
    return rng.integers(-2, 3, (n, d)).astype(float)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm", METRICS)
@pytest.mark.parametrize(
    ("m", "n", "d", "k"),
    [(1, 1, 1, 1), (49, 193, 3, 193), (97, 200, 16, 5), (30, 400, 70, 9), (50, 385, 2, 3)],
)
def test_neighbours_are_those_of_all_pairs(m, n, d, k, norm, dtype):
    rng = np.random.default_rng([m, n, d])
    for both in (lattice(rng, m + n, d), rng.normal(size=(m + n, d))):
        queries, points = both.astype(dtype)[:m], both.astype(dtype)[m:]
        own, others = rng.integers(0, 4, m), rng.integers(0, 4, n)
        for groups in (None, (own, others)):
            index, distance = nearest(queries, points, k, norm=norm, groups=groups)
            wanted, far = brute_nearest(queries, points, k, norm, *(groups or (None, None)))
            assert np.array_equal(index, wanted)
            # sums of d squares in another order: d roundings of what is summed
            assert np.array_equal(np.isinf(distance), np.isinf(far))
            seen = np.isfinite(far)
            assert np.all(np.abs(distance[seen] - far[seen]) <= 2e-16 * (d + 2) * far[seen])


@pytest.mark.parametrize("scale", [1e-140, 1e-60, 1.0, 1e60, 1e115])
def test_float_tiles_lose_no_neighbour(scale):
    """Clusters far from each other, an outlier, queries far from all: what a float cannot tell apart is looked at."""
    rng = np.random.default_rng(5)
    points = np.concatenate([rng.normal(size=(150, 12)) * 1e-6 + shift for shift in (0.0, 1.0, 7.0)])
    points[17] = 1e12
    points[40] = points[90]
    queries = np.concatenate([points[:60] + 1e-7 * rng.normal(size=(60, 12)), np.full((1, 12), -1e25)])
    points, queries = points * scale, queries * scale
    index, _ = nearest(queries, points, 6)
    assert np.array_equal(index[:60], brute_nearest(queries[:60], points, 6, "l2")[0])
    assert (index[60] >= 0).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm", METRICS)
def test_threads_change_no_bit(norm, dtype):
    rng = np.random.default_rng(1)
    X, groups = rng.normal(size=(500, 20)).astype(dtype), rng.integers(0, 3, 500)
    one, three = (
        (
            *_core.knn_topk(X, groups, X, groups, METRICS[norm], 7, threads),
            *_core.mst_edges(X, threads),
            *_core.close_pairs(X, groups, METRICS[norm], 6.0, 10**6, threads),
        )
        for threads in (1, 3)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))


def test_a_row_is_not_its_own_neighbour():
    X = np.array([[0.0], [0.0], [3.0]])
    index, distance = nearest(X, X, 3, exclude_self=True)
    assert index.tolist() == [[1, 2, -1], [0, 2, -1], [0, 1, -1]]
    assert distance.tolist() == [[0, 9, np.inf], [0, 9, np.inf], [9, 9, np.inf]]


@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 2), (200, 2), (500, 9), (250, 60)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tree_is_as_short_as_another_one(n, d, dtype):
    X = np.random.default_rng([n, d]).normal(size=(n, d)).astype(dtype)
    edges, lengths = spanning_tree(X)
    dense = all_distances(X, X, "l2")
    tree = minimum_spanning_tree(np.triu(dense))
    wanted = sorted(zip(*(side.tolist() for side in tree.nonzero()), strict=True))
    assert sorted(map(tuple, edges.tolist())) == wanted  # distances differ, so there is one tree only
    assert abs(lengths.sum() - tree.sum()) <= 1e-13 * tree.sum()
    assert (np.diff(lengths) >= 0).all() and (edges[:, 0] < edges[:, 1]).all()


def kruskal(X):
    """The only tree when equal lengths are told apart by the indices of their ends."""
    dense, parent, kept = all_distances(X, X, "l2"), list(range(len(X))), []

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for _, i, j in sorted((dense[i, j], i, j) for i, j in itertools.combinations(range(len(X)), 2)):
        a, b = root(i), root(j)
        if a != b:
            parent[b] = a
            kept.append((i, j))
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_tree_of_equal_lengths_and_duplicates(seed):
    rng = np.random.default_rng(seed)
    X = [
        lattice(rng, 90, 2),
        lattice(rng, 70, 4),
        np.zeros((60, 3)),
        np.concatenate([lattice(rng, 40, 3), lattice(rng, 50, 3) + 1e4]),
        np.arange(80.0)[rng.permutation(80), None] ** 2,
        np.repeat(lattice(rng, 8, 5), 12, axis=0),
    ][seed]
    edges, _ = spanning_tree(X)
    assert sorted(map(tuple, edges.tolist())) == sorted(kruskal(X))


def test_one_point_has_no_tree():
    edges, lengths = spanning_tree(np.zeros((1, 2)))
    assert edges.shape == (0, 2) and lengths.size == 0


@pytest.mark.parametrize("norm", METRICS)
def test_close_pairs_are_those_of_all_pairs(norm):
    rng = np.random.default_rng(2)
    for X in (lattice(rng, 230, 5), rng.normal(size=(230, 5))):
        codes = np.sort(rng.integers(0, 3, 230))
        limit = 4.0
        start, neighbour = _core.close_pairs(X, codes, METRICS[norm], limit, 10**6, 2)
        close = (all_distances(X, X, norm) <= limit) & (codes[:, None] != codes[None])
        found = np.zeros_like(close)
        found[np.repeat(np.arange(230), np.diff(start)), neighbour] = True
        assert np.array_equal(found, close) and neighbour.size == close.sum()
        assert _core.close_pairs(X, codes, METRICS[norm], limit, close.sum() // 2 - 1, 2)[0].size == 0


def graph_of(adjacent):
    start = np.concatenate([[0], np.cumsum(adjacent.sum(axis=1))])
    return start.astype(np.int64), np.nonzero(adjacent)[1].astype(np.int32)


def double_cover_matching_of(adjacent):
    """Size of the largest matching between two copies, one row after the other by augmenting paths (Kuhn)."""
    owner = {}

    def augment(i, tried):
        for j in np.flatnonzero(adjacent[i]):
            if j not in tried:
                tried.add(j)
                if j not in owner or augment(owner[j], tried):
                    owner[j] = i
                    return True
        return False

    return sum(augment(i, set()) for i in range(len(adjacent)))


@pytest.mark.parametrize("seed", range(40))
def test_matching_is_the_largest(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    adjacent = np.triu(rng.random((n, n)) < rng.choice([0.01, 0.05, 0.2]), 1)
    if seed % 2:
        side = rng.integers(0, 2, n)
        adjacent &= side[:, None] != side[None]
    adjacent |= adjacent.T
    partner, component = _core.double_cover_matching(*graph_of(adjacent))
    joined = np.flatnonzero(partner >= 0)
    assert adjacent[joined, partner[joined]].all() and np.unique(partner[joined]).size == joined.size
    assert joined.size == double_cover_matching_of(adjacent)
    reach = np.linalg.matrix_power((adjacent | np.eye(n, dtype=bool)).astype(float), n) > 0
    assert np.array_equal(component, reach.argmax(axis=1))


def test_matching_along_a_path_needs_long_augmentations():
    n = 4001
    adjacent = [(i, i + 1) for i in range(n - 1)]
    rows = np.array(adjacent + [(b, a) for a, b in adjacent])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    start = np.searchsorted(rows[:, 0], np.arange(n + 1))
    partner, _ = _core.double_cover_matching(start, rows[:, 1].astype(np.int32))
    assert (partner >= 0).sum() == n - 1  # a path of odd length: half its rows but one, twice


def test_votes_by_hand():
    points = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    codes = np.array([1, 0, 0, 1, 1])
    at = knn_predictions(np.array([[-1.0]]), points, codes, (1, 2, 3, 4, 5))
    assert at[:, 0].tolist() == [1, 1, 0, 1, 1]  # among equals the class of the nearest one
    alone = knn_predictions(points, points, codes, (1, 3), groups=(np.zeros(5, int), np.zeros(5, int)))
    assert (alone == -1).all()


def test_leave_one_out_errors_are_those_of_the_definition():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(150, 3)), rng.integers(0, 3, 150)
    groups = rng.integers(0, 60, 150)
    for own in (None, groups):
        kept = np.arange(150) if own is None else own
        errors = knn_errors(read_labelled(X, y), groups=own)
        assert set(errors) == set(NEIGHBOURS)
        for k, error in errors.items():
            wrong = 0
            for i in range(150):
                others = np.flatnonzero(kept != kept[i])
                order = others[np.argsort(((X[others] - X[i]) ** 2).sum(axis=1), kind="stable")][:k]
                votes = np.bincount(y[order], minlength=3)
                best = next(j for j in order if votes[y[j]] == votes.max())
                wrong += y[best] != y[i]
            assert error == wrong / 150
    few = knn_errors(read_labelled(X[:4], y[:4]))
    assert set(few) == {1, 3}
    assert knn_errors(read_labelled(X[:1], y[:1])) == {1: 1.0}


def test_cover_hart_inverts_the_error_of_one_neighbour():
    # a posterior that is the same everywhere, best class 1 - b, the rest equal: the 1-NN error is 1 - sum of squares
    for classes, bayes in [(2, 0.1), (2, 0.5), (5, 0.3), (10, 0.9)]:
        p = np.r_[1 - bayes, np.full(classes - 1, bayes / (classes - 1))]
        assert abs(cover_hart(1 - (p**2).sum(), classes) - bayes) <= 1e-8  # a square root of a rounding
    assert cover_hart(0.9, 2) == 0.5 and cover_hart(0.0, 3) == 0.0


def test_henze_penrose_by_hand():
    X = np.array([[0.0], [1.0], [2.5], [4.5], [5.0]])
    found = henze_penrose(read_labelled(X, ["a", "a", "b", "a", "c"]))
    assert found.cross_edges == 3 and found.delta == 0.3 and found.upper == 0.6
    assert abs(found.lower - 2 / 3 * (1 - 0.1**0.5)) <= 1e-15


def test_henze_penrose_tends_to_its_integral():
    """Two uniform laws that share half their support: delta tends to the integral of p q f g / (p f + q g), 1/8."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 4000)
    X = rng.random((4000, 2)) + 0.5 * y[:, None] * np.array([1.0, 0.0])
    # about 1,000 cross edges with a standard deviation below sqrt(2,000); the border of the square adds O(n^-1/2)
    assert abs(henze_penrose(read_labelled(X, y)).delta - 0.125) <= 4 * np.sqrt(2000) / 8000


@pytest.mark.slow
def test_errors_of_neighbours_stay_near_the_known_ones():
    for truth in TRUTHS:
        X, y = truth.sample(np.random.default_rng(3), 1500)
        errors = knn_errors(read_labelled(X, y))
        # the risk of a rule learned from fewer rows: above the Bayes error but for sampling, sd <= 0.0129
        assert min(errors.values()) >= truth.bayes_error - 4 * 0.0129, truth.name


def test_bad_input_is_refused():
    X = np.zeros((3, 2))
    for call, id in [
        (lambda: nearest(X, X, 4), "AK-BE-011"),
        (lambda: nearest(X, X, 0), "AK-BE-011"),
        (lambda: nearest(X, X, 1, norm="max"), "AK-BE-012"),
        (lambda: nearest(X + 1e141, X, 1), "AK-BE-010"),
        (lambda: spanning_tree(X - 1e141), "AK-BE-010"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id


def test_vote_counts_weights_and_breaks_ties_by_nearness():
    found = np.array([[1, 0, 0], [2, 1, 0], [1, 0, -1], [-1, -1, -1]])
    assert vote(found, np.ones(3)).tolist() == [0, 2, 1, -1]
    assert vote(found, np.array([1.0, 3.0, 1.0])).tolist() == [1, 1, 1, -1]
    assert vote(found).tolist() == [0, 2, 1, -1]
