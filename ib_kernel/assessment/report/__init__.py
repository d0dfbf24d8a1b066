"""What is said about one interview, in two editions: for the hiring team, and for the candidate."""
