"""Live widgets: the gauge and the board."""
