"""Score files: what fits is read exactly, all else is refused with place and cure, and nothing crashes."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditkit import InputError
from auditkit.io import archives, arrays
from auditkit.io.arrays import read_scores

SCORES = np.array([0.5, -np.inf, 2.25, np.inf])
BITS = np.array([1, 0, 1, 0])


def npz(tmp_path, name="s.npz", **columns):
    path = tmp_path / name
    np.savez(path, **columns)
    return path


def csv(tmp_path, text, name="s.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, error_id, *words):
    with pytest.raises(InputError) as caught:
        read_scores(path)
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_npz_is_read_exactly_and_hashed(tmp_path):
    path = npz(tmp_path, scores=SCORES, bits=BITS, unit=np.array([3, 3, 9, 1]))
    table = read_scores(path)
    np.testing.assert_array_equal(table.scores, SCORES)
    np.testing.assert_array_equal(table.bits, [True, False, True, False])
    np.testing.assert_array_equal(table.unit, [3, 3, 9, 1])
    data = path.read_bytes()
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert table.bytes == len(data)


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f4", "f8", ">f8", "i1", "i8", "u4", ">i2"])
@pytest.mark.parametrize("bit_dtype", ["?", "i8", "u1", "f8"])
def test_number_types_are_widened(tmp_path, dtype, bit_dtype):
    values = np.array([0, 1, 2, 3], dtype)
    table = read_scores(npz(tmp_path, scores=values, bits=BITS.astype(bit_dtype)))
    assert table.scores.dtype == np.float64
    assert table.bits.dtype == np.bool_
    np.testing.assert_array_equal(table.scores, [0, 1, 2, 3])


def test_compressed_archive_and_text_units(tmp_path):
    path = tmp_path / "c.npz"
    np.savez_compressed(path, scores=SCORES, bits=BITS, unit=np.array(["b", "a", "b", "c"]))
    np.testing.assert_array_equal(read_scores(path).unit, [1, 0, 1, 2])


def test_csv_equals_npz(tmp_path):
    text = 'unit, bits ,scores\r\nann,1,0.5\r\nbob,false,-inf\r\n\r\nann,TRUE,2.25\r\n"b,c",0,inf\r\n'
    table = read_scores(csv(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    np.testing.assert_array_equal(table.scores, SCORES)
    np.testing.assert_array_equal(table.bits, BITS == 1)
    np.testing.assert_array_equal(table.unit, [0, 1, 0, 2])


def test_standard_input_is_csv(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"scores,bits\n1,0\n2,1\n")))
    table = read_scores("-")
    assert table.unit is None
    np.testing.assert_array_equal(table.scores, [1.0, 2.0])


@pytest.mark.parametrize(
    ("columns", "error_id", "words"),
    [
        ({"scores": [1.0, np.nan], "bits": [0, 1]}, "AK-EV-001", ("scores[1] is nan",)),
        ({"scores": [1.0, 2.0], "bits": [0, 2]}, "AK-EV-002", ("bits[1] is 2",)),
        ({"scores": [1.0, 2.0], "bits": [0.0, np.nan]}, "AK-EV-002", ("bits[1] is nan",)),
        ({"scores": [1.0, 2.0], "bits": [1, 1]}, "AK-EV-003", ("non-members",)),
        ({"scores": [1.0, 2.0], "bits": [0, 0]}, "AK-EV-003", ()),
        ({"scores": [1.0, 2.0], "bits": [0]}, "AK-EV-004", ("2, not 1",)),
        ({"scores": [1.0, 2.0], "bits": [0, 1], "unit": [1]}, "AK-EV-004", ("unit",)),
        ({"scores": np.empty(0), "bits": np.empty(0)}, "AK-EV-005", ()),
        ({"scores": [[1.0], [2.0]], "bits": [0, 1]}, "AK-EV-006", ("scores", "(2, 1)")),
        ({"scores": np.float64(1.0), "bits": [0, 1]}, "AK-EV-006", ("()",)),
        ({"scores": [1j, 2.0], "bits": [0, 1]}, "AK-EV-007", ("c16",)),
        ({"scores": ["1", "2"], "bits": [0, 1]}, "AK-EV-007", ("scores",)),
        ({"scores": np.array(["2020-01-01"] * 2, "M8[D]"), "bits": [0, 1]}, "AK-EV-007", ("M8",)),
        ({"scores": np.array([1, 2], np.longdouble), "bits": [0, 1]}, "AK-EV-007", ("f16",)),
        ({"scores": [True, False], "bits": [0, 1]}, "AK-EV-007", ("bool",)),
        ({"scores": [1.0, 2.0], "bits": ["0", "1"]}, "AK-EV-007", ("bits",)),
        ({"scores": [1.0, 2.0], "bits": [0, 1], "unit": [0.5, 1.0]}, "AK-EV-007", ("unit",)),
        ({"scores": np.array([(1.0,)], [("a", "f8")]), "bits": [0, 1]}, "AK-EV-007", ()),
        ({"scores": [1.0, 2.0], "bits": [0, 1], "label": [1]}, "AK-IO-022", ("'label'",)),
        ({"scores": [1.0, 2.0]}, "AK-IO-023", ("'bits'",)),
    ],
)
def test_bad_arrays_are_refused_by_name(tmp_path, columns, error_id, words):
    refused(npz(tmp_path, **columns), error_id, "s.npz", *words)


def test_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / "s.npz"
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Bomb(), 1.0], object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", buffer.getvalue())
        archive.writestr("bits.npy", _npy(BITS[:2]))
    error = refused(path, "AK-EV-007", "scores", "|O")
    assert "unpickled" in error.hint


def _npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def _with_header(header, body=b"\0" * 16, version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        _with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"),  # one entry too few
        _with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"),  # one too many
        _with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }"),
        _with_header(b"__import__('os').abort()"),
        _with_header(b"(" * 3000),
        _with_header(b"[1, 2"),
        _with_header(b"{'descr': '<f8'}"),
        _with_header(b"7"),
        _with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", version=b"\x09\x00"),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
    ],
)
def test_damaged_array_members_are_refused(tmp_path, content):
    path = tmp_path / "s.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", content)
        archive.writestr("bits.npy", _npy(BITS[:2]))
    refused(path, "AK-IO-021", "s.npz: scores")


@pytest.mark.parametrize("shape", [b"(True,)", b"(-1,)", b"[2]", b"(1.0,)", b"(1, 2)", b"'2'"])
def test_strange_shapes_are_refused(tmp_path, shape):
    path = tmp_path / "s.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + b", }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", _with_header(header))
        archive.writestr("bits.npy", _npy(BITS[:2]))
    refused(path, "AK-EV-006", "s.npz: scores")


def test_zip_bomb_is_refused_before_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "BYTE_LIMIT", 100_000)
    path = tmp_path / "s.npz"
    np.savez_compressed(path, scores=np.zeros(50_000), bits=np.arange(50_000) % 2)
    assert path.stat().st_size < 100_000
    refused(path, "AK-IO-003", "unpack")


def test_long_directories_and_odd_packing_are_refused(tmp_path):
    path = tmp_path / "s.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(20):
            archive.writestr(f"x{i}.npy", b"")
    refused(path, "AK-IO-022", "20 entries")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("scores.npy", _npy(SCORES))
        archive.writestr("bits.npy", _npy(BITS))
    refused(path, "AK-IO-021", "savez")
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("scores.npy", _npy(SCORES))
        archive.writestr("scores.npy", _npy(SCORES))
    refused(path, "AK-IO-022", "twice")


def test_names_from_files_cannot_write_to_the_terminal(tmp_path):
    path = tmp_path / "s.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[31mred\n.npy", b"")
    error = refused(path, "AK-IO-022")
    assert "\x1b" not in str(error)


@example(cut=0, flip=5124, value=1)
@given(cut=st.integers(0, 10**6), flip=st.integers(0, 10**6), value=st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_truncated_or_altered_archives_never_crash(tmp_path_factory, cut, flip, value):
    folder = tmp_path_factory.mktemp("fuzz")
    whole = npz(folder, scores=SCORES, bits=BITS).read_bytes()
    damaged = bytearray(whole)
    damaged[flip % len(whole)] ^= value
    for content in (whole[: cut % len(whole)], bytes(damaged)):
        path = folder / "d.npz"
        path.write_bytes(content)
        try:
            table = read_scores(path)
        except InputError:
            continue
        assert content != whole[: cut % len(whole)]
        np.testing.assert_array_equal(table.scores, SCORES)  # the change hit a byte that carries nothing
        np.testing.assert_array_equal(table.bits, BITS == 1)


@pytest.mark.parametrize(
    ("text", "error_id", "words"),
    [
        ("", "AK-IO-023", ("scores", "nothing")),
        ("1,0\n2,1\n", "AK-IO-022", ("'1'",)),
        ("scores,bits,name\n1,0,x\n", "AK-IO-022", ("'name'",)),
        ("scores,scores,bits\n1,1,0\n", "AK-IO-022", ("twice",)),
        ("scores,unit\n1,0\n", "AK-IO-023", ("'bits'",)),
        ("scores,bits\n1,0\n2\n", "AK-IO-024", ("line 3", "2 columns")),
        ("scores,bits\n1,0\n2,1,3\n", "AK-IO-024", ("line 3",)),
        ("scores,bits\n1,0\nabc,1\n", "AK-EV-001", ("line 3", "column scores", "'abc'")),
        ("scores,bits\n1,0\nnan,1\n", "AK-EV-001", ("line 3",)),
        ("scores,bits\n1,0\n1_0,1\n", "AK-EV-001", ("'1_0'",)),
        ("scores,bits\n1,0\n,1\n", "AK-EV-001", ("line 3",)),
        ("scores,bits\n1,0\n2,yes\n", "AK-EV-002", ("line 3", "column bits", "'yes'")),
        ("scores,bits,unit\n1,0,a\n2,1, \n", "AK-IO-024", ("line 3", "unit")),
        ('scores,bits\n1,0\n"2,1\n', "AK-IO-024", ("line",)),
        ("scores,bits\n", "AK-EV-005", ()),
        ("scores,bits\n1,1\n2,1\n", "AK-EV-003", ()),
        (b"scores,bits\n1,0\n\xff,1\n", "AK-IO-024", ("byte 16",)),
    ],
)
def test_bad_csv_names_the_line(tmp_path, text, error_id, words):
    refused(csv(tmp_path, text), error_id, "s.csv", *words)


def test_other_endings_missing_files_and_large_files(tmp_path, monkeypatch):
    refused(csv(tmp_path, "x", "s.txt"), "AK-IO-020", ".npz or .csv")
    refused(tmp_path / "none.npz", "AK-IO-001")
    refused(csv(tmp_path, "PK", "t.npz"), "AK-IO-021")
    path = csv(tmp_path, "scores,bits\n1,0\n2,1\n")
    monkeypatch.setattr(arrays, "BYTE_LIMIT", 10)
    refused(path, "AK-IO-003")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    refused("-", "AK-IO-003")
