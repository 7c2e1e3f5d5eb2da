"""A row of tools/benchmark.py --against openvino: our frozen net on this machine's CPU."""
import numpy as np

from benchmark_against import peak_memory, serve


def build(row):
    """What benchmark_against.serve asks for; row['pb'] is the net's file."""
    import openvino  # told in one line where it is missing

    net = openvino.Core().compile_model(row['pb'], 'CPU')  # its defaults: all cores for one batch
    frames = np.random.RandomState(0).rand(*net.input(0).shape).astype(np.float32)

    def facts():
        return {'device': 'OpenVINO %s' % openvino.__version__.split('-')[0], 'memory_mb': peak_memory()}
    return lambda: net([frames]), lambda: None, facts


if __name__ == '__main__':
    serve(build)
