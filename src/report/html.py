"""HTML from Python: elements whose text is escaped unless it is HTML already, and the frame of a page."""
import html
import os
import string
import typing

VOID = ('br', 'img', 'input', 'wbr')  # elements without content
HERE = os.path.dirname(os.path.abspath(__file__))


class Html(str):
    """Text that is HTML already, and is not escaped again."""
    __slots__ = ()


def element(name: str, *content: typing.Any, **attributes: typing.Any) -> Html:
    """An element as Html.

    Args:
        content: text, numbers, which are escaped, and Html, which is not.
        attributes: `class_` stands for class, `aria_sort` for aria-sort; True writes the name alone; None and False
            leave it out.
    """
    written = ''.join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in VOID:
        return Html('<%s%s>' % (name, written))
    return Html('<%s%s>%s</%s>' % (name, written, joined(content), name))


def joined(parts: typing.Iterable) -> Html:
    """Texts and Html, one behind the other, as Html."""
    return Html(''.join(part if isinstance(part, Html) else html.escape(str(part)) for part in parts))


def breakable(text: str) -> Html:
    """A path as Html whose lines may break behind each slash."""
    return Html(joined([text]).replace('/', '/<wbr>'))


def page(title: str, *content: typing.Any) -> str:
    """A whole page of sections, in which the browser is told to fetch nothing: styles, scripts and images are inside.

    Returns:
        Its text.
    """
    return writable(string.Template(_read('page.html')).substitute(
        title=joined([title]), style=_read('page.css'), script=_read('page.js'), body=joined(content)))


def writable(text: str) -> str:
    """A text with a question mark for each byte of a file's name that is no UTF-8."""
    return text.encode('utf-8', 'replace').decode('utf-8')


def _attribute(key, value):
    name = key.rstrip('_').replace('_', '-')
    return ' ' + name if value is True else ' %s="%s"' % (name, html.escape(str(value)))


def _read(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as file:
        return file.read().rstrip('\n')
