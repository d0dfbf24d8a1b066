"""What the candidate did: checks of the work, and the places where somebody's code may run."""
