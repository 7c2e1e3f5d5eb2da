"""The flags of the scripts: typed, checked, and read nowhere else; and how a script ends."""
import argparse
import os
import signal
import sys
import typing

from src.device import modelarts
from src.files import InputError
from src.interrupts import end_process, heard
from src.memory.exhausted import as_line
from src.paths import DEFAULT, PUBLISHED, SHIPPED, XLA_CACHE, XLA_CACHE_VARIABLE
from src.run.flag_types import above_zero, boolean, comma_separated, number, one_of, size, steps, whole, width
from src.run.stages import SCHEDULES, STAGES

NETS = ('C', 'S', 'SD', 'CS', 'CSS', '2')  # networks.NETS, without TensorFlow, which takes seconds to import
CORRELATIONS = ('auto', 'native', 'graph')
COLLECTIVES = ('auto', 'nccl', 'grpc')
PRECISIONS = ('fp32', 'tf32', 'amp')
SAVE_KINDS = ('png', 'flo', 'kitti', 'npy', 'pfm', 'arrows', 'warp', 'occlusion')  # outputs.KINDS, without OpenCV
VIDEO = 'video'  # of --save: one file of all pairs, not several of each
CHIPS = ('auto', 'gpu', 'npu', 'cpu')
# Those that every version of CANN knows. The first computes in float32 all that the chip can (an Ascend 910's
# convolutions are none of that), and so needs no loss scale.
PRECISION_MODES = ('allow_fp32_to_fp16', 'force_fp32', 'force_fp16', 'must_keep_origin_dtype', 'allow_mix_precision')
Arguments = typing.Optional[typing.List[str]]  # None: those of the command line


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit status 1; no abbreviations."""

    def __init__(self, description: str):
        super().__init__(description=description, allow_abbrev=False,
                         formatter_class=argparse.ArgumentDefaultsHelpFormatter)

    def error(self, message: str) -> None:
        """Ends the script with a line."""
        self.exit(1, '%s: error: %s\n' % (self.prog, message))


def start(main: typing.Callable[[], None]) -> None:
    """Runs main(); what the user gave wrong, or too little memory, is one line and exit status 1, Ctrl-C status 130."""
    sys.stdout.reconfigure(line_buffering=True, errors='replace')  # logs in files are read as they grow, in any locale
    try:
        with heard(signal.SIGINT):
            main()
    except KeyboardInterrupt:
        end_process()
    except Exception as error:
        line = error if isinstance(error, InputError) else as_line(error)
        if line is None:
            raise
        sys.exit('%s: error: %s' % (sys.argv[0].rsplit('/', 1)[-1], line))


def test_flags(arguments: Arguments = None) -> argparse.Namespace:
    """Parses the flags of flownet2_test.py."""
    parser = Parser('Infers the flow of an image pair, or of all pairs of a folder, a list, a video or a camera.')
    add = parser.add_argument
    add('--input_a', help='the first image: PNG, JPEG or PPM')
    add('--input_b', help='the second image, of the same size')
    add('--input', help="instead of these, many pairs: a folder of frames, a list of lines a,b or a,b,out, a video, "
                        "camera:N, or a pattern such as 'a_*.png'")
    add('--out', '--out_path', required=True, help='folder for the results, made if missing')
    add('--every', type=whole(1), default=1, help='--input: take each so many-th frame (of a list: line) alone')
    add('--start', type=whole(0), default=0, help='--input: the number of the first frame (line)')
    add('--count', type=whole(1), help='--input: at most so many pairs')
    add('--batch_size', type=whole(1), default=1, help='--input: pairs of one size that run at once')
    _add_switch(parser, '--skip_broken', '--input: name frames that cannot be read and go on')
    add('--save', type=comma_separated(one_of(SAVE_KINDS + (VIDEO,))), default='png',
        help='of %s; video: flow.mp4, of the frames beside their colours' % ', '.join(SAVE_KINDS + (VIDEO,)))
    _add_switch(parser, '--save_flo', 'also write the flow as .flo')
    _add_switch(parser, '--backward', 'also the flow from B to A')
    add('--max_motion', type=above_zero, help="pixels that get the full colour; none: each flow's largest motion")
    _add_switch(parser, '--legend', 'also write legend.png, the colour wheel')
    add_net_flags(parser)
    add_checkpoint_flag(parser)
    args = parser.parse_args(arguments)
    _check_test_flags(parser, args)
    args.save = args.save + ['flo'] * args.save_flo + ['png'] * (VIDEO in args.save)  # from which a video goes on
    return args


def _check_test_flags(parser, args):
    """Ends with a line if the flags of flownet2_test.py do not go together."""
    pair = [name for name in ('input_a', 'input_b') if getattr(args, name) is not None]
    if args.input is not None and pair:
        parser.error('--input and --%s exclude each other: many pairs, or one' % pair[0])
    if args.input is None and len(pair) < 2:
        parser.error('--input_a and --input_b, or --input, are needed')
    if pair:
        for name in ('every', 'start', 'count', 'batch_size', 'skip_broken'):
            if getattr(args, name) != parser.get_default(name):
                parser.error('--%s: goes with --input, not with --%s' % (name, pair[0]))
        if VIDEO in args.save:
            parser.error('--save video: goes with --input, not with --%s' % pair[0])
    if not args.save:
        parser.error('--save: names nothing')
    if 'occlusion' in args.save and not args.backward:
        parser.error('--save occlusion: compares both directions, and needs --backward')


def val_flags(arguments: Arguments = None) -> argparse.Namespace:
    """Parses the flags of flownet2_val.py."""
    parser = Parser('Measures the endpoint error (EPE) of a net over pairs.')
    add_pairs_flags(parser)
    parser.add_argument('--result', default='', help='folder for metrics.json, metrics.csv and report.html')
    parser.add_argument('--write_submission', choices=('sintel', 'kitti'), help='instead of a measurement: the flows '
                        'of the test set in --dataset, both passes of Sintel, as its server wants them, to --result')
    parser.add_argument('--batch_size', type=whole(1), default=1, help='pairs that run at once')
    add_net_flags(parser)
    add_checkpoint_flag(parser)
    args = parser.parse_args(arguments)
    if args.write_submission and not args.result:
        parser.error('--write_submission %s: needs --result, the folder to write to' % args.write_submission)
    if args.write_submission and args.test_file:
        parser.error('--write_submission %s: takes the whole test set, not a --test_file' % args.write_submission)
    return args


def add_pairs_flags(parser: Parser) -> None:
    """Adds what decides the pairs that are measured."""
    parser.add_argument('--dataset', required=True, help='data folders: [KIND:]FOLDER,… or synthetic:SEED[:LAW]')
    parser.add_argument('--test_file', default='', help="list of pairs; empty: the dataset's own split")
    parser.add_argument('--split', choices=('val', 'train', 'all'), default='val', help='which, where no list is given')
    parser.add_argument('--status', choices=('clean', 'final'), default='clean',
                        help='rendering pass of Sintel and FlyingThings3D')
    parser.add_argument('--image_size', type=size(), default='436,1024',
                        help='does not change results: builds the graph for this size before the first pair')


def train_flags(arguments: Arguments = None) -> argparse.Namespace:
    """Parses the flags of flownet2_train.py.

    --stage and --schedule give the defaults of other flags (stages.py); without them, these are the fine-tuning on
    Sintel. --scale multiplies all numbers of steps.
    """
    parser = Parser('Trains or fine-tunes a net.')
    add = parser.add_argument
    add('--stage', choices=sorted(STAGES), default='sintel', help='a stage of the training: net, schedule, crops, …')
    add('--schedule', choices=sorted(SCHEDULES), help='learning rates and steps')
    add('--dataset', default='./data/sintel', help='data folders: [KIND:]FOLDER[@WEIGHT],… or synthetic:SEED[:LAW]')
    add('--status', choices=('clean', 'final'), default='clean', help='rendering pass of Sintel and FlyingThings3D')
    add('--train_file', default='', help="list of the pairs to train on; empty: the dataset's own split")
    add('--val_file', default='', help="list of the pairs to validate on; empty: the dataset's own split")
    add('--result', default='./result', help='folder for checkpoints, history.csv, event files and config.json')
    add('--pretrained', type=comma_separated(str), default='', help='weights to start from; empty: drawn weights')
    add('--resume_path', default='', help='a --result folder or its latest.ckpt-<step>, to go on from')
    add('--image_size', type=size(), help='H,W of the crops')
    add('--augment', choices=('paper', 'fusion', 'none'), help='augmentation; none: random crops alone')
    add('--batch_size', type=whole(1), help='pairs a step, of each process')
    add('--train_step', type=whole(1), help='steps in all')
    add('--save_step', type=whole(1), help='steps between validations, each with a checkpoint')
    add('--log_step', type=whole(1), default=10, help='steps between lines of the log and of history.csv')
    add('--learning_rates', type=comma_separated(number), help='N rates; one alone is constant')
    add('--step_values', type=comma_separated(whole(1)), help='the N-1 steps at which the rate changes')
    add('--scale', type=number, default=1., help='multiplies all steps, to try a stage quickly')
    add('--momentum', type=number, default=.9, help="Adam's first moment")
    add('--momentum2', type=number, default=.999, help="Adam's second moment")
    add('--weight_decay', type=number, default=4e-4, help='on convolution weights that are trained')
    add('--width', type=width, default=1.,
        help="fraction of the paper's channels; ignored where a checkpoint is given, whose width counts")
    add('--trainable', choices=('last', 'all'), help='the last net of a stack, or all of it')
    add('--num_workers', type=whole(1), default=4, help='processes that read pairs')
    add('--seed', type=whole(0, 2 ** 32 - 1), default=0, help='of weights, order, crops and augmentation')
    add_net_flags(parser)
    add('--loss_scale', type=number, default=0., help='NPU: the loss scale to begin with, such as 4294967296; 0: none')
    add('--collectives', choices=COLLECTIVES, default='auto',
        help='several processes: what carries gradients; auto: nccl between GPUs, else grpc')
    add('--rank_wait', type=number, default=600., help='several processes: seconds in which all must have come')
    modelarts.add_flags(parser)
    schedule = _take_stage(parser, arguments)
    args = modelarts.parse(parser, arguments)
    if len(args.learning_rates) == 1 and args.step_values is SCHEDULES[schedule]['step_values']:
        args.step_values = []  # none were given
    if args.scale != 1:
        _scale_steps(args)
    return args


def _take_stage(parser, arguments):
    """Makes what --stage and --schedule stand for the defaults of the other flags; returns the schedule's name."""
    first, _ = parser.parse_known_args(arguments)
    schedule = first.schedule or STAGES[first.stage]['schedule']
    parser.set_defaults(**dict(STAGES[first.stage], **SCHEDULES[schedule]))
    return schedule


