"""Statistics on counts and scores: the posterior of epsilon and lower bounds. NumPy and the core only."""
