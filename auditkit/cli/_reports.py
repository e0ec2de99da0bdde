"""Results on standard output and in report files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditkit.cli._common import Session
from auditkit.cli._errors import OutputError
from auditkit.errors import InputError, show


def check_reports(paths: Sequence[str], inputs: Sequence[str]) -> None:
    """Refuse reports of unknown kind, in no writable folder, or on top of an input."""
    for path in paths:
        target, name = Path(path), show(path)
        if target.suffix.lower() not in RENDERERS:
            known = ", ".join(RENDERERS)
            raise InputError(f"--report {name}: must end in one of {known}", id="AK-CL-007", path=path)
        folder = target.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            state = "is not writable" if folder.is_dir() else "does not exist"
            raise InputError(f"--report {name}: its folder {show(folder)} {state}", id="AK-CL-008", path=path)
        if target.exists() and not target.is_file():
            raise InputError(
                f"--report {name}: must not be a folder, pipe or device", id="AK-CL-008", path=path
            )
        for source in inputs:
            if target.exists() and Path(source).exists() and target.samefile(source):
                raise InputError(
                    f"--report {name}: must not replace the input {show(source)}", id="AK-CL-008", path=path
                )


def _html(result: dict[str, Any]) -> str:
    from auditkit.report.html import render_html

    return render_html(result)


def _markdown(result: dict[str, Any]) -> str:
    from auditkit.report.markdown import render_markdown

    return render_markdown(result)


def to_json(result: dict[str, Any]) -> str:
    """A result as indented JSON text that ends in a line break."""
    return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


RENDERERS = {".html": _html, ".md": _markdown, ".json": to_json}


def publish(session: Session, result: dict[str, Any], reports: Sequence[str], *, footer: str = "") -> None:
    """Write the reports and print the result. All are rendered before the first is written.

    Raises
    ------
    OutputError
        If a report cannot be written after all (a full disk); the result is printed first, so it is not lost.
    """
    from auditkit.io.files import write_atomically

    rendered = [(path, RENDERERS[Path(path).suffix.lower()](result)) for path in reports]
    text = _render(session, result, footer)
    problem = None
    for path, content in rendered:
        try:
            write_atomically(path, content)
        except InputError as error:
            problem = problem or error
            continue
        if session.output_format == "text":
            text += f"\n{'report':<8} {show(path)}"
    session.print(text)
    if problem is not None:
        raise OutputError(str(problem)) from problem


def _render(session: Session, result: dict[str, Any], footer: str) -> str:
    if session.output_format == "json":
        return to_json(result).rstrip("\n")
    if session.output_format == "jsonl":
        return json.dumps({"event": "result", "result": result}, ensure_ascii=False, allow_nan=False)
    from auditkit.report.text import render_text

    return render_text(result, color=session.color, width=session.width).rstrip("\n") + footer


def check_output(option: str, output: str | None, inputs: Sequence[str]) -> None:
    """Refuse an .npz output of another kind, in no writable folder, or on top of an input (AK-CL-008)."""
    if output is None:
        return
    target, name, problem = Path(output), show(output), None
    if target.suffix.lower() != ".npz":
        problem = "must end in .npz"
    elif not target.parent.is_dir() or not os.access(target.parent, os.W_OK | os.X_OK):
        problem = f"its folder {show(target.parent)} must exist and be writable"
    elif target.exists() and not target.is_file():
        problem = "must not be a folder, pipe or device"
    elif target.exists() and any(Path(path).exists() and target.samefile(path) for path in inputs):
        problem = "must not replace an input"
    if problem is not None:
        raise InputError(f"{option} {name}: {problem}", id="AK-CL-008", path=output)
