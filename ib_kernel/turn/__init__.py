"""One turn, one direction: count, admit, reserve, send, settle."""
