"""Reports: pure functions of a result dictionary, so that any saved result can be rendered again."""

from __future__ import annotations

from auditkit.report.html import render_card, render_html
from auditkit.report.markdown import render_markdown
from auditkit.report.text import render_text

__all__ = ["render_card", "render_html", "render_markdown", "render_text"]
