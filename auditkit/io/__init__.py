"""Strict readers and atomic writers. Files are read as data: nothing that they carry is ever run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.io.models import ModelFile, read_model

__all__ = ["ModelFile", "read_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from auditkit.io import models

        return getattr(models, name)
    raise AttributeError(f"module 'auditkit.io' has no attribute {name!r}")
