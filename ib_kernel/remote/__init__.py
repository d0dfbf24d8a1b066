"""The engine's other implementation: an interview that a host holds, over HTTP. Needs no server."""
