"""Replies, figures and tables as a notebook or a terminal shows them."""
