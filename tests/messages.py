"""What the user is told."""
import pytest

from src.files import InputError


def message(call, *arguments, **keywords):
    """The one line of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def own(stderr):
    """What a process wrote to stderr, without the two lines of TensorFlow 2.19 and 2.20, which heed no level."""
    theirs = b'WARNING: All log messages before absl::InitializeLog()', b'I0000 '
    return b''.join(line for line in stderr.splitlines(True) if not line.startswith(theirs))
