"""The random parameters of the augmentation: FlowNet2's table as data, and how they are drawn from it, in numpy.

They are drawn on the host, a handful per pair, and fed to augment.py, which applies them. They can as well be set by
hand: start from `identity`. (FlowNet 2.0, supplement; Caffe's layer GenerateAugmentationParameters;
docs/spec.md, section 6.)
"""
import typing

import numpy as np

from src.model.affine import Affine

TRIES = 50  # draws of a geometry; if none of them keeps the crop inside the source, it stays neutral
HALF_LIFE = 50000  # iterations in which the spread of the second frame's draws comes half-way to its full size
FLOAT_COUNTS = 2 ** 24  # the whole numbers up to here are float32


class Row(typing.NamedTuple):
    """How one parameter is drawn."""
    kind: str  # 'uniform' or 'gaussian'
    mean: float
    spread: float  # half the range of a uniform one, the standard deviation of a gaussian one
    exp: bool  # whether the parameter is e to the power of what is drawn


class Table(typing.NamedTuple):
    """How all parameters are drawn, {parameter: Row} for each of the four steps, in this order."""
    geometry: dict  # what both frames undergo
    second_geometry: dict  # what the second frame undergoes on top; its spreads grow with the iterations
    colour: dict  # what both frames undergo (noise: the same sigma, but not the same noise)
    second_colour: dict  # what the second frame undergoes on top; its spreads grow with the iterations


def uniform(mean: float, spread: float) -> Row:
    return Row('uniform', mean, spread, exp=False)


def gaussian(mean: float, spread: float) -> Row:
    return Row('gaussian', mean, spread, exp=False)


def exp(row: Row) -> Row:
    return row._replace(exp=True)


TRANSLATE = {  # a fraction of the crop
    'translate_x': uniform(0, .4),
    'translate_y': uniform(0, .4),
}
GEOMETRY = dict(
    TRANSLATE,
    rotate=uniform(0, .4),  # rad
    zoom=exp(uniform(.2, .4)),
    squeeze=exp(uniform(0, .3)),
)
SECOND_GEOMETRY = {
    'second_translate_x': gaussian(0, .03),
    'second_translate_y': gaussian(0, .03),
    'second_rotate': gaussian(0, .03),
    'second_zoom': exp(gaussian(0, .03)),
}
COLOUR = {
    'lmult_pow': exp(uniform(-.2, .4)),
    'lmult_mult': exp(uniform(0, .4)),
    'lmult_add': uniform(0, .03),
    'sat_pow': exp(uniform(0, .4)),
    'sat_mult': exp(uniform(-.3, .5)),
    'sat_add': uniform(0, .03),
    'col1_pow': exp(gaussian(0, .4)),
    'col1_mult': exp(gaussian(0, .2)),
    'col1_add': gaussian(0, .02),
    'col2_pow': exp(gaussian(0, .4)),
    'col2_mult': exp(gaussian(0, .2)),
    'col2_add': gaussian(0, .02),
    'ladd_pow': exp(gaussian(0, .4)),
    'ladd_mult': exp(gaussian(0, .4)),
    'ladd_add': gaussian(0, .04),
    'col_rotate': uniform(0, 1),  # rad
    'noise': uniform(.03, .03),  # sigma, of a range of 0…1
}
SECOND_COLOUR = {
    'gamma': exp(gaussian(0, .02)),
    'contrast': exp(gaussian(0, .02)),
    'brightness': gaussian(0, .02),
    'tint_b': exp(gaussian(0, .02)),
    'tint_g': exp(gaussian(0, .02)),
    'tint_r': exp(gaussian(0, .02)),
}
TABLES = {
    'paper': Table(GEOMETRY, SECOND_GEOMETRY, COLOUR, SECOND_COLOUR),
    'fusion': Table({name: uniform(0, .2) for name in TRANSLATE}, {}, COLOUR, SECOND_COLOUR),
    'none': Table({}, {}, {}, {}),
}


def identity(batch: int) -> typing.Dict[str, np.ndarray]:
    """The parameters that change nothing: {parameter: float32 [batch]}."""
    rows = {name: row for step in TABLES['paper'] for name, row in step.items()}
    params = {name: np.full(batch, 1 if row.exp else 0, np.float32) for name, row in rows.items()}
    return dict(params, noise_seed=np.zeros(batch, np.float32))


