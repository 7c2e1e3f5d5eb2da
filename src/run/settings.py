"""The settings of a training run: checked once, and saved with its results."""
import dataclasses
import typing

from src.files import InputError
from src.paths import weights_path

MARGIN = 64  # pixels


@dataclasses.dataclass
class Settings:
    """The settings of a run; config.json beside its checkpoints holds them."""
    stage: str  # what the others' defaults came from
    schedule: str
    net: str
    width: float  # fraction of the paper's channels; ignored where a checkpoint is given, whose width counts
    trainable: str  # 'last' net of the stack, or 'all'
    dataset: str
    status: str
    train_file: str
    val_file: str
    image_size: tuple  # (H, W) of the crops
    augment: str  # a table of augment_draws.TABLES
    batch_size: int  # pairs a step, of each of the ranks
    ranks: int  # processes that train together
    num_workers: int
    seed: int
    train_step: int
    save_step: int
    log_step: int
    learning_rates: list
    step_values: list  # steps at which the rate changes
    momentum: float
    momentum2: float
    weight_decay: float
    chip: str  # as given; the next six are how it computes (opening.py, npu_session.py)
    correlation: str
    precision: str
    xla: bool
    precision_mode: str
    loss_scale: float
    modify_mixlist: str
    pretrained: list  # paths of weights, each of which adds nets to the ones before
    resume_path: str
    result: str

    @classmethod
    def from_flags(cls, args: typing.Any, ranks: int = 1) -> 'Settings':
        """Takes the other fields from parsed flags of the same names; InputError for values that do not go together."""
        values = dict(vars(args), ranks=ranks, pretrained=[weights_path(path) for path in args.pretrained])
        settings = cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})
        settings.check()
        return settings

    def check(self) -> None:
        """Raises an InputError for values that do not go together."""
        if len(self.learning_rates) != len(self.step_values) + 1:
            raise InputError('--learning_rates has %d numbers, --step_values %d; N rates need the N-1 steps at which '
                             'the rate changes; one rate alone, without --step_values, is constant'
                             % (len(self.learning_rates), len(self.step_values)))
        if self.step_values != sorted(set(self.step_values)):
            raise InputError('--step_values %s: not in ascending order' % self.step_values)
        for name in ('momentum', 'momentum2'):
            if not getattr(self, name) < 1:
                raise InputError('--%s %g: must be below 1' % (name, getattr(self, name)))

    def generated_size(self) -> typing.Tuple[int, int]:
        """(H, W) of pairs that are generated to train on: the crops, and room around them for the augmentation."""
        return tuple(side + (0 if self.augment == 'none' else MARGIN) for side in self.image_size)

    def pairs_of_step(self) -> int:
        """How many pairs all processes together take in a step."""
        return self.ranks * self.batch_size

    def learning_rate(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return self.learning_rates[sum(step >= value for value in self.step_values)]
