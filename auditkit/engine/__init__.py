"""Runs many independent tasks, in this process or in others, and keeps a journal so that a stop loses nothing."""
