"""The sidecar manifest: what is written is read back, whatever else is refused with its place."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.errors import InputError
from auditkit.io.encoding import StrictReader, encode_bits, encode_hashes, encode_integers
from auditkit.io.manifest import Attack, Group, Manifest, read_manifest, write_manifest
from auditkit.privacy import Evidence, dp_estimate
from auditkit.privacy.coins import commit, toss_coins

WEIGHTS = b"weights of a model"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def a_manifest(m=400, seed=5, shift=2.5, kind="mislabel", **changes):
    bits = toss_coins(seed, kind, m)
    scores = np.random.default_rng(seed).normal(size=m) + shift * bits
    group = Group(
        kind=kind,
        bits=bits,
        unit=np.arange(m),
        scores={"logit": scores, "loss": -scores},
        record_sha256=tuple(hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(m)),
    )
    content = Manifest(
        model_sha256=SHA256,
        model_bytes=len(WEIGHTS),
        created="2026-11-23T00:00:00+00:00",
        groups=(group,),
        attacks=(Attack(0, "logit"),),
        seed=seed,
        commitment=commit(seed, kind, m),
        claimed={"epsilon": 4.0, "delta": 1e-5},
        versions={"auditkit": "0.1.0"},
    )
    return replace(content, **changes)


def write(tmp_path, manifest=None, weights=WEIGHTS):
    (tmp_path / "model.pt").write_bytes(weights)
    write_manifest(manifest or a_manifest(), tmp_path / "model.pt.audit")
    return tmp_path / "model.pt.audit"


def test_what_is_written_is_read_back(tmp_path):
    written = a_manifest()
    path = write(tmp_path, written)
    found = read_manifest(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.bytes == path.stat().st_size
    for name in (
        "model_sha256",
        "model_bytes",
        "created",
        "attacks",
        "design",
        "seed",
        "commitment",
        "versions",
    ):
        assert getattr(found, name) == getattr(written, name)
    assert found.claimed["epsilon"] == 4.0
    assert found.claimed["sigma"] is None
    ours, theirs = written.groups[0], found.groups[0]
    assert np.array_equal(ours.bits, theirs.bits)
    assert np.array_equal(ours.unit, theirs.unit)
    assert all(np.array_equal(ours.scores[k], theirs.scores[k]) for k in ("logit", "loss"))
    assert ours.record_sha256 == theirs.record_sha256


@given(st.integers(1, 70), st.data())
@settings(max_examples=40, deadline=None)
def test_encodings_are_exact(n, data):
    reader = StrictReader("file", id="AK-MA-002")
    bits = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    whole = np.array(data.draw(st.lists(st.integers(-(2**62), 2**62), min_size=n, max_size=n)))
    assert np.array_equal(reader.bits(encode_bits(bits), "bits", n), bits)
    assert np.array_equal(reader.integers(encode_integers(whole), "unit", n, low=-(2**62)), whole)
    digest = hashlib.sha256(bytes(n)).hexdigest()
    assert reader.hashes(encode_hashes((digest,)), "hashes", 1) == (digest,)


def edit(path, change):
    loaded = json.loads(path.read_text())
    change(loaded)
    path.write_text(json.dumps(loaded))


def nan_score(loaded):
    values = np.frombuffer(base64.b64decode(loaded["groups"][0]["scores"]["logit"])).copy()
    values[7] = np.nan
    loaded["groups"][0]["scores"]["logit"] = base64.b64encode(values.tobytes()).decode()


BAD = {
    "schema": (
        lambda d: d.update(schema="auditkit.audit/2"),
        "AK-MA-001",
        "schema: must be 'auditkit.audit/1'",
    ),
    "no schema": (lambda d: d.pop("schema"), "AK-MA-001", "schema"),
    "unknown key": (
        lambda d: d.update(extra=1),
        "AK-MA-002",
        "manifest: must hold only known keys, not extra",
    ),
    "missing key": (lambda d: d.pop("seed"), "AK-MA-002", "must hold the key 'seed'"),
    "claimed key": (
        lambda d: d["claimed"].update(mu=1),
        "AK-MA-002",
        "claimed: must hold only known keys, not mu",
    ),
    "negative epsilon": (lambda d: d["claimed"].update(epsilon=-1), "AK-MA-002", "claimed.epsilon"),
    "epsilon as text": (lambda d: d["claimed"].update(epsilon="4"), "AK-MA-002", "claimed.epsilon"),
    "epsilon true": (lambda d: d["claimed"].update(epsilon=True), "AK-MA-002", "claimed.epsilon"),
    "huge epsilon": (lambda d: d["claimed"].update(epsilon=10**400), "AK-MA-002", "claimed.epsilon"),
    "delta": (
        lambda d: d["claimed"].update(delta=1.5),
        "AK-MA-002",
        "claimed.delta: must be a number from 0 to 1",
    ),
    "sampler": (
        lambda d: d["claimed"].update(sampler="fair"),
        "AK-MA-002",
        "claimed.sampler: must be one of",
    ),
    "hash": (lambda d: d["model"].update(sha256="A" * 64), "AK-MA-002", "model.sha256"),
    "short bits": (
        lambda d: d["groups"][0].update(bits="AAAA"),
        "AK-MA-002",
        "groups[0].bits: must hold 50 values",
    ),
    "bits": (
        lambda d: d["groups"][0].update(bits="no base64!"),
        "AK-MA-002",
        "groups[0].bits: must be base64",
    ),
    "scores": (
        lambda d: d["groups"][0]["scores"].update(logit="AAAA"),
        "AK-MA-002",
        "groups[0].scores.logit",
    ),
    "no scores": (
        lambda d: d["groups"][0].update(scores={}),
        "AK-MA-002",
        "groups[0].scores: must hold at least one",
    ),
    "nan": (nan_score, "AK-MA-002", "groups[0].scores.logit[7]: must not be NaN"),
    "canaries": (lambda d: d["groups"][0].update(canaries=10**9), "AK-MA-002", "groups[0].canaries"),
    "no groups": (lambda d: d.update(groups=[]), "AK-MA-002", "groups: must be a list of 1 to 64 entries"),
    "attack": (
        lambda d: d["attacks"][0].update(score="mind"),
        "AK-MA-002",
        "attacks[0].score: must be one of",
    ),
    "attack group": (lambda d: d["attacks"][0].update(group=1), "AK-MA-002", "attacks[0].group"),
    "seed": (lambda d: d.update(seed=-1), "AK-MA-002", "seed"),
    "escape": (lambda d: d.update(design="\x1b[2J"), "AK-MA-002", "\\x1b[2J"),
    "mechanism": (lambda d: d.update(mechanism=[1]), "AK-MA-002", "mechanism: must be an object or null"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_with_its_place(name, tmp_path):
    path = write(tmp_path)
    change, id, part = BAD[name]
    edit(path, change)
    with pytest.raises(InputError) as caught:
        Evidence.from_manifest(path)
    assert caught.value.id == id
    assert caught.value.hint
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"9" * 10_000],
)
def test_what_is_no_json_object_is_refused(content, tmp_path):
    path = write(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert caught.value.id in ("AK-MA-002", "AK-MA-001")
    assert "\n" not in str(caught.value)


def test_evidence_of_a_manifest_is_bound_to_the_weights(tmp_path):
    evidence = Evidence.from_manifest(write(tmp_path))
    result = dp_estimate(evidence, seed=1)
    assert result.delta == 1e-5
    assert result.claimed_epsilon == 4.0
    assert result.epsilon_lower is not None and result.epsilon_lower > 1
    assert result.inputs["model"] == {"name": "model.pt", "sha256": SHA256, "bytes": len(WEIGHTS)}
    assert result.checks["model-identity"].status == "pass"
    assert result.checks["coins"].status == "pass"
    assert {a.id for a in result.assumptions} >= {"fair-coins", "recorded-scores"}


def test_other_weights_are_refused_with_both_hashes(tmp_path):
    path = write(tmp_path, weights=b"other weights")
    with pytest.raises(InputError) as caught:
        Evidence.from_manifest(path)
    assert caught.value.id == "AK-MA-003"
    assert SHA256 in str(caught.value)
    assert hashlib.sha256(b"other weights").hexdigest() in str(caught.value)


def test_a_manifest_without_its_weights_is_refused(tmp_path):
    path = write(tmp_path)
    (tmp_path / "model.pt").unlink()
    with pytest.raises(InputError, match=r"model\.pt: must be a readable file"):
        Evidence.from_manifest(path)


def test_a_manifest_of_another_name_needs_the_model_named(tmp_path):
    path = write(tmp_path).rename(tmp_path / "evidence.json")
    with pytest.raises(InputError, match=r"must end in \.audit") as caught:
        Evidence.from_manifest(path)
    assert caught.value.id == "AK-MA-004"
    assert Evidence.from_manifest(path, model=tmp_path / "model.pt").n_units == 400


def test_coins_that_are_not_those_of_the_seed_leave_no_number(tmp_path):
    manifest = a_manifest()
    flipped = manifest.groups[0].bits.copy()
    flipped[[np.flatnonzero(flipped)[0], np.flatnonzero(~flipped)[0]]] ^= True
    path = write(tmp_path, replace(manifest, groups=(replace(manifest.groups[0], bits=flipped),)))
    result = dp_estimate(Evidence.from_manifest(path), seed=1)
    assert result.verdict.status == "invalid-design"
    assert result.epsilon_lower is None
    assert result.checks["coins"].status == "fail"


def test_units_share_their_coin(tmp_path):
    """20 rows of one person count as one canary, whose coin is the one that the seed gives."""
    manifest = a_manifest(m=300)
    group = manifest.groups[0]
    rows = np.concatenate([np.arange(300), np.full(19, 7)])
    shared = Group(
        kind=group.kind, bits=group.bits[rows], unit=rows, scores={"logit": group.scores["logit"][rows]}
    )
    path = write(tmp_path, replace(manifest, groups=(shared,)))
    evidence = Evidence.from_manifest(path)
    assert evidence.n_units == 300
    assert {c.id: c.status for c in evidence.checks}["coins"] == "pass"


def test_label_canaries_speak_of_label_privacy(tmp_path):
    path = write(tmp_path, a_manifest(kind="label", adjacency="label"))
    assert "label-adjacency" in {a.id for a in Evidence.from_manifest(path).assumptions}


def test_delta_and_claim_of_the_caller_come_first(tmp_path):
    evidence = Evidence.from_manifest(write(tmp_path))
    result = dp_estimate(evidence, delta=1e-6, claimed_epsilon=0.5, seed=1)
    assert (result.delta, result.claimed_epsilon) == (1e-6, 0.5)
    assert result.verdict.status == "fail"


def test_without_a_delta_anywhere_there_is_no_answer():
    with pytest.raises(InputError, match="delta: required") as caught:
        dp_estimate(Evidence.from_counts(60, 40, 40, 60))
    assert caught.value.id == "AK-AU-006"


def test_coins_are_fair_and_of_their_kind():
    coins = toss_coins(1, "mislabel", 100_000)
    assert abs(int(coins.sum()) - 50_000) < 5 * np.sqrt(25_000)
    assert not np.array_equal(coins[:1000], toss_coins(1, "blank", 1000))
    assert not np.array_equal(coins[:1000], toss_coins(2, "mislabel", 1000))
    assert np.array_equal(coins[:1000], toss_coins(1, "mislabel", 1000))


def test_coins_never_change():
    """A manifest's coins are tossed again years later: these are of seed 1, first written in 2026."""
    assert "".join(map(str, toss_coins(1, "mislabel", 24).astype(int))) == "110111000000111010100011"


def test_a_commitment_fixes_seed_kind_and_number():
    fixed = commit(1, "mislabel", 10)
    others = (commit(2, "mislabel", 10), commit(1, "blank", 10), commit(1, "mislabel", 11))
    assert fixed == commit(1, "mislabel", 10)
    assert len({fixed, *others}) == 4


def test_a_failed_write_leaves_the_earlier_manifest(tmp_path):
    path = write(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_manifest(a_manifest(claimed={"epsilon": float("nan")}), path)
    assert path.read_bytes() == before
    assert [p.name for p in sorted(Path(tmp_path).iterdir())] == ["model.pt", "model.pt.audit"]
