"""Who asks what, and what goes along."""
