"""From weights to predictions: the user's architecture, the module with its weights, and what it says.

An architecture is code that the user owns and names; a model file can never name it. What such code raises
becomes one line that names the function.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, require_extra, show
from auditkit.io.files import read_bytes
from auditkit.io.models import ModelFile
from auditkit.privacy.attacks.scores import logits_from_probabilities, number_array

FloatArray = NDArray[np.float64]
OutputKind = Literal["logits", "probabilities", "values"]
Progress = Callable[[str, int, int], None]

_SOURCE_LIMIT = 16 * 2**20
_PREFIX = "_module."
_NAMES_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Architecture:
    """The user's function that makes the module.

    Attributes
    ----------
    spec : str
        ``module:function`` as given.
    function : callable
        Takes nothing and returns the nn.Module.
    file : str
        Name of the file that holds the module, without its folder.
    sha256 : str
        Hexadecimal digest of that file.
    folder : Path
        Where the function's own imports are looked up.
    """

    spec: str
    function: Callable[[], Any]
    file: str
    sha256: str
    folder: Path

    @property
    def identity(self) -> dict[str, Any]:
        """Name and hash, as they stand in results."""
        return {"name": self.spec, "file": self.file, "sha256": self.sha256}


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model says about records.

    Attributes
    ----------
    values : array, float64
        Logits, shape (n, K) with K >= 2 (of probabilities their logarithms); for a regression predictions of
        shape (n,).
    kind : {"logits", "probabilities", "values"}
        What the model gave.
    clipped : int
        Probabilities that were 0 and count as the smallest positive number.
    classes : array or None
        The label of each column, where the model tells (scikit-learn); None: the columns' numbers.
    """

    values: FloatArray
    kind: OutputKind
    clipped: int = 0
    classes: NDArray[Any] | None = None


def load_architecture(spec: str, *, base: str | Path | None = None) -> Architecture:
    """Find the user's function that makes the module.

    Parameters
    ----------
    spec : str
        ``module:function``; the module is a dotted name or the path of a ``.py`` file.
    base : path, optional
        The folder that names and relative paths start from; the working directory by default.

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        AK-AR-001 to AK-AR-004: not of that form, no such module, an error inside it, no such function.

    Notes
    -----
    The module is run: it is the user's code. A ``.py`` file is run from the bytes that are hashed.
    """
    where, colon, name = spec.rpartition(":") if isinstance(spec, str) else ("", "", "")
    if not colon or not where or not name.isidentifier():
        raise InputError(
            f"architecture: must be module:function, not {show(repr(spec))}",
            id="AK-AR-001",
            hint="for example nets:make_net, where nets.py defines make_net()",
        )
    folder = Path.cwd() if base is None else Path(base)
    if where.endswith(".py"):
        file = folder / where
        folder = file.resolve().parent
        digest, module = _run_file(file, spec, folder)
    else:
        file, digest, module = _import_name(where, spec, folder)
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        there = ", ".join(show(key, 40) for key in own[:8]) or "none"
        raise InputError(
            f"architecture: {show(where)} must define a function {show(name)}; it defines {there}",
            id="AK-AR-004",
            path=str(file),
        )
    return Architecture(spec=spec, function=function, file=file.name, sha256=digest, folder=folder)


def build_module(architecture: Architecture, model_file: ModelFile) -> Any:
    """The module with the weights of the file, in evaluation mode.

    Parameters
    ----------
    architecture : Architecture
    model_file : ModelFile

    Returns
    -------
    torch.nn.Module
        On the CPU. Names must fit one to one; the prefix ``_module.`` that Opacus adds is removed.

    Raises
    ------
    InputError
        AK-AR-005 if the function raises, AK-AR-006 if it returns no module, AK-AR-007 if names or shapes do
        not fit.
    """
    torch = require_extra("torch", "torch", f"architecture {show(architecture.spec)}")
    with _found_in(architecture.folder):
        module = call_user_code(architecture.function, architecture.spec, "AK-AR-005")
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"architecture: {show(architecture.spec)} must return an nn.Module, not {type(module).__name__}",
            id="AK-AR-006",
        )
    own = call_user_code(lambda: dict(module.state_dict()), architecture.spec, "AK-AR-005")
    weights = _without_prefix(model_file.tensors, own)
    _check_fit(own, weights, architecture, model_file)
    state = {key: torch.from_numpy(array.copy()) for key, array in weights.items()}
    call_user_code(lambda: module.load_state_dict(state, strict=True), architecture.spec, "AK-AR-007")
    return module.to("cpu").eval()


