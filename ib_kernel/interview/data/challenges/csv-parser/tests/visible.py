from entry import BadCsv, parse


def test_plain_rows():
    assert parse("a,b\n1,2\n") == [["a", "b"], ["1", "2"]]


def test_a_quoted_field_may_hold_anything():
    assert parse('x,"1,5 ""m""\nlong"\n') == [["x", '1,5 "m"\nlong']]


def test_a_quoted_field_that_never_ends_is_named():
    place = None
    try:
        parse('a\nb,"c')
    except BadCsv as error:
        place = (error.line, error.column)
    assert place == (2, 3)
