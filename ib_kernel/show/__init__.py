"""What both roofs show: somebody's Markdown as safe HTML, and a session's figures in words."""
