"""Promises about the source itself: documented errors, docstrings, layers, nothing left half done."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "auditkit"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "opacus", "sklearn", "scipy", "matplotlib", "cupy", "dask", "ray")
# Modules that subclass a library's classes, loaded only by name: what they may import at their top.
SUBCLASSES = {"auditkit.batchpi.estimators": {"sklearn"}, "auditkit.uncertainty.estimators": {"sklearn"}}
ERROR_ID = re.compile(r"\bAK-[A-Z]{2}-\d{3}\b")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(node: ast.AST, *, inside_functions: bool) -> set[str]:
    """Modules that are imported; names under TYPE_CHECKING do not count, they cost nothing at run time."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            found |= {child.module} | {f"{child.module}.{alias.name}" for alias in child.names}
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found |= imports(child, inside_functions=inside_functions)
    return found


def uses(modules: set[str], *prefixes: str) -> set[str]:
    return {
        name for name in modules for prefix in prefixes if name == prefix or name.startswith(f"{prefix}.")
    }


def sources() -> list[Path]:
    patterns = [
        "auditkit/**/*.py*",
        "csrc/**/*.[chi]*",
        "tests/**/*.py",
        "tools/**/*.py",
        "cmake/*",
        "docs/**/*.md",
    ]
    own = Path(__file__).resolve()
    return [
        p
        for pattern in patterns
        for p in ROOT.glob(pattern)
        if p.is_file() and p.suffix != ".pyc" and p != own
    ]


def test_nothing_is_left_half_done():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not found, "\n".join(found)


def documented_ids() -> list[str]:
    return re.findall(
        r"^\| (AK-[A-Z]{2}-\d{3}) \|", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_every_error_id_is_documented_once_and_every_documented_one_exists():
    used = {found for path in MODULES for found in ERROR_ID.findall(path.read_text(encoding="utf-8"))}
    documented = documented_ids()
    assert sorted(used - set(documented)) == [], "missing in docs/errors.md"
    assert sorted(set(documented) - used) == [], "in docs/errors.md but nowhere in the code"
    assert len(documented) == len(set(documented))


def public_members(node: ast.ClassDef):
    """Methods that need words of their own: not `to_dict`, and not those that a library's class documents."""
    if any(isinstance(base, ast.Attribute) for base in node.bases):
        return
    for member in node.body:
        if (
            isinstance(member, ast.FunctionDef)
            and not member.name.startswith("_")
            and member.name != "to_dict"
        ):
            yield f"{node.name}.{member.name}", member


def public_definitions(path: Path):
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_members(node)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_public_names_have_docstrings(path):
    module = tree(path)
    if module.body:
        assert ast.get_docstring(module), f"{module_name(path)} has no docstring"
    if not any(part.startswith("_") and part != "__init__" for part in path.with_suffix("").parts):
        bare = [name for name, node in public_definitions(path) if not ast.get_docstring(node)]
        assert bare == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_heavy_libraries_are_imported_inside_functions(path):
    heavy = set(HEAVY) - SUBCLASSES.get(module_name(path), set())
    assert uses(imports(tree(path), inside_functions=False), *heavy) == set()


# Each layer and what it must never import, wherever in the file: down once, up once.
FORBIDDEN = {
    "auditkit/errors.py": ("auditkit",),
    "auditkit/runtime.py": ("auditkit.privacy", "auditkit.report", "auditkit.cli", "auditkit.io"),
    "auditkit/io": ("auditkit.privacy", "auditkit.report", "auditkit.cli"),
    "auditkit/engine": ("auditkit.privacy", "auditkit.report", "auditkit.cli", "auditkit.io"),
    "auditkit/privacy/epsilon": (
        *("auditkit.cli", "auditkit.report", "auditkit.io", "auditkit.engine"),
        *("auditkit.privacy.audit", "auditkit.privacy.evidence", "auditkit.privacy.checks"),
        *("torch", "opacus", "sklearn", "scipy"),
    ),
    "auditkit/arguments.py": (
        "auditkit.cli",
        "auditkit.privacy",
        "auditkit.batchpi",
        "auditkit.report",
        "auditkit.io",
    ),
    "auditkit/privacy": ("auditkit.cli", "auditkit.batchpi", "auditkit.bayes_error"),
    "auditkit/uncertainty": (
        *("auditkit.cli", "auditkit.privacy", "auditkit.engine", "auditkit.batchpi"),
        "auditkit.bayes_error",
    ),
    "auditkit/batchpi": ("auditkit.cli", "auditkit.privacy", "auditkit.engine", "auditkit.bayes_error"),
    "auditkit/bayes_error": ("auditkit.cli", "auditkit.privacy", "auditkit.engine", "auditkit.batchpi"),
    "auditkit/testing": ("auditkit.cli", "auditkit.report", "pytest"),
    "auditkit/conditions.py": ("auditkit.cli", "auditkit.privacy", "auditkit.batchpi", "auditkit.report"),
    "auditkit/report": (
        "auditkit.cli",
        "auditkit.privacy",
        "auditkit.batchpi",
        "auditkit.bayes_error",
        "auditkit.uncertainty",
        "auditkit.runtime",
        "numpy",
        "scipy",
        "matplotlib",
    ),
}


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_layers_import_only_what_lies_below(layer):
    place = ROOT / layer
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files, f"{layer} has moved: mend the table above"
    found = {
        f"{module_name(path)} imports {name}"
        for path in files
        for name in uses(imports(tree(path), inside_functions=True), *FORBIDDEN[layer])
    }
    assert found == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=module_name)
def test_the_command_line_starts_without_numpy(path):
    assert (
        uses(imports(tree(path), inside_functions=False), "numpy", "auditkit.privacy", "auditkit.report")
        == set()
    )


def test_import_auditkit_loads_nothing_heavy():
    program = f"import sys, auditkit; print([m for m in {(*HEAVY, 'numpy')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded():
    import auditkit

    for name in auditkit.__all__:
        assert getattr(auditkit, name) is not None
    assert dir(auditkit) == sorted(auditkit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'epsilon_of_life'"):
        auditkit.epsilon_of_life  # noqa: B018


def test_kernels_for_instruction_sets_use_no_std_templates():
    for path in (ROOT / "csrc" / "kernels").glob("*.inl"):
        code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        plain = {"size_t", "uint8_t", "int32_t", "int64_t", "uint32_t", "uint64_t", "memcpy"}
        assert set(re.findall(r"std::(\w+)", code)) <= plain, path
        assert set(re.findall(r"#include <(.*)>", code)) <= {"cstdint", "cstring"}, path


def test_shared_headers_include_nothing_but_cmath_and_cstdint():
    for path in (ROOT / "csrc" / "include" / "auditkit").glob("*.hpp"):
        text = path.read_text(encoding="utf-8")
        if "AUDITKIT_HD " in text and path.name != "portable.hpp":
            assert re.findall(r"#include <(.*)>", text) == [], path
