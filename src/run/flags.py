"""The flags of the scripts: typed, checked, and read nowhere else; and how a script ends."""
import argparse
import sys

from src.files import InputError

DEFAULT_CHECKPOINT = './checkpoints/FlowNet2/flownet-2.ckpt-0'
NETS = ('C', 'S', 'SD', 'CS', 'CSS', '2')
CHIPS = ('auto', 'gpu', 'npu', 'cpu')


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit status 1; no abbreviations."""

    def __init__(self, description):
        super().__init__(description=description, allow_abbrev=False,
                         formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    def error(self, message):
        self.exit(1, '%s: error: %s\n' % (self.prog, message))


def start(main):
    """Runs main(); what the user gave wrong becomes one line and exit status 1, Ctrl-C exit status 130."""
    sys.stdout.reconfigure(line_buffering=True, errors='replace')  # logs in files are read as they grow, in any locale
    try:
        main()
    except InputError as error:
        sys.exit('%s: error: %s' % (sys.argv[0].rsplit('/', 1)[-1], error))
    except KeyboardInterrupt:
        sys.exit(130)


def boolean(text):
    """True/False, true/false or 1/0, and nothing else."""
    values = {'True': True, 'true': True, '1': True, 'False': False, 'false': False, '0': False}
    if text not in values:
        raise argparse.ArgumentTypeError('%r is neither True nor False' % text)
    return values[text]


def whole(least, most=float('inf')):
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


def number(text):
    """A finite number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError('%r is not a number' % text)
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError('%r is not a finite number from 0 up' % text)
    return value


def width(text):
    """A share of the channels, rounded to 1/1024: checkpoints tell it by conv6, which has 1024 channels at width 1."""
    steps = round(1024 * number(text))
    if steps < 1:
        raise argparse.ArgumentTypeError('%r is less than 1/1024' % text)
    return steps / 1024


def comma_separated(kind):
    """The type of lists of `kind`; an empty text is an empty list."""
    return lambda text: [kind(item.strip()) for item in text.split(',')] if text.strip() else []


def size(least=16):
    """The type of image sizes H,W in pixels, from `least` up."""
    def parse(text):
        sides = comma_separated(whole(least))(text)
        if len(sides) != 2:
            raise argparse.ArgumentTypeError('%r is not a size H,W' % text)
        return tuple(sides)
    return parse


def test_flags():
    """The flags of flownet2_test.py."""
    parser = Parser('Infers the flow of an image pair.')
    parser.add_argument('--input_a', required=True, help='the first image: PNG, JPEG or PPM')
    parser.add_argument('--input_b', required=True, help='the second image, of the same size')
    parser.add_argument('--out', '--out_path', required=True, help='folder for the results, made if missing')
    parser.add_argument('--save_flo', type=boolean, default=False, help='also write the flow as .flo')
    _add_net_flags(parser)
    _add_checkpoint_flag(parser)
    return parser


def val_flags():
    """The flags of flownet2_val.py."""
    parser = Parser('Measures the endpoint error (EPE) of a net over a list of pairs.')
    parser.add_argument('--dataset', required=True, help='data folder, such as MPI Sintel')
    parser.add_argument('--test_file', required=True, help='list of pairs: image_a,image_b,flow a line')
    parser.add_argument('--result', default='', help='folder for metrics.json')
    parser.add_argument('--status', choices=('clean', 'final'), default='clean', help="Sintel's rendering pass")
    parser.add_argument('--image_size', type=size(), default='436,1024',
                        help='H,W whose graph is made beforehand; other images run at their own size')
    parser.add_argument('--batch_size', type=whole(1), default=1, help='pairs that run at once')
    _add_net_flags(parser)
    _add_checkpoint_flag(parser)
    return parser


def train_flags():
    """The flags of flownet2_train.py; the defaults are the fine-tuning on Sintel (spec: the Ascend port's)."""
    parser = Parser('Trains or fine-tunes a net.')
    add = parser.add_argument
    add('--dataset', default='./data/sintel', help='data folder, such as MPI Sintel')
    add('--status', choices=('clean', 'final'), default='clean', help="Sintel's rendering pass")
    add('--train_file', default='./data/sintel/train.txt', help='list of the pairs to train on')
    add('--val_file', default='./data/sintel/val.txt', help='list of the pairs to validate on')
    add('--result', default='./result', help='folder for checkpoints, history.csv and config.json')
    add('--pretrained', default='', help='checkpoint to start from; empty: drawn weights (He)')
    add('--resume_path', default='', help='a --result folder or its latest.ckpt-<step>, to go on from')
    add('--image_size', type=size(), default='436,1024', help='H,W of the random crops')
    add('--batch_size', type=whole(1), default=4, help='pairs a step')
    add('--train_step', type=whole(1), default=10500, help='steps in all')
    add('--save_step', type=whole(1), default=500, help='steps between validations, each with a checkpoint')
    add('--log_step', type=whole(1), default=10, help='steps between lines of the log and of history.csv')
    add('--learning_rates', type=comma_separated(number), default='1e-6,5e-7,2.5e-7,1.25e-7,6.25e-8,1e-8',
        help='one more than --step_values')
    add('--step_values', type=comma_separated(whole(1)), default='8000,8500,9000,9500,10000',
        help='steps at which the next rate begins; empty: one constant rate')
    add('--momentum', type=number, default=.9, help="Adam's first moment")
    add('--momentum2', type=number, default=.999, help="Adam's second moment")
    add('--weight_decay', type=number, default=4e-4, help='on convolution weights that are trained')
    add('--width', type=width, default=1., help='share of the channels (a checkpoint tells its own): 1, or 0.375')
    add('--trainable', choices=('last', 'all'), default='last', help='the last net of a stack, or all of it')
    add('--num_workers', type=whole(1), default=4, help='threads that read pairs')
    add('--seed', type=whole(0, 2 ** 32 - 1), default=0, help='of weights, order and crops')
    _add_net_flags(parser)
    return parser


def _add_net_flags(parser):
    parser.add_argument('--net', choices=NETS, default='2', help='which network')
    parser.add_argument('--chip', choices=CHIPS, default='auto', help='auto: npu or gpu where there is one, else cpu')
    parser.add_argument('--gpu_device', type=whole(0), default=0, help='which GPU')


def _add_checkpoint_flag(parser):
    parser.add_argument('--checkpoint', default=DEFAULT_CHECKPOINT, help='trained weights; they tell the width')
