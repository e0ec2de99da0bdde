"""What every test runs under."""

from hypothesis import settings

# The suite passes or fails by what it tests, not by the examples of the day; look further with
# `pytest --hypothesis-profile=explore`.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("repeatable")