def predict_logits(
    model: Any,
    X: ArrayLike,
    *,
    batch_size: int = 1024,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FloatArray:
    """Logits of any classifier: a torch module, a scikit-learn classifier, or a function.

    Parameters
    ----------
    model : nn.Module, scikit-learn classifier, or callable
        A callable takes a batch of X and returns logits or probabilities, shape (n, K) or, for two classes,
        (n,) or (n, 1). Modules run in evaluation mode without gradients and are left as they were.
    X : array, shape (n, ...)
        Floating numbers are converted to the module's own type; whole numbers reach it as int64.
    batch_size : int
        Records a call, at least 1.
    device : str
        Where a torch module runs.
    progress : callable, optional
        Gets ("predict", records done, n) after each batch.

    Returns
    -------
    array, shape (n, K), float64
        Logits; of probabilities the logarithms, which are logits too.

    Raises
    ------
    InputError
        AK-AR-008 if the model raises, AK-AR-009 if its outputs have no such shape or are not finite,
        AK-AR-010 for the device or the batch size.
    """
    return predict_outputs(model, X, batch_size=batch_size, device=device, progress=progress).values


def predict_outputs(
    model: Any,
    X: ArrayLike,
    *,
    kind: OutputKind | None = None,
    batch_size: int = 1024,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Outputs:
    """What a model says about records, and in which form it said it.

    Parameters
    ----------
    model, X, batch_size, device, progress
        As for `predict_logits`; with ``kind="values"`` also regressions (``predict`` in scikit-learn).
    kind : {"logits", "probabilities", "values"}, optional
        What the model gives. By default logits, unless the model is a scikit-learn classifier, or gives two or
        more columns in [0, 1] whose rows all sum to 1: those are probabilities.

    Returns
    -------
    Outputs

    Raises
    ------
    InputError
        AK-AR-008, AK-AR-009, AK-AR-010, and AK-AT-005 for probabilities that are none.
    """
    if kind not in (None, "logits", "probabilities", "values"):
        raise InputError(
            f"kind: must be 'logits', 'probabilities' or 'values', not {show(repr(kind))}", id="AK-AT-006"
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InputError(
            f"batch_size: must be a whole number of at least 1, not {show(batch_size)}", id="AK-AR-010"
        )
    records = np.asarray(X)
    if records.ndim == 0 or records.shape[0] == 0:
        raise InputError("X: must hold at least one record", id="AK-AT-001")
    predict, name, classes, given = _predictor(model, kind, device)
    parts = []
    for start in range(0, records.shape[0], batch_size):
        batch = records[start : start + batch_size]
        parts.append(
            _checked_part(call_user_code(partial(predict, batch), name, "AK-AR-008"), len(batch), name)
        )
        if progress is not None:
            progress("predict", start + len(batch), records.shape[0])
    if len({part.shape[1:] for part in parts}) != 1:
        raise InputError(f"{name}: must give batches of one width", id="AK-AR-009")
    return _as_outputs(np.concatenate(parts), given, classes, name)


def _as_outputs(
    raw: NDArray[Any], kind: OutputKind | None, classes: NDArray[Any] | None, name: str
) -> Outputs:
    """Logits of shape (n, K), or predictions of shape (n,), from what the model gave."""
    single = raw.ndim == 1 or raw.shape[1] == 1
    if kind == "values":
        if not single:
            raise InputError(f"{name}: must predict one number a record, not {raw.shape[1]}", id="AK-AR-009")
        return Outputs(raw.reshape(-1).astype(np.float64), "values")
    if kind is None:
        kind = "probabilities" if not single and _look_like_probabilities(raw) else "logits"
    if single:
        column = raw.reshape(-1).astype(np.float64)
        low = 1 - column if kind == "probabilities" else np.zeros_like(column)
        raw = np.stack([low, column], axis=1)
    if kind == "logits":
        return Outputs(raw.astype(np.float64), "logits", classes=classes)
    logits, clipped = logits_from_probabilities(raw)
    return Outputs(logits, "probabilities", clipped, classes)


def _look_like_probabilities(raw: NDArray[Any]) -> bool:
    values = raw.astype(np.float64)
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1) < 1e-3).all())


