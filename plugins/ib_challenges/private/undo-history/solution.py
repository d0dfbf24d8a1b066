class Document:
    def __init__(self, text="", limit=100):
        self._text, self._limit = text, limit
        self._done, self._undone, self._typing = [], [], False

    @property
    def text(self):
        return self._text

    def insert(self, position, text):
        if not 0 <= position <= len(self._text):
            raise IndexError(position)
        if text:
            self._change(position, "", text)

    def delete(self, position, count):
        if position < 0 or count < 0 or position + count > len(self._text):
            raise IndexError(position)
        if count:
            self._change(position, self._text[position : position + count], "")

    def _change(self, position, old, new):
        self._put(position, old, new)
        self._undone.clear()
        last = self._done[-1] if self._done and self._typing else None
        word = not old and not any(letter.isspace() for letter in new)
        if (
            word
            and last
            and last[0] + len(last[2]) == position
            and not any(c.isspace() for c in last[2])
        ):
            self._done[-1] = last[0], "", last[2] + new
        else:
            self._done.append((position, old, new))
            del self._done[: -self._limit]
        self._typing = not old

    def _put(self, position, old, new):
        self._text = self._text[:position] + new + self._text[position + len(old) :]

    def undo(self):
        if not self._done:
            return False
        position, old, new = self._done.pop()
        self._put(position, new, old)
        self._undone.append((position, old, new))
        self._typing = False
        return True

    def redo(self):
        if not self._undone:
            return False
        step = self._undone.pop()
        self._put(*step)
        self._done.append(step)
        self._typing = False
        return True
