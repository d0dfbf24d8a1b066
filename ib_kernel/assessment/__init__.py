"""What people conclude, and what is kept: scorecards, judges, comparisons, reports, care for data."""
