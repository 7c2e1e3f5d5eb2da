"""The types of the flags: from the text that the user gave to its value.

Each is a function that argparse calls, or makes one; an argparse.ArgumentTypeError says what is wrong with the text.
"""
import argparse
import re
import typing


def boolean(text: str) -> bool:
    """True/False, true/false or 1/0, and nothing else."""
    values = {'True': True, 'true': True, '1': True, 'False': False, 'false': False, '0': False}
    if text not in values:
        raise argparse.ArgumentTypeError('%r is neither True nor False' % text)
    return values[text]


def whole(least: int, most: float = float('inf')) -> typing.Callable[[str], int]:
    """The type of whole numbers from `least` to `most`."""
    def parse(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError('%r is not a whole number' % text)
        if value < least:
            raise argparse.ArgumentTypeError('%d is less than %d' % (value, least))
        if value > most:
            raise argparse.ArgumentTypeError('%d is more than %d' % (value, most))
        return value
    return parse


def number(text: str) -> float:
    """A finite number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError('%r is not a number' % text)
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError('%r is not a finite number from 0 up' % text)
    return value


def above_zero(text: str) -> float:
    """A finite number above 0."""
    if number(text) == 0:
        raise argparse.ArgumentTypeError('%r is not above 0' % text)
    return number(text)


def one_of(choices: typing.Sequence[str]) -> typing.Callable[[str], str]:
    """The type of words that are among `choices`."""
    def parse(text):
        if text not in choices:
            raise argparse.ArgumentTypeError('%r is none of %s' % (text, ', '.join(choices)))
        return text
    return parse


def width(text: str) -> float:
    """A share of the channels, rounded to 1/1024: checkpoints tell it by conv6, which has 1024 channels at width 1."""
    steps = round(1024 * number(text))
    if steps < 1:
        raise argparse.ArgumentTypeError('%r is less than 1/1024' % text)
    return steps / 1024


def steps(text: str) -> str:
    """Steps and ranges of steps between bars, as CANN takes them."""
    if not re.match(r'\d+(-\d+)?(\|\d+(-\d+)?)*$', text):
        raise argparse.ArgumentTypeError('%r is not like 0|5|10-12' % text)
    return text


def comma_separated(kind: typing.Callable[[str], typing.Any]) -> typing.Callable[[str], list]:
    """The type of lists of `kind`; an empty text is an empty list."""
    return lambda text: [kind(item.strip()) for item in text.split(',')] if text.strip() else []


def size(least: int = 16) -> typing.Callable[[str], typing.Tuple[int, int]]:
    """The type of image sizes H,W in pixels, from `least` up."""
    def parse(text):
        sides = comma_separated(whole(least))(text)
        if len(sides) != 2:
            raise argparse.ArgumentTypeError('%r is not a size H,W' % text)
        return tuple(sides)
    return parse
