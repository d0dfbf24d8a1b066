from entry import BadCsv, parse


def _told(text, *more):
    try:
        return parse(text, *more)
    except BadCsv as error:
        return [f"bad at line {error.line} column {error.column}"]


def run_ends_of_lines():
    return [
        _told(t)
        for t in (
            "one,two\r\nthree,four",
            "one\n\ntwo\n",
            "",
            "\n",
            "last,row,",
            "last,row,\n",
            "lone\rreturn,x",
        )
    ]


def run_quotes():
    return [
        _told(t)
        for t in (
            '"",""""',
            'mid"dle,"x"',
            ' "spaced",y',
            '"a""b""",c',
            '"two\r\nlines",z',
            '""""""',
        )
    ]


def run_other_delimiters():
    return [
        _told("a;b,c;d\n", ";"),
        _told('tab\t"in\tside"\tend', "\t"),
        _told('pipe|"q|q"|x', "|"),
    ]


def run_mistakes():
    return [
        _told(t)
        for t in ('"ab"c,d', 'a,"b" ,c', '"open', 'x\n"y\nz', 'a,"b"x\nc', 'ok\n"fine",\n"a"\t')
    ]


def run_large():
    rows = [
        [f"r{r}c{c}" if (r + c) % 5 else f'quo"te,{r}\n{c}' for c in range(7)] for r in range(3000)
    ]
    text = "\n".join(
        ",".join('"' + f.replace('"', '""') + '"' if '"' in f else f for f in row) for row in rows
    )
    found = _told(text)
    return [found == rows and "equal", len(found), found[1234], found[-1]]
