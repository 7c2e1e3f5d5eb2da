"""The steps of offline inference, as tests take them one after the other, and the data that they go over."""
import re

from dataset_files import Scene, write_list, write_sintel
from script_runner import run

SCENES = {'alley': Scene(2, (64, 128), (3, -2)), 'cave': Scene(1, (60, 110), (6, 1)),
          'temple': Scene(1, (64, 128), (9, 0))}


def write_data(folder):
    """Writes sintel/ to a folder, as the Ascend port has it, with lists of all pairs and of those of 64 × 128."""
    lines = open(write_sintel(folder / 'sintel', SCENES)).read().splitlines()
    write_list(folder / 'sintel' / 'one_size.txt', lines[:2] + lines[3:])
    write_list(folder / 'sintel' / 'cave.txt', lines[2:3])
    return folder


def offline(script, *arguments):
    """Runs a script of offline_infer that must end well; returns what it printed."""
    result = run('offline_infer.' + script, *arguments)
    assert (result.status, result.err) == (0, '')
    return result.out


def fails(script, *arguments):
    """Runs a script of offline_infer that must end with a line of error; returns it."""
    result = run('offline_infer.' + script, *arguments)
    assert result.status == 1 and result.err.count('\n') == 1, result.err
    return result.err


def prepare(data, output, listed, size):
    offline('dataprep', '--dataset', data, '--data_file', data / 'sintel' / listed, '--output', output,
            '--image_size', size)
    return output


def outputs_of(pb, folder, *flags):
    """Runs verify_pbmodel.py over a folder of dataprep.py; returns the folder of its outputs and what it printed."""
    outputs = folder / 'outputs_pb'
    return outputs, offline('verify_pbmodel', '--pb', pb, '--image_path', folder / 'image', '--output', outputs,
                            '--chip', 'cpu', *flags)


def evaluate(folder, outputs):
    return offline('evaluate', '--gt_path', folder / 'gt', '--output_path', outputs)


def average(out):
    return float(re.search(r'^Average EPE = (\d+\.\d{4})$', out, re.M).group(1))
