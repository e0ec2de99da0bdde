"""Which source of evidence the options of ``dp-estimate`` name, and what it gives."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.privacy.evidence import Evidence

COUNT_LIMIT = 10**9
MANIFEST_SUFFIX = ".audit"

DESIGN_HINT = (
    "one-run: fair coins over canaries of one training run; independent: one training run, or one "
    "independent draw, a unit; post-hoc: membership was not randomised by you"
)
EVIDENCE_HINT = (
    "write MODEL.audit while training (auditkit.privacy.save_with_audit), or give --scores FILE --design "
    "one-run|independent|post-hoc, --counts TP,FN,FP,TN, --members F --nonmembers F --arch M:F, or --train M:F --data F"
)
COUNTS_HINT = "members guessed in, members guessed out, non-members guessed in, non-members guessed out"

_NEEDED = {
    "scores": ("scores",),
    "counts": ("counts",),
    "records": ("members", "nonmembers", "arch"),
    "training": ("train", "data"),
    "manifest": ("model",),
}
"""What each source needs; its first option is the one that names it."""

_ALLOWED = {
    "scores": ("model", "design"),
    "counts": ("model", "design", "canaries", "direction_fixed"),
    "records": ("model", "attack"),
    "training": ("model", "models", "attack", "engine", "journal", "deterministic"),
    "manifest": ("arch",),
}


@dataclass(frozen=True)
class Sources:
    """The options that say where evidence comes from; None or False where one was not given."""

    model: str | None = None
    scores: str | None = None
    counts: str | None = None
    design: str | None = None
    canaries: int | None = None
    direction_fixed: bool = False
    members: str | None = None
    nonmembers: str | None = None
    arch: str | None = None
    train: str | None = None
    data: str | None = None
    models: int | None = None
    attack: str | None = None
    engine: str | None = None
    journal: str | None = None
    deterministic: bool = False

    def given(self) -> list[str]:
        """Names of the options that were given."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [name for name, value in found if value is not None and value is not False]

    def kind(self, delta: float | None) -> str:
        """The one source that the options name: all that it needs is there, and nothing that belongs to another."""
        if self.model is not None:
            _check_model(self.model)
        kind = self._named()
        given = self.given()
        for name in _NEEDED[kind]:
            if name not in given:
                raise InputError(
                    f"{_option(name)}: required with {_option(_NEEDED[kind][0])}", id="AK-CL-023"
                )
        if kind == "records" and self.model is None:
            raise InputError("MODEL: required with --members", id="AK-CL-023", hint="name the weights file")
        for name in given:
            if name not in _NEEDED[kind] + _ALLOWED[kind]:
                owners = [k for k in _NEEDED if name in _NEEDED[k] + _ALLOWED[k]]
                where = " or ".join(_option(_NEEDED[k][0]) for k in owners)
                here = _option(_NEEDED[kind][0])
                raise InputError(f"{_option(name)}: belongs to {where}, not to {here}", id="AK-CL-006")
        if kind == "scores" and self.design is None:
            raise InputError(
                "--design: required with --scores, no default could be right",
                id="AK-CL-010",
                hint=DESIGN_HINT,
            )
        if delta is None and kind != "manifest":
            hint = "give the delta of the claim, for example --delta 1e-5"
            raise InputError("--delta: required, it has no default", id="AK-CL-011", hint=hint)
        return kind

    def _named(self) -> str:
        given = self.given()
        named = [kind for kind in _NEEDED if kind != "manifest" and _NEEDED[kind][0] in given]
        if len(named) > 1:
            options = " and ".join(_option(_NEEDED[kind][0]) for kind in named)
            raise InputError(f"{options}: only one of them may be given", id="AK-CL-005", hint=EVIDENCE_HINT)
        if named:
            return named[0]
        if self.model is not None and os.path.exists(self.model + MANIFEST_SUFFIX):  # noqa: PTH110
            return "manifest"
        what = "evidence: none was given"
        if self.model is not None:
            manifest = show(os.path.basename(self.model) + MANIFEST_SUFFIX)  # noqa: PTH119
            what = f"{show(self.model)}: a weights file alone holds no evidence, and there is no {manifest}"
        raise InputError(what, id="AK-CL-005", path=self.model, hint=EVIDENCE_HINT)


def input_files(sources: Sources) -> list[str]:
    """Files that are read, which no report may replace."""
    files = [sources.model, sources.scores, sources.members, sources.nonmembers, sources.data]
    if sources.model is not None:
        files.append(sources.model + MANIFEST_SUFFIX)
    return [path for path in files if path and path != "-"]


