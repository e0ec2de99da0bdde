"""Data that ships in the wheel: the scores an attack saw on a real model, and where they come from."""
