"""The one line that an InputError is to the user."""
import pytest

from src.files import InputError


def message(call, *arguments, **keywords):
    """The one line of the InputError that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert '\n' not in str(caught.value)
    return str(caught.value)