def _scale_steps(args):
    """Multiplies all steps by --scale; rates whose steps fall together leave the first of them."""
    for name in ('train_step', 'save_step'):
        setattr(args, name, max(1, round(args.scale * getattr(args, name))))
    scaled = sorted({max(1, round(args.scale * step)) for step in args.step_values})
    args.learning_rates = args.learning_rates[:len(args.learning_rates) - len(args.step_values) + len(scaled)]
    args.step_values = scaled


def add_net_flags(parser: Parser) -> None:
    """Adds which net it is, where it runs and how it computes."""
    parser.add_argument('--net', choices=NETS, help="which; else the largest in the weights (training: the stage's)")
    parser.add_argument('--chip', choices=CHIPS, default='auto', help='auto: npu or gpu where there is one, else cpu')
    parser.add_argument('--gpu_device', type=whole(0), default=0, help='which GPU')
    parser.add_argument('--correlation', choices=CORRELATIONS, default='auto',
                        help='and, on a CPU, augmentation and layers; native: the ops that make native builds; graph: '
                             'stock operations; auto: native where it is there')
    parser.add_argument('--precision', choices=PRECISIONS, default='tf32',
                        help='GPU: float32, its TF32 where there is such, or float16 with float32 flows and losses')
    _add_switch(parser, '--xla', 'GPU: compile the graph with XLA, in minutes')
    parser.add_argument('--xla_cache', default=os.environ.get(XLA_CACHE_VARIABLE, XLA_CACHE),
                        help='folder of what XLA has compiled, for the next time; empty: none; $%s changes the default'
                        % XLA_CACHE_VARIABLE)
    parser.add_argument('--precision_mode', choices=PRECISION_MODES, default=PRECISION_MODES[0], help='NPU: of CANN')
    parser.add_argument('--modify_mixlist', default='',
                        help='NPU: JSON file, which operations allow_mix_precision computes in float16 and which not')
    parser.add_argument('--profiling', default='', help='NPU: folder for profiles')
    parser.add_argument('--dump', default='', help='NPU: folder for the inputs and outputs of all operations')
    parser.add_argument('--dump_step', type=steps, default='0', help='NPU: the steps of --dump, such as 0|5|10-12')
    parser.add_argument('--over_dump', default='', help='NPU: folder for the operations that overflow')


def _add_switch(parser, name, text):
    """Adds a boolean flag: False where it is missing, True where it comes without a value."""
    parser.add_argument(name, type=boolean, nargs='?', const=True, default=False, help=text)


def add_checkpoint_flag(parser: Parser) -> None:
    """Adds the weights of a net that is not trained."""
    parser.add_argument('--checkpoint', default=DEFAULT,
                        help='trained weights, or a folder with one checkpoint; %s: %s if it is there, else %s'
                        % (DEFAULT, PUBLISHED, SHIPPED))
