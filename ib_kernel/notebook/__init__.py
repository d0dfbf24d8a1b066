"""What a notebook shows and understands: magics, streamed replies, the gauge, the widget."""