def _checked_part(raw: Any, rows: int, name: str) -> NDArray[Any]:
    """A batch of outputs as a floating array of its own type, with one row a record and no NaN."""
    values = number_array(raw, f"{name}: outputs", (1, 2))
    if values.shape[0] != rows or (values.ndim == 2 and values.shape[1] == 0):
        raise InputError(
            f"{name}: must give one row for each of {rows:,} records, not shape {values.shape}",
            id="AK-AR-009",
        )
    if not np.isfinite(values).all():
        place = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{name}: outputs must be finite, not {values[tuple(place)]} (row {place[0]} of a batch)",
            id="AK-AR-009",
        )
    kind = getattr(raw, "dtype", None)
    return values.astype(np.float32) if kind == np.float32 else values


Predictor = tuple[Callable[[Any], Any], str, NDArray[Any] | None, OutputKind | None]


def _predictor(model: Any, kind: OutputKind | None, device: str) -> Predictor:
    """A function of a batch, its name, the classes that its columns stand for, and what it gives."""
    torch = sys.modules.get("torch")  # a module can only have been made where torch is loaded
    if torch is not None and isinstance(model, torch.nn.Module):
        return _module_function(torch, model, device), type(model).__name__, None, kind
    if hasattr(model, "predict_proba") and kind != "values":
        name = f"{type(model).__name__}.predict_proba"
        return model.predict_proba, name, np.asarray(model.classes_), "probabilities"
    if hasattr(model, "predict") and kind == "values":
        return model.predict, f"{type(model).__name__}.predict", None, kind
    if callable(model):
        return model, show(getattr(model, "__name__", type(model).__name__), 40), None, kind
    raise InputError(
        f"model: must be an nn.Module, a scikit-learn classifier or a function, not {type(model).__name__}",
        id="AK-AR-006",
        hint="a function takes a batch of X and returns logits or probabilities",
    )


def _module_function(torch: Any, module: Any, device: str) -> Callable[[Any], Any]:
    try:
        module = module.to(torch.device(device))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(
            f"device: must be one that torch can use here, not {show(device)} ({type(error).__name__})",
            id="AK-AR-010",
            hint="device='cpu'",
        ) from None
    floating = next((p.dtype for p in module.parameters() if p.dtype.is_floating_point), torch.float32)

    def predict(batch: NDArray[Any]) -> NDArray[Any]:
        kind = batch.dtype.kind
        whole = np.ascontiguousarray(batch, np.int64 if kind in "iub" else None)
        modes = [(part, part.training) for part in module.modules()]
        try:
            module.eval()
            with torch.no_grad():
                x = torch.from_numpy(np.array(whole)).to(device)
                out = module(x if kind in "iub" else x.to(floating))
            if not isinstance(out, torch.Tensor):
                raise TypeError(f"gave a {type(out).__name__} where a tensor of logits is needed")
            wide = out.detach().to("cpu")
            found: NDArray[Any] = wide.to(
                torch.float32 if wide.dtype in (torch.float16, torch.bfloat16) else wide.dtype
            ).numpy()
            return found
        finally:
            for part, mode in modes:
                part.training = mode

    return predict


