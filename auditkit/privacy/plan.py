"""How many canaries or training runs an audit needs before it is run."""

from __future__ import annotations
