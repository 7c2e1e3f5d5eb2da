"""Builds the native ops, correlation and a CPU's augmentation and convolution, for the TensorFlow that is installed.

    python3 -m src.native.build [--cuda auto|on|off] [--xla auto|on|off]

It takes $CXX or g++, TensorFlow's own headers and flags, and for GPUs nvcc. library.py knows where the library goes.
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import typing

from src.files import one_at_a_time
from src.native.library import CUDA_SOURCES, HERE, KINDS, XLA_SOURCE, library_path
from src.tf import tf

ARCHITECTURES = (60, 70, 75, 80, 90)  # sm_XY runs on GPUs of the same major X and minor ≥ Y
LAST_LINES = 20  # of a compiler's output
XLA_SINCE = (2, 21)  # the TensorFlow from which on its headers have what XLA_SOURCE takes
# so that loops become vectors: none of it changes a number but infinities, NaNs and the sign of a zero
VECTORS = ['-fno-math-errno', '-fno-trapping-math', '-ffinite-math-only', '-fno-signed-zeros']
XLA_INCLUDES = ('highwayhash', 'farmhash_archive/src')  # of external/, which TensorFlow's own flags leave out


class BuildError(Exception):
    """There is no compiler, or it failed; the message is for the user."""


def build(cuda: str = 'auto', xla: str = 'auto') -> str:
    """Builds the library unless it is there.

    Args:
        cuda: 'on', 'off', or 'auto' for 'on' where TensorFlow can use CUDA and nvcc is found.
        xla: 'on' for ops that XLA can compile into its clusters, which takes a minute to build, 'off', or 'auto' for
            'on' with CUDA, where TensorFlow's headers have what that takes: without CUDA it is for tests alone.

    Returns:
        Its path.

    Raises:
        BuildError: a compiler is missing or failed.
    """
    nvcc = None if cuda == 'off' else find_nvcc()
    if cuda == 'on' and not nvcc:
        raise BuildError('--cuda on: it takes a TensorFlow with CUDA, and nvcc on the PATH or in $CUDA_HOME/bin')
    if xla == 'on' and not _has_xla_headers():
        raise BuildError('--xla on: it takes the headers of TensorFlow %d.%d or newer' % XLA_SINCE)
    with_xla = xla == 'on' or xla == 'auto' and bool(nvcc) and _has_xla_headers()
    try:
        return _built(nvcc, with_xla)
    except BuildError:
        if not (with_xla and xla == 'auto'):
            raise
        print('XLA will not have the op in its clusters: %s cannot be compiled with TensorFlow %s'
              % (XLA_SOURCE, tf.VERSION), flush=True)
        return _built(nvcc, xla=False)  # a fault of any other source is met again


def _built(nvcc, xla):
    """The path of the library of this kind, made if it is missing."""
    path = library_path(bool(nvcc), xla)
    parent = os.path.dirname(path)
    os.makedirs(parent, exist_ok=True)
    with one_at_a_time(parent):
        if not os.path.exists(path):
            with tempfile.TemporaryDirectory(dir=parent) as folder:
                unfinished = os.path.join(folder, 'correlation.so')
                _compile(folder, unfinished, nvcc, xla)
                os.replace(unfinished, path)
            _remove_outdated(parent)
    return path


def find_nvcc() -> typing.Optional[str]:
    """The path of nvcc, if this TensorFlow can use what it makes; else None."""
    homes = [os.environ.get(name) for name in ('CUDA_HOME', 'CUDA_PATH')] + ['/usr/local/cuda']
    path = [os.environ.get('PATH', '')] + [os.path.join(home, 'bin') for home in homes if home]
    return shutil.which('nvcc', path=os.pathsep.join(path)) if tf.test.is_built_with_cuda() else None


def _remove_outdated(folder):
    """Removes the builds of other states of the sources."""
    current = [os.path.basename(library_path(*kind)) for kind in KINDS]
    for name in os.listdir(folder):
        if name.endswith('.so') and name not in current:
            os.remove(os.path.join(folder, name))


def _compile(folder, path, nvcc, xla):
    """Compiles the sources side by side into `folder` and links them to `path`."""
    cxx = shlex.split(os.environ.get('CXX') or 'g++')
    if not shutil.which(cxx[0]):
        raise BuildError('no C++ compiler: %s is not found (install g++, or set CXX)' % cxx[0])
    standard, tensorflow = '-std=c++14', tf.sysconfig.get_compile_flags()  # which may ask for a later standard
    defines = ['-DFLOWNET_CUDA'] * bool(nvcc)
    compile_cxx = linker = cxx + ['-O3', '-fPIC', standard]
    with_tensorflow = compile_cxx + tensorflow + ['-Wno-deprecated-declarations']
    steps = {'correlation_cpu.cc': compile_cxx, 'correlation_ops.cc': with_tensorflow + defines,
             'augment_cpu.cc': compile_cxx + VECTORS, 'augment_ops.cc': with_tensorflow,
             'conv_cpu.cc': compile_cxx, 'conv_ops.cc': with_tensorflow}
    link = tf.sysconfig.get_link_flags()
    if xla:
        steps[XLA_SOURCE] = compile_cxx + tensorflow + defines + ['-O1', '-w']  # warnings are of others' headers
        external = os.path.join(tf.sysconfig.get_include(), 'external')
        steps[XLA_SOURCE] += ['-I' + os.path.join(external, name) for name in XLA_INCLUDES]
        link = link + ['-l:libtensorflow_cc.so.2']
    if nvcc:
        linker = [nvcc, '-ccbin', [part for part in cxx if not part.startswith('-')][-1]]  # CXX may be 'ccache g++'
        compile_cuda = linker + ['-O3', '-Xcompiler', '-fPIC', standard, '--expt-relaxed-constexpr']
        compile_cuda += _architectures(nvcc)
        steps.update((source, compile_cuda) for source in CUDA_SOURCES)
    objects = {source: os.path.join(folder, source + '.o') for source in steps}
    _run([command + ['-c', source, '-o', objects[source]] for source, command in steps.items()])
    _run([linker + ['-shared', '-o', path] + list(objects.values()) + link])


def _has_xla_headers():
    """Whether this TensorFlow brings what XLA_SOURCE takes."""
    version = tuple(int(part) for part in re.findall(r'\d+', tf.VERSION)[:2])
    header = os.path.join(tf.sysconfig.get_include(), 'tensorflow', 'compiler', 'tf2xla', 'xla_op_kernel.h')
    return version >= XLA_SINCE and os.path.exists(header)


def _architectures(nvcc):
    """nvcc's flags for each architecture that it knows, and for code that GPUs to come compile themselves."""
    known = set(re.findall(r'compute_(\d+)', subprocess.check_output([nvcc, '--help'], universal_newlines=True)))
    chosen = [str(number) for number in ARCHITECTURES if str(number) in known]
    if not chosen:
        raise BuildError('%s: knows none of the architectures %s' % (nvcc, ', '.join(map(str, ARCHITECTURES))))
    targets = ['arch=compute_%s,code=sm_%s' % (number, number) for number in chosen]
    targets.append('arch=compute_%s,code=compute_%s' % (chosen[-1], chosen[-1]))
    return [part for target in targets for part in ('-gencode', target)]


def _run(commands):
    """Runs commands side by side in the folder of the sources."""
    processes = [subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  universal_newlines=True, errors='replace') for command in commands]
    outputs = [process.communicate()[0] for process in processes]
    for command, process, output in zip(commands, processes, outputs):
        if process.returncode:
            lines = output.rstrip().split('\n')[-LAST_LINES:]
            raise BuildError('%s\nfailed with status %d:\n%s' % (
                ' '.join(map(shlex.quote, command)), process.returncode, '\n'.join(lines)))


def main() -> None:
    """Builds as the flags say and prints the path of the library; an error is what it ends with."""
    parser = argparse.ArgumentParser(description='Builds the correlation op for the TensorFlow that is installed.')
    parser.add_argument('--cuda', choices=('auto', 'on', 'off'), default='auto',
                        help='with kernels for NVIDIA GPUs; auto: where TensorFlow can use them and nvcc is found')
    parser.add_argument('--xla', choices=('auto', 'on', 'off'), default='auto',
                        help="so that the op splits none of XLA's clusters; auto: with CUDA, from TensorFlow %d.%d on"
                        % XLA_SINCE)
    args = parser.parse_args()
    try:
        print(build(args.cuda, args.xla))
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
