import re

from entry import check_parser


def right(text):
    found = re.fullmatch(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text.strip(" "))
    if not found or not any(found.groups()):
        raise ValueError(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def only_one_unit(text):
    return int(text.strip()[:-1]) * {"h": 3600, "m": 60, "s": 1}[text.strip()[-1]]


def caught(parse):
    try:
        check_parser(parse)
    except AssertionError:
        return True
    return False


def test_a_right_parser_passes():
    assert caught(right) is False


def test_a_parser_of_single_units_is_caught():
    assert caught(only_one_unit) is True


def test_a_parser_that_ignores_rubbish_is_caught():
    assert caught(lambda text: right(re.sub(r"[^0-9hms]", "", text))) is True
