"""inference.json: the settings of the results in a folder, so that those of two settings are never mixed unnoticed."""
import json
import os
import typing
import zlib

from src.files import InputError, write_json
from src.run.movie import count_frames

NAME, MOVIE = 'inference.json', 'flow.mp4'
CHECKSUM = 'checksum'


class InferenceRecord:
    """The file inference.json in a folder of results.

    Args:
        folder: the folder, which need not be there.
        settings: {flag: value} of what decides the results, ready for JSON.
        weights: the path of the weights: the prefix of a TensorFlow checkpoint, or a file.

    Attributes:
        there: whether the folder has results of these settings already.
        movie_path: of the video in the folder.

    Raises:
        InputError: the folder has results of other settings.
    """

    def __init__(self, folder: str, settings: dict, weights: str):
        self._path, self.movie_path = os.path.join(folder, NAME), os.path.join(folder, MOVIE)
        self._settings = dict(settings, checkpoint=os.path.realpath(weights), **{CHECKSUM: _checksum(weights)})
        content = self._read()
        self.there = content is not None
        self._movie = content.get('movie') if content else None
        for name, value in self._settings.items() if content else ():
            before = content['settings'].get(name)
            if before != value:
                raise InputError('--out %s: holds results of %s; choose another folder, or remove that one'
                                 % (folder, 'other weights in %s' % weights if name == CHECKSUM else
                                    '--%s %s, and this is --%s %s' % (name, _shown(before), name, _shown(value))))

    def write(self) -> None:
        """Writes it, once the folder is there; InputError if it cannot be."""
        write_json(self._path, {'settings': self._settings, 'movie': self._movie})

    def has_movie(self, count: typing.Optional[int]) -> bool:
        """Whether the video was finished, is as it was then, and is of as many pairs as there are now.

        Args:
            count: how many pairs the source has; None: not known.
        """
        return self._movie is not None and self._movie == self._tell_movie(count)

    def keep_movie(self, count: typing.Optional[int]) -> None:
        """Remembers that the video of so many pairs is finished."""
        self._movie = self._tell_movie(count)
        self.write()

    def _tell_movie(self, count):
        return {'pairs': count, 'frames': count_frames(self.movie_path) if os.path.isfile(self.movie_path) else 0}

    def _read(self):
        """The content of the file, a dict; None if there is none."""
        try:
            with open(self._path, encoding='utf-8') as file:
                content = json.load(file)
            if not isinstance(content['settings'], dict):
                raise ValueError('no settings')
            return content
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError('%s: cannot be read; without it, what is in the folder is done again (%s)'
                             % (self._path, getattr(error, 'strerror', None) or error))


def _shown(value):
    return 'none' if value is None else value


def _checksum(weights):
    """Tells files of weights apart; a TensorFlow checkpoint's index holds checksums of all its values."""
    path = weights + '.index' if os.path.isfile(weights + '.index') else weights
    found = 0
    try:
        with open(path, 'rb') as file:
            for part in iter(lambda: file.read(2 ** 20), b''):
                found = zlib.crc32(part, found)
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (path, error.strerror or error))
    return found
