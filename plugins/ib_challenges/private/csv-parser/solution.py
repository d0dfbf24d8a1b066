class BadCsv(ValueError):
    def __init__(self, message, line, column):
        super().__init__(f"{message} (line {line}, column {column})")
        self.line, self.column = line, column


def parse(text, delimiter=","):
    rows, row, at, end = [], [], 0, len(text)
    while at < end:
        if text[at] == '"':
            field, at = _quoted(text, at, delimiter)
        else:
            start = at
            while at < end and text[at] not in (delimiter, "\n"):
                at += 1
            field = text[start:at]
            if text[at : at + 1] == "\n" and field.endswith("\r"):
                field = field[:-1]
        row.append(field)
        if text[at : at + 2] == "\r\n":
            at += 1
        if text[at : at + 1] == delimiter:
            at += 1
            if at == end:
                row.append("")
            elif text[at] == "\n" or text[at : at + 2] == "\r\n":
                continue
            if at < end:
                continue
        rows.append(row)
        row = []
        at += 1
    return rows


def _quoted(text, start, delimiter):
    parts, at = [], start + 1
    while True:
        close = text.find('"', at)
        if close < 0:
            raise BadCsv("a quoted field never ends", *_place(text, start))
        parts.append(text[at:close])
        at = close + 1
        if text[at : at + 1] != '"':
            break
        parts.append('"')
        at += 1
    if at < len(text) and text[at] not in (delimiter, "\n") and text[at : at + 2] != "\r\n":
        raise BadCsv("something follows a closing quotation mark", *_place(text, at))
    return "".join(parts), at


def _place(text, at):
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
