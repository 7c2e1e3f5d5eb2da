"""What C libraries print reaches the program, and not the user."""
import ctypes

import pytest

from src.flow import quiet

pytestmark = pytest.mark.skipif(quiet._memory is None, reason='not glibc')


def print_from_c(text):
    """Prints to C's stderr, as libjpeg does."""
    libc = ctypes.CDLL(None)
    libc.fputs(text, ctypes.c_void_p.in_dll(libc, 'stderr'))


def test_lines_are_those_of_this_block(capfd):
    two = ['a long line that says much', 'Corrupt JPEG data: 5 bytes']
    for text, lines in (('\n'.join(two).encode(), two), (b'short\n', ['short']), (b'', []), (9000 * b'x', None)):
        with quiet.quiet() as printed:
            print_from_c(text)
            assert lines is None or printed() == lines
    assert capfd.readouterr().err == ''
    print_from_c(b'heard again\n')
    assert capfd.readouterr().err == 'heard again\n'


def test_blocks_within_blocks():
    with quiet.quiet() as outer:
        print_from_c(b'one\n')
        with quiet.quiet() as inner:
            print_from_c(b'two\n')
            assert inner() == ['one', 'two']
        assert outer() == ['one', 'two']