def call_user_code(function: Callable[[], Any], name: str, error_id: str) -> Any:
    """The result of the user's code; whatever it raises becomes one line.

    Parameters
    ----------
    function : callable
        Takes nothing.
    name : str
        What was called, as it is to stand in the message.
    error_id : str

    Raises
    ------
    InputError
        With `error_id` and the exception's type and first line. Ctrl-C and a lack of memory pass through.
    """
    try:
        return function()
    except (InputError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        words = str(error).strip().split("\n", 1)[0]
        told = f"{type(error).__name__}: {show(words, 160)}" if words else type(error).__name__
        raise InputError(f"{show(name)}: must not raise: {told}", id=error_id) from error


@contextmanager
def _found_in(folder: Path) -> Iterator[None]:
    """Imports look into `folder` first, as they do for a script that lies there."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _run_file(file: Path, spec: str, folder: Path) -> tuple[str, ModuleType]:
    source = read_bytes(file, limit=_SOURCE_LIMIT)
    digest = hashlib.sha256(source).hexdigest()
    module = ModuleType(f"auditkit_architecture_{digest[:16]}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses look their module up there

    def run() -> None:
        exec(compile(source, str(file), "exec"), module.__dict__)

    with _found_in(folder):
        call_user_code(run, spec, "AK-AR-003")
    return digest, module


def _import_name(where: str, spec: str, folder: Path) -> tuple[Path, str, ModuleType]:
    with _found_in(folder):
        importlib.invalidate_caches()
        try:
            module = importlib.import_module(where)
        except (ModuleNotFoundError, ValueError, TypeError) as error:
            missing = getattr(error, "name", None)
            if (
                isinstance(error, ModuleNotFoundError)
                and missing
                and not f"{where}.".startswith(f"{missing}.")
            ):
                raise InputError(f"{show(spec)}: must not raise: {show(error)}", id="AK-AR-003") from None
            raise InputError(
                f"architecture: must name a module that can be found, not {show(where)}",
                id="AK-AR-002",
                hint=f"it was looked up in {show(folder, 200)} and among the installed packages; a path may end in .py",
            ) from None
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{show(spec)}: must not raise: {type(error).__name__}: {show(error, 160)}", id="AK-AR-003"
            ) from error
    file = getattr(module, "__file__", None)
    if not file or not str(file).endswith(".py"):
        raise InputError(
            f"architecture: must lie in a Python file, which {show(where)} does not", id="AK-AR-002"
        )
    return Path(file), hashlib.sha256(read_bytes(file, limit=_SOURCE_LIMIT)).hexdigest(), module


def _without_prefix(tensors: Mapping[str, NDArray[Any]], own: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Without the prefix of Opacus' wrapper, where the file has it throughout and the module has it not."""
    wrapped = all(key.startswith(_PREFIX) for key in tensors)
    if not wrapped or any(key.startswith(_PREFIX) for key in own):
        return dict(tensors)
    return {key.removeprefix(_PREFIX): array for key, array in tensors.items()}


def _check_fit(
    own: Mapping[str, Any], weights: Mapping[str, NDArray[Any]], arch: Architecture, model_file: ModelFile
) -> None:
    missing = [show(key) for key in own if key not in weights]
    unexpected = [show(key) for key in weights if key not in own]
    shapes = [
        f"{show(key)} has {tuple(array.shape)} where {_shape(own[key])} is wanted"
        for key, array in weights.items()
        if key in own and tuple(array.shape) != _shape(own[key])
    ]
    told = [
        f"{word} {len(found)} ({', '.join(found[:_NAMES_SHOWN])}{', …' if len(found) > _NAMES_SHOWN else ''})"
        for word, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if found
    ]
    if told:
        raise InputError(
            f"{model_file.name}: must fit the architecture {show(arch.spec)}: {'; '.join(told)}",
            id="AK-AR-007",
            path=model_file.name,
            hint="name the architecture with which these weights were trained",
        )


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return tuple(value.shape)
    except (AttributeError, RuntimeError):  # extra state, or a lazy parameter without a shape
        return None
