import hashlib
import re

from entry import check_parser

PATTERN = r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?"


def parser(
    pattern=PATTERN,
    strip=" ",
    lower=False,
    weights=(3600, 60, 1),
    empty=False,
    error=ValueError,
    most=None,
):
    def parse(text):
        text = text.strip(strip) if strip is not None else text
        found = re.fullmatch(pattern, text.lower() if lower else text)
        if not found or (not empty and not any(found.groups())):
            raise error(text)
        parts = [int(part or 0) for part in found.groups()]
        if most is not None and max(parts[1:]) > most:
            raise ValueError(text)
        return sum(part * weight for part, weight in zip(parts, weights))

    return parse


WRONG = {
    "capital letters": parser(lower=True),
    "no spaces around": parser(strip=None),
    "empty is zero": parser(empty=True),
    "sixty minutes refused": parser(most=59),
    "signs": parser(r"(?:([+-]?[0-9]+)h)?(?:([+-]?[0-9]+)m)?(?:([+-]?[0-9]+)s)?"),
    "other digits": parser(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?"),
    "spaces inside": parser(r"(?:([0-9]+)h ?)?(?:([0-9]+)m ?)?(?:([0-9]+)s)?"),
    "minutes as hours": parser(weights=(3600, 3600, 1)),
    "seconds lost": parser(weights=(3600, 60, 0)),
    "unit may be missing": parser(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s?)?"),
    "another error": parser(error=KeyError),
    "single digits": parser(r"(?:([0-9])h)?(?:([0-9]{1,2})m)?(?:([0-9]{1,2})s)?"),
}
RIGHT = {"by pattern": parser(), "by scanning": None}


def _scanning(text):
    text, total, last = text.strip(" "), 0, -1
    if not text:
        raise ValueError(text)
    while text:
        size = 0
        while size < len(text) and text[size] in "0123456789":
            size += 1
        place = "hms".find(text[size : size + 1]) if size and size < len(text) else -1
        if place <= last or place < 0:
            raise ValueError(text)
        total, last, text = total + int(text[:size]) * (3600, 60, 1)[place], place, text[size + 1 :]
    return total


def _outcome(parse):
    try:
        check_parser(parse)
    except AssertionError:
        return "caught"
    except BaseException as error:
        return type(error).__name__
    return "passed"


def _sealed(name, parse):
    """The outcome together with its place, so that an answer says more than yes or no."""
    return hashlib.sha256(f"{name}: {_outcome(parse)}".encode()).hexdigest()[:16]


def run_wrong_parsers_about_text():
    return [_sealed(name, WRONG[name]) for name in list(WRONG)[:6]]


def run_wrong_parsers_about_numbers():
    return [_sealed(name, WRONG[name]) for name in list(WRONG)[6:]]


def run_right_parsers():
    return [_sealed(name, parse or _scanning) for name, parse in RIGHT.items()]