def draw(rng: np.random.RandomState, table: Table, batch: int, source_size: typing.Tuple[int, int],
         crop_size: typing.Tuple[int, int], iteration: int) -> typing.Dict[str, np.ndarray]:
    """Draws the augmentation of one batch.

    Args:
        rng: np.random.RandomState; made from [seed, iteration], it gives the same parameters whatever ran before.
        table: one of TABLES.
        batch: number of pairs.
        source_size, crop_size: (H, W) before and (h, w) after.
        iteration: of the training, from 0; the second frame's spreads depend on it.

    Returns:
        {parameter: float32 [batch]}, the parameters of `identity`. Every crop lies inside its source in both frames.
    """
    if crop_size[0] > source_size[0] or crop_size[1] > source_size[1]:
        raise ValueError('a crop of %d×%d does not fit in images of %d×%d' % (tuple(crop_size) + tuple(source_size)))
    params = identity(batch)
    spread = second_spread(iteration)

    def fits(candidates):  # the second frame, which is the first as long as nothing is on top
        return _is_inside(second_frame(dict(params, **candidates)), source_size, crop_size)

    for rows, scale in ((table.geometry, 1), (table.second_geometry, spread)):
        candidates = {name: _draw(rng, row, scale, (TRIES, batch)) for name, row in rows.items()}
        params.update(_first_fitting(candidates, fits, neutral=params))
    for rows, scale in ((table.colour, 1), (table.second_colour, spread)):
        params.update({name: _draw(rng, row, scale, batch) for name, row in rows.items()})
    params['noise_seed'] = rng.randint(FLOAT_COUNTS, size=batch)
    return {name: np.asarray(value, np.float32) for name, value in params.items()}


def second_spread(iteration: float) -> float:
    """k(i): what the spreads of the second frame are multiplied by, 0.5 at first, 0.75 after HALF_LIFE, then to 1."""
    return 1 / (1 + 3. ** (-iteration / HALF_LIFE))


def second_frame(params: dict) -> dict:
    """The geometry of the second frame, that of the first with its own on top, under the names of the first's."""
    return dict(
        params,
        translate_x=params['translate_x'] + params['second_translate_x'],
        translate_y=params['translate_y'] + params['second_translate_y'],
        rotate=params['rotate'] + params['second_rotate'],
        zoom=params['zoom'] * params['second_zoom'],
    )


def crop_to_source_affine(params: dict, source_size: typing.Tuple[int, int], crop_size: typing.Tuple[int, int],
                          library: typing.Any) -> Affine:
    """The Affine from a pixel of the crop, counted from (w / 2, h / 2), to the place in the source that it shows.

    Args:
        params: the first frame's, or what second_frame makes of them.
        source_size, crop_size: (H, W), (h, w).
        library: np or tf, whichever the params are arrays of.
    """
    (height, width), (crop_height, crop_width) = source_size, crop_size
    zoom_x, zoom_y = params['zoom'] * params['squeeze'], params['zoom'] / params['squeeze']
    cos, sin = library.cos(params['rotate']), library.sin(params['rotate'])
    centre_x = crop_width / 2 + (width - crop_width) // 2  # a whole pixel's shift even if one of both is odd
    centre_y = crop_height / 2 + (height - crop_height) // 2
    return Affine(xx=cos / zoom_x, xy=-sin / zoom_x, yx=sin / zoom_y, yy=cos / zoom_y,
                  x0=params['translate_x'] * crop_width / zoom_x + centre_x,
                  y0=params['translate_y'] * crop_height / zoom_y + centre_y)


def _is_inside(params, source_size, crop_size):
    """Whether the crop's four corner pixels, and with them all others, lie between pixels of the source."""
    affine = crop_to_source_affine(params, source_size, crop_size, np)
    (height, width), (crop_height, crop_width) = source_size, crop_size
    inside = True
    for p_x in (-crop_width / 2, crop_width / 2 - 1):
        for p_y in (-crop_height / 2, crop_height / 2 - 1):
            x, y = affine.apply(p_x, p_y)
            inside = inside & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside


def _first_fitting(candidates, fits, neutral):
    """For each pair the first of the candidates, {parameter: [TRIES, N]}, that fits; neutral if there is none."""
    fitting = fits(candidates)
    found, first, pair = fitting.any(axis=0), fitting.argmax(axis=0), np.arange(fitting.shape[-1])
    return {name: np.where(found, values[first, pair], neutral[name]) for name, values in candidates.items()}


def _draw(rng, row, scale, size):
    spread = row.spread * scale
    if row.kind == 'uniform':
        values = rng.uniform(row.mean - spread, row.mean + spread, size)
    else:
        values = rng.normal(row.mean, spread, size)
    return np.exp(values) if row.exp else values