def collect(sources: Sources, kind: str, *, seed: int | None, progress: Any) -> Evidence:
    """The evidence of the source `kind`, about the model where one was named."""
    from dataclasses import replace

    try:
        evidence = _COLLECTORS[kind](sources, seed, progress)
    except InputError as error:
        raise _named_by_option(error, "--train" if kind == "training" else "--arch") from error
    if evidence.model is None and sources.model is not None:
        return replace(evidence, model=_fingerprint(sources.model))
    return evidence


def _named_by_option(error: InputError, option: str) -> InputError:
    """An error about the user's code, said of the option that names it."""
    head, colon, rest = str(error).partition(": ")
    if not colon or head not in ("architecture", "train"):
        return error
    return InputError(f"{option}: {rest}", id=error.id, path=error.path, hint=error.hint)


def parse_counts(text: str) -> tuple[int, int, int, int]:
    """Four whole numbers from 0 to 1e9 between commas; anything else is an InputError that says what came."""
    parts = [part.strip(" ") for part in text.split(",")]
    if len(parts) != 4:
        raise InputError(
            f"--counts: must be four numbers TP,FN,FP,TN, not {len(parts)}: {show(repr(text))}",
            id="AK-CL-009",
            hint=COUNTS_HINT,
        )
    for name, part in zip(("TP", "FN", "FP", "TN"), parts, strict=True):
        if not re.fullmatch(r"[0-9]{1,10}", part) or int(part) > COUNT_LIMIT:
            raise InputError(
                f"--counts: {name} must be a whole number from 0 to {COUNT_LIMIT:,}, not {show(repr(part))}",
                id="AK-CL-009",
                hint=COUNTS_HINT,
            )
    tp, fn, fp, tn = map(int, parts)
    return tp, fn, fp, tn


def _option(name: str) -> str:
    return "MODEL" if name == "model" else f"--{name.replace('_', '-')}"


def _from_scores(sources: Sources, seed: int | None, progress: Any) -> Evidence:
    from auditkit.privacy import Evidence

    return Evidence.from_file(sources.scores or "", design=sources.design)  # type: ignore[arg-type]


def _from_counts(sources: Sources, seed: int | None, progress: Any) -> Evidence:
    from auditkit.privacy import Evidence

    return Evidence.from_counts(
        *parse_counts(sources.counts or ""),
        design=sources.design or "independent",  # type: ignore[arg-type]
        canaries=sources.canaries,
        direction_fixed=sources.direction_fixed,
    )


def _from_manifest(sources: Sources, seed: int | None, progress: Any) -> Evidence:
    from auditkit.privacy import Evidence

    model = sources.model or ""
    return Evidence.from_manifest(model + MANIFEST_SUFFIX, model=model, arch=sources.arch)


def _from_records(sources: Sources, seed: int | None, progress: Any) -> Evidence:
    from auditkit.privacy.records import evidence_from_files

    chosen: dict[str, Any] = {"attack": _names(sources.attack)} if sources.attack else {}
    return evidence_from_files(
        sources.model or "",
        sources.members or "",
        sources.nonmembers or "",
        sources.arch or "",
        seed=seed,
        **chosen,
    )


def _from_training(sources: Sources, seed: int | None, progress: Any) -> Evidence:
    from auditkit.privacy.retraining import evidence_from_training_files

    chosen: dict[str, Any] = {"attack": _names(sources.attack)} if sources.attack else {}
    if sources.models is not None:
        chosen["models"] = sources.models
    return evidence_from_training_files(
        sources.train or "",
        sources.data or "",
        engine=sources.engine or "local",
        deterministic=sources.deterministic,
        journal=sources.journal,
        seed=seed,
        progress=progress,
        **chosen,
    )


_COLLECTORS = {
    "scores": _from_scores,
    "counts": _from_counts,
    "manifest": _from_manifest,
    "records": _from_records,
    "training": _from_training,
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _check_model(model: str) -> None:
    from auditkit.io.fingerprint import require_file

    if model == "-":
        raise InputError(
            "MODEL: a model is never read from standard input", id="AK-CL-012", hint="name its file"
        )
    require_file(model)


def _fingerprint(model: str) -> dict[str, Any]:
    from auditkit.io.fingerprint import fingerprint

    found = fingerprint(model)
    name = os.path.basename(model)  # noqa: PTH119 (pathlib would double the time to start)
    return {"name": name, "sha256": found.sha256, "bytes": found.bytes}
