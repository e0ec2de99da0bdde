"""What is kept of a training with gradient canaries, and how it is tested against what was declared."""
