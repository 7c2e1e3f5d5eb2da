"""Huawei's ModelArts: where it puts data and expects results. moxing, its file library, is imported only for URLs.

The platform starts a script with --data_url and --train_url, and with flags of its own beside them. An old ModelArts
gives obs:// or s3:// URLs (two names of one), a new one local folders.
"""
import os
import re
import shutil
import tempfile
import typing

from src.files import InputError, make_folder, one_at_a_time
from src.paths import DEFAULT, PUBLISHED

CACHE = '/cache'  # ModelArts' scratch disk
REMOTE = ('obs://', 's3://')


def add_flags(parser: typing.Any) -> None:
    """Adds the platform's flags."""
    parser.add_argument('--data_url', default='', help='ModelArts: where the data lie, obs://, s3:// or a folder')
    parser.add_argument('--train_url', default='', help='ModelArts: where results go, obs://, s3:// or a folder')


def parse(parser: typing.Any, arguments: typing.Optional[typing.List[str]] = None) -> typing.Any:
    """Parses like parser.parse_args; but with the platform at work, flags that are not known are named and ignored."""
    args, unknown = parser.parse_known_args(arguments)
    if unknown and not (args.data_url or args.train_url):
        parser.error('unrecognized arguments: %s' % ' '.join(unknown))
    if unknown:
        print('ModelArts: ignored, not known here: %s' % ' '.join(unknown), flush=True)
    return args


class Platform:
    """Takes data from the platform, and brings it results: a context, at whose end, good or bad, they are copied.

    What args name by --dataset, --train_file, --val_file and --pretrained is looked for in --data_url first, by the
    end of its path: data/sintel/train.txt there, then sintel/train.txt, then train.txt; one folder of --dataset that
    is not there is --data_url itself. A local --train_url is the --result folder. To an obs:// one, --result is
    copied, and from there, where --result is missing, a run to go on with. The processes of a machine share one copy
    of either. Without URLs, nothing happens.

    Args:
        args: parsed flags; they are changed to what is on the local disk.
        rank: of this process; only rank 0 copies results.

    Raises:
        InputError: moxing is missing, or cannot copy.
    """

    def __init__(self, args: typing.Any, rank: int = 0):
        self._rank, self._target, self._result = rank, '', args.result
        if args.data_url:
            _take_data(args, _local_data(args.data_url))
        if args.train_url:
            self._take_result(args)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._copy_results()
        else:
            self.copy_results()

    def copy_results(self) -> None:
        """Copies the result folder, as it is now, to an obs:// --train_url; the run does not end if that fails."""
        try:
            self._copy_results()
        except InputError as error:
            print('ModelArts: %s' % error, flush=True)

    def _copy_results(self):
        if self._target and self._rank == 0 and os.path.isdir(self._result):
            _copy(self._result, self._target)

    def _take_result(self, args):
        if not _is_remote(args.train_url):
            if args.resume_path == args.result:
                args.resume_path = args.train_url
            args.result = args.train_url
            return
        self._target = args.train_url
        if _moxing().file.exists(args.train_url):
            _copy_once(args.train_url, args.result)


def _take_data(args, data):
    """Changes the paths in args to those that the folder `data` has."""
    if not set(args.dataset) & set(':,@'):  # one folder; what names kinds and weights stands as it is
        args.dataset = _found(data, args.dataset) or data
    args.train_file = _found(data, args.train_file) or args.train_file
    args.val_file = _found(data, args.val_file) or args.val_file
    args.pretrained = [_weights(data, path) for path in args.pretrained]


def _weights(data, path):
    """The weights in the folder `data` that `path` means, or `path`."""
    name = PUBLISHED if path == DEFAULT else path
    return _found(data, name, '.index') or _found(data, name) or path


def _found(folder, path, ending=''):
    """The longest end of `path` that is in `folder`, as a path, or None; it is there if it is with `ending`."""
    parts = [part for part in os.path.normpath(path).split(os.sep) if part not in ('', '.', '..')] if path else []
    places = [os.path.join(folder, *parts[start:]) for start in range(len(parts))]
    return next((place for place in places if os.path.exists(place + ending)), None)


def _local_data(url):
    """The folder that holds what is at `url`: for obs://, a copy on the scratch disk."""
    if not _is_remote(url):
        if not os.path.isdir(url):
            raise InputError('--data_url %s: no such folder' % url)
        return url
    cache = os.path.join(CACHE if os.path.isdir(CACHE) else tempfile.gettempdir(), 'flownet2_data')
    make_folder(cache)
    folder = os.path.join(cache, re.sub(r'\W+', '_', url.split('://')[1]).strip('_'))
    if not _copy_once(url, folder):
        print('%s: copied to %s before; remove that to copy it anew' % (url, folder), flush=True)
    return folder


def _is_remote(url):
    return url.startswith(REMOTE)


def _copy_once(url, folder):
    """Makes `folder` a copy of what is at `url`, unless it is there; returns whether it did.

    Of the processes of this machine one copies, and the others wait for it; the folder appears whole.
    """
    with one_at_a_time(folder):
        if os.path.isdir(folder):
            return False
        part = os.path.abspath(folder) + '.part'
        shutil.rmtree(part, ignore_errors=True)
        make_folder(part)
        _copy(url, part)
        os.rename(part, folder)
        return True


def _copy(source, target):
    try:
        _moxing().file.copy_parallel(source, target)
    except InputError:
        raise
    except Exception as error:  # moxing's own kinds
        raise InputError('%s: cannot be copied to %s (%s)' % (source, target, error))


def _moxing():
    try:
        import moxing
    except ImportError as error:
        raise InputError('a URL of %s needs moxing, which ModelArts has (%s)' % (' or '.join(REMOTE), error))
    return moxing
