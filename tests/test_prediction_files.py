"""Saved predictions: which columns ask which question, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditkit.errors import InputError
from auditkit.io.prediction_files import read_prediction_file

P = np.array([0.1, 0.8, 0.6])
TABLE = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1]])
HITS = np.array([0, 1, 1])
VALUES = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**arrays: Any) -> str:
    np.savez("p.npz", **arrays)
    return "p.npz"


def write_csv(text: str) -> str:
    Path("p.csv").write_text(text, encoding="utf-8")
    return "p.csv"


@pytest.mark.parametrize(
    ("arrays", "question"),
    [
        ({"probabilities": P, "labels": HITS}, "probabilities"),
        ({"probabilities": TABLE, "labels": HITS, "groups": np.array(["a", "b", "a"])}, "probabilities"),
        ({"probabilities": P.astype(np.float32), "labels": HITS, "weights": P}, "probabilities"),
        ({"mean": P, "sd": P, "y": VALUES}, "gaussian"),
        ({"lower": P, "upper": P + 1, "y": VALUES, "groups": HITS}, "intervals"),
    ],
)
def test_the_columns_decide_the_question(arrays: dict[str, Any], question: str) -> None:
    found = read_prediction_file(write(**arrays))
    assert found.question == question
    assert found.columns.keys() == arrays.keys()
    for name, values in arrays.items():
        assert found.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(found.columns[name], values)
    assert found.file.identity["name"] == "p.npz"
    assert len(str(found.file.identity["sha256"])) == 64


def test_labels_of_probabilities_may_be_called_y() -> None:
    found = read_prediction_file(write(probabilities=P, y=HITS))
    assert found.columns.keys() == {"probabilities", "labels"}


def test_csv_holds_the_same() -> None:
    lines = "labels,probabilities,groups,weights\n0,0.1,7,1\n1,8e-1,8,2\n\n1,.6,7,0\n"
    found = read_prediction_file(write_csv(lines))
    assert found.question == "probabilities"
    np.testing.assert_array_equal(found.columns["probabilities"], P)
    np.testing.assert_array_equal(found.columns["labels"], HITS)
    np.testing.assert_array_equal(found.columns["groups"], [7, 8, 7])
    np.testing.assert_array_equal(found.columns["weights"], [1, 2, 0])
    found = read_prediction_file(write_csv("mean,y,sd\n1,2,3\n"))
    assert found.question == "gaussian"
    assert float(found.columns["sd"][0]) == 3


def test_csv_classes_stand_in_the_order_of_their_numbers() -> None:
    """Names are numbers, not words: probabilities_10 comes after probabilities_2."""
    order = [10, *range(10)]
    heading = ",".join(f"probabilities_{k}" for k in order) + ",y\n"
    found = read_prediction_file(write_csv(heading + ",".join(map(str, order)) + ",4\n"))
    np.testing.assert_array_equal(found.columns["probabilities"], [np.arange(11)])


def test_numbers_of_any_kind_are_left_to_the_audit() -> None:
    found = read_prediction_file(write_csv("probabilities,labels\nnan,0\ninf,2.5\n"))
    assert np.isnan(found.columns["probabilities"][0])
    assert float(found.columns["labels"][1]) == 2.5
    assert read_prediction_file(write(probabilities=P[:0], labels=P)).columns["probabilities"].size == 0


def refused(path: str, id: str, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_prediction_file(path)
    assert caught.value.id == id, caught.value
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"probabilities": P, "mean": P, "sd": P, "y": P}, "probabilities, mean and sd"),
        ({"mean": P, "lower": P, "upper": P, "y": P}, "mean, lower and upper"),
        ({"probabilities": P, "labels": HITS, "y": HITS}, "labels and y"),
        ({"mean": P, "sd": P, "y": P, "labels": HITS}, "mean, sd and labels"),
        ({"lower": P, "upper": P, "y": P, "weights": P}, "lower, upper and weights"),
    ],
)
def test_mixed_columns_are_refused_by_name(arrays: dict[str, Any], words: str) -> None:
    refused(write(**arrays), "AK-UN-060", "p.npz", words)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "it holds nothing"),
        ({"labels": HITS}, "it holds labels"),
        ({"probabilities": P}, "labels, the classes that came true"),
        ({"mean": P, "y": P}, "sd beside mean"),
        ({"sd": P, "y": P}, "mean beside sd"),
        ({"upper": P, "y": P}, "lower beside upper"),
        ({"lower": P, "upper": P}, "y, the values that came true"),
    ],
)
def test_missing_partners_are_named(arrays: dict[str, Any], words: str) -> None:
    refused(write(**arrays), "AK-UN-061", "p.npz", words)


@pytest.mark.parametrize(
    ("text", "id", "words"),
    [
        ("probabilities,labels\n0.1,0\nx,1\n", "AK-UN-062", "column probabilities, line 3"),
        ("probabilities,labels\n0.1,cat\n", "AK-UN-062", "'cat'"),
        ("probabilities,labels\n1_0,1\n", "AK-UN-062", "'1_0'"),
        ("probabilities,labels\n,1\n", "AK-UN-062", "''"),
        ("probabilities_0,probabilities_2,y\n.5,.5,1\n", "AK-UN-061", "probabilities_1"),
        ("probabilities,probabilities_0,y\n.5,.5,1\n", "AK-UN-060", "probabilities_0"),
        ("probabilities_00,y\n.5,1\n", "AK-IO-022", "probabilities_00"),
        ("p,labels\n0.1,0\n", "AK-IO-022", "'p' is unknown"),
        ("labels,labels\n0,0\n", "AK-IO-022", "twice"),
        ("probabilities,labels\n0.1\n", "AK-IO-024", "line 2"),
        ("", "AK-UN-061", "it holds nothing"),
    ],
)
def test_faults_of_csv_files_are_named(text: str, id: str, words: str) -> None:
    refused(write_csv(text), id, words)


def test_files_of_other_kinds_are_refused() -> None:
    Path("p.json").write_text("{}")
    refused("p.json", "AK-IO-020", ".npz or .csv")
    Path("p.npz").write_bytes(b"PK\x03\x04")
    refused("p.npz", "AK-IO-021")
    refused(write(probabilities=np.array([{}], dtype=object), labels=HITS), "AK-EV-007")
    refused(write(probabilities=P, labels=HITS[:, None]), "AK-EV-006")
    refused(write(P=P, labels=HITS), "AK-IO-022", "'P' is unknown")
    refused("absent.npz", "AK-IO-001")
