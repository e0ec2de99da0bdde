"""``auditkit doctor``: what works on this machine."""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._common import EXIT_FAILED, EXIT_OK, Session, Verb
from auditkit.errors import show

MARKS = {"pass": "ok", "fail": "FAILED"}


@click.command("doctor", cls=Verb)
@click.pass_obj
def command(session: Session, /) -> int:
    """What works on this machine?

    Versions, build, threads, memory and extras, and a self-test of the
    kernels against reference values. The exit code is 0 only if the self-test
    passes, else 3.

    \b
    Example:
      auditkit doctor --format json
    """
    import json

    from auditkit.cli._reports import to_json
    from auditkit.diagnosis import diagnose

    found = diagnose()
    if session.output_format == "json":
        session.print(to_json(found).rstrip("\n"))
    elif session.output_format == "jsonl":
        session.print(json.dumps({"event": "result", "result": found}, ensure_ascii=False, allow_nan=False))
    else:
        session.print(_text(found))
    return EXIT_OK if found["self_test"]["status"] == "pass" else EXIT_FAILED


def _text(found: dict[str, Any]) -> str:
    build = found["build"]
    core = "not found" if build is None else f"{build['isa']}, {build['compiler']}, {build['build_type']}"
    if build is not None and build["sanitize"]:
        core += f", sanitizers {build['sanitize']}"
    lines = [
        ("auditkit", found["versions"]["auditkit"]),
        ("core", core),
        ("python", f"{found['versions']['python']} on {found['platform']}"),
        (
            "packages",
            ", ".join(f"{name} {version or 'missing'}" for name, version in found["packages"].items()),
        ),
        ("extras", ", ".join(f"{name} {version or '-'}" for name, version in found["extras"].items())),
        ("threads", str(found["threads"])),
        ("memory", _gigabytes(found["memory_bytes"])),
    ]
    text = [f"{name:<9} {show(value, 200)}" for name, value in lines]
    text += [f"warning   {show(warning, 200)}" for warning in found["warnings"]]
    tests = found["self_test"]["tests"]
    text += [f"self-test {MARKS[t['status']]:<6}  {t['name']}" + _detail(t) for t in tests]
    verdict = (
        "passed"
        if found["self_test"]["status"] == "pass"
        else "FAILED: do not trust results of this installation"
    )
    return "\n".join([*text, f"self-test {verdict}, {found['self_test']['seconds']:.2f} s"])


def _detail(test: dict[str, Any]) -> str:
    return f": {show(test['text'], 160)}" if test["status"] == "fail" else ""


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**30:.1f} GiB available"
