class Document:
    """A text with undo and redo."""

    def __init__(self, text="", limit=100):
        raise NotImplementedError

    @property
    def text(self):
        raise NotImplementedError

    def insert(self, position, text):
        raise NotImplementedError

    def delete(self, position, count):
        raise NotImplementedError

    def undo(self):
        raise NotImplementedError

    def redo(self):
        raise NotImplementedError
