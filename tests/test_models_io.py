"""Model files: what fits is read exactly, everything else is refused in one line, and nothing is ever run."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from auditkit import InputError
from auditkit.io import models, read_model

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")


def saved(tmp_path, value, name="m.pt"):
    path = tmp_path / name
    torch.save(value, path)
    return path


def refused(path, error_id, *words, **options):
    with pytest.raises(InputError) as caught:
        read_model(path, **options)
    message = str(caught.value)
    assert caught.value.id == error_id, message
    assert "\n" not in message
    assert "\x1b" not in message
    assert "weights_only" not in message
    for word in words:
        assert word in message
    return caught.value


def every_type():
    generator = torch.Generator().manual_seed(0)
    tensors = OrderedDict()
    for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tensors[f"z{kind}"] = torch.randn(3, 4, generator=generator).to(kind)
    for kind in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        tensors[f"a{kind}"] = torch.randint(0, 2, (2, 1, 3), generator=generator).to(kind)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 3)
    return tensors


@pytest.mark.parametrize("name", ["m.pt", "m.PTH", "m.bin", "m.ckpt", "m.safetensors"])
def test_every_type_is_read_exactly_and_hashed(tmp_path, name):
    tensors = every_type()
    path = tmp_path / name
    if name.endswith("safetensors"):
        safetensors_torch.save_file(tensors, path)
    else:
        torch.save(tensors, path)
    found = read_model(path)
    assert set(found.tensors) == set(tensors)
    for key, tensor in tensors.items():
        narrow = tensor.dtype in (torch.float16, torch.bfloat16)
        expected = (tensor.float() if narrow else tensor).numpy()
        np.testing.assert_array_equal(found.tensors[key], expected)
        assert found.tensors[key].dtype == expected.dtype
        assert found.tensors[key].shape == expected.shape
        assert (key in found.widened) == narrow
        assert not found.tensors[key].flags.writeable
    data = path.read_bytes()
    assert found.identity == {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert found.format == ("safetensors" if name.endswith("safetensors") else "torch")


def test_state_dicts_of_modules_views_and_shared_weights(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = module.state_dict()
    state["tied"] = state["0.weight"]
    state["turned"] = state["0.weight"].T
    state["part"] = state["0.weight"][1:3, ::2]
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    found = read_model(saved(tmp_path, state))
    assert list(found.tensors) == list(state)
    for key, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[key], tensor.detach().numpy())


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([torch.ones(1)], "list"),
        (torch.ones(1), "Tensor"),
        ({"state_dict": {"w": torch.ones(1)}}, "checkpoint"),
        ({"w": torch.ones(1), "epoch": 3}, "'epoch'"),
        ({3: torch.ones(1)}, "int"),
        ({}, "no tensor"),
        ({"w": Bomb()}, "state dict"),
        (torch.nn.Linear(1, 1), "state dict"),
    ],
)
def test_anything_but_a_state_dict_is_refused_with_the_way_out(tmp_path, value, word):
    error = refused(saved(tmp_path, value), "AK-IO-033", "m.pt", word)
    assert "state_dict()" in error.hint


def test_pickles_and_torchscript_are_never_opened(tmp_path):
    path = tmp_path / "m.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path, "AK-IO-033", "pickle")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("m/code/x.py", "raise SystemExit")
    refused(path, "AK-IO-033", "TorchScript")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("m/version", "3\n")
    refused(path, "AK-IO-033")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scores.npy", b"")
    refused(path, "AK-IO-033", "torch.save")


def test_tensors_that_are_not_dense_real_numbers(tmp_path):
    one = torch.ones(2, 2)
    cases = [one.to_sparse(), one.to(torch.complex64), one.to(torch.float8_e4m3fn), torch.ones(1).expand(9)]
    for tensor in cases:
        refused(saved(tmp_path, {"0.weight": tensor}), "AK-IO-034", "0.weight")
    path = tmp_path / "m.safetensors"
    safetensors_torch.save_file({"w": one.to(torch.float8_e4m3fn)}, path)
    refused(path, "AK-IO-034", "F8_E4M3")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_a_weight_that_is_not_finite_is_named(tmp_path, bad, kind):
    weight = torch.zeros(3, 4).to(kind)
    weight[1, 2] = bad
    refused(saved(tmp_path, {"0.weight": weight}), "AK-IO-035", "0.weight[1, 2]", f"not {bad}")
    path = tmp_path / "m.safetensors"
    safetensors_torch.save_file({"0.weight": weight}, path)
    refused(path, "AK-IO-035", "0.weight[1, 2]")


def test_content_and_ending_must_agree(tmp_path):
    state = {"w": torch.ones(2)}
    refused(saved(tmp_path, state, "m.safetensors"), "AK-IO-031", "zip archive")
    path = tmp_path / "m.pt"
    safetensors_torch.save_file(state, path)
    refused(path, "AK-IO-031", "safetensors")
    path.write_bytes(b"<html>not found</html>")
    refused(path, "AK-IO-031", "something else")
    refused(saved(tmp_path, state, "m.h5"), "AK-IO-030", ".safetensors")
    path.write_bytes(b"")
    refused(path, "AK-IO-006")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    refused(path, "AK-IO-007")
    refused(tmp_path / "none.pt", "AK-IO-001")
    refused(tmp_path, "AK-IO-030")
    refused(saved(tmp_path, state), "AK-IO-003", limit=100)


def repacked(path, change, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        members = [(m.filename, archive.read(m)) for m in archive.infolist()]
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in change(members):
            archive.writestr(name, content)


def test_altered_archives_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, {"w": torch.arange(64.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    refused(path, "AK-IO-032")
    place = whole.index(torch.arange(64.0).numpy().tobytes())
    path.write_bytes(whole[: place + 7] + bytes([whole[place + 7] ^ 1]) + whole[place + 8 :])
    refused(path, "AK-IO-032", "checksum")
    path.write_bytes(whole)
    repacked(path, lambda members: members, zipfile.ZIP_DEFLATED)
    refused(path, "AK-IO-032", "packed")
    path.write_bytes(whole)
    with pytest.warns(UserWarning, match="Duplicate"):
        repacked(path, lambda members: [*members, members[-1]])
    refused(path, "AK-IO-032", "one name")
    path.write_bytes(whole)
    monkeypatch.setattr(models, "TENSOR_LIMIT", 3)
    refused(path, "AK-IO-036", "members")


def test_altered_safetensors_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"

    def write(header, body=b"\0" * 8, length=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)

    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    write({"w": entry})
    assert read_model(path).tensors["w"].tolist() == [0.0, 0.0]
    write({"w": {**entry, "shape": [3]}})
    refused(path, "AK-IO-032")
    write({"w": entry}, body=b"\0" * 7)
    refused(path, "AK-IO-032")
    write(b"{not json")
    refused(path, "AK-IO-032", "JSON")
    write({"w": entry}, length=2**63)
    refused(path, "AK-IO-031")
    write({"\x1b[31m": entry})
    refused(path, "AK-IO-036")
    write({"w" * 600: entry})
    refused(path, "AK-IO-036")
    write({"w": entry})
    monkeypatch.setattr(models, "HEADER_LIMIT", 4)
    refused(path, "AK-IO-032", "header")


def test_every_cut_and_many_flips_end_in_one_line_or_the_same_weights(tmp_path):
    generator = np.random.default_rng(1)
    for name in ("m.pt", "m.safetensors"):
        path = tmp_path / name
        tensors = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}
        if name == "m.pt":
            torch.save(tensors, path)
        else:
            safetensors_torch.save_file(tensors, path)
        whole = path.read_bytes()
        cases = [whole[:cut] for cut in generator.integers(1, len(whole), 40)]
        for place, value in zip(
            generator.integers(0, len(whole), 80), generator.integers(1, 256, 80), strict=True
        ):
            cases.append(whole[:place] + bytes([whole[place] ^ int(value)]) + whole[place + 1 :])
        for content in cases:
            path.write_bytes(content)
            try:
                found = read_model(path)
            except InputError as error:
                assert "\n" not in str(error)
                continue
            assert found.sha256 == hashlib.sha256(content).hexdigest()
            if name == "m.pt":  # its checksums tell every change of the content
                np.testing.assert_array_equal(found.tensors["w"], tensors["w"].numpy())


def test_without_torch_one_line_names_the_install_command(tmp_path, monkeypatch):
    path = saved(tmp_path, {"w": torch.ones(1)})
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    error = refused(path, "AK-EX-001", "torch")
    assert "pip install" in error.hint


def test_the_library_reads_bytes_that_were_hashed_only(tmp_path, monkeypatch):
    path = saved(tmp_path, {"w": torch.ones(1)})
    seen = []
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda file, **options: seen.append((file, options)) or load(file, **options)
    )
    read_model(path)
    ((file, options),) = seen
    assert isinstance(file, io.BytesIO)
    assert options == {"weights_only": True, "map_location": "cpu"}
