"""What a judge is asked, what it may answer, and what several of its looks come to. Pure."""
