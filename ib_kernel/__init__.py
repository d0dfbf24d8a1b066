"""Interview Buddy: AI-assisted technical interviews in Jupyter under a strict token budget."""
