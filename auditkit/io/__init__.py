"""Strict readers and atomic writers. NumPy only; nothing here unpickles."""
