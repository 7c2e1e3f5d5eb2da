"""The flow of one image pair, from files to files."""
import os
import time

import numpy as np

from src.files import check_folder, make_folder
from src.flow.color import flow_to_color, largest_motion
from src.flow.headers import remarks
from src.flow.io import read_image, same_size, write_flow, write_image
from src.run.inference import load_flownet


def predict_pair(input_a, input_b, out, net, weights, device, save_flo=False):
    """Writes <stem of A>_flow.png, and .flo if asked, to the folder `out`, and prints what it did.

    Args:
        input_a, input_b: image files of one size.
        net: a name of networks.NETS.
        weights: the path of its weights.
        device: the device.Device that it runs on.

    Returns:
        The flow, float32 (H, W, 2).

    Raises:
        InputError: an unreadable image, sizes that differ, weights that do not fit, a folder not writable.
    """
    image_a, image_b = read_image(input_a), read_image(input_b)
    same_size(input_a, image_a, input_b, image_b)
    check_folder(out)
    for line in remarks(input_a, image_a) + remarks(input_b, image_b):
        print(line)
    flownet, session = load_flownet(net, weights, device, image_a.shape[:2])
    make_folder(out)
    with session:
        started = time.monotonic()
        flow = flownet(session, [image_a], [image_b])[0]  # (H, W, 2)
        seconds = time.monotonic() - started
    stem = os.path.join(out, os.path.splitext(os.path.basename(input_a))[0] + '_flow')
    write_image(stem + '.png', flow_to_color(flow))
    if save_flo:
        write_flow(stem + '.flo', flow)
    print('%s → %s: %d x %d (height x width)' % ((input_a, input_b) + flow.shape[:2]))
    print('mean motion %.2f pixels, largest %.2f (full colour in %s.png)'
          % (np.hypot(flow[..., 0], flow[..., 1]).mean(), largest_motion(flow), stem))
    print('written: %s.png%s' % (stem, ', %s.flo' % stem if save_flo else ''))
    print('graph: %.2f s' % seconds, flush=True)
    return flow
