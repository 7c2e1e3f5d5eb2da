"""The one direction of imports: numpy-only floors know no TensorFlow, the model no data and no flags."""
import ast
import glob
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BELOW = {  # what each floor may import of src, besides itself
    'src/memory': {'src.files'},
    'src/flow': {'src.files', 'src.memory'},
    'src/data': {'src.files', 'src.interrupts', 'src.memory', 'src.flow'},
    'src/native': {'src.files', 'src.tf'},
    'src/model': {'src.files', 'src.tf', 'src.native'},
    'src/device': {'src.files', 'src.paths', 'src.tf', 'src.memory', 'src.data', 'src.native', 'src.model'},
    'src/weights': {'src.files', 'src.paths', 'src.tf', 'src.data', 'src.model'},
    'src/report': {'src.files', 'src.flow'},
    'src/run': {'src.files', 'src.paths', 'src.interrupts', 'src.tf', 'src.memory', 'src.flow', 'src.data',
                'src.model', 'src.device', 'src.weights', 'src.report'},
}
MODULES = sorted(os.path.relpath(path, ROOT)
                 for path in glob.glob(os.path.join(ROOT, 'src', '**', '*.py'), recursive=True))


def imports(path, top_level=False):
    """The modules that a file imports, anywhere in it or at its top level only."""
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        tree = ast.parse(file.read())
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, '%s: imports are absolute' % path
            yield node.module


@pytest.mark.parametrize('path', MODULES)
def test_imports_go_one_way(path):
    floor = os.path.dirname(path).replace(os.sep, '/')
    if floor in BELOW:
        allowed = BELOW[floor] | {floor.replace('/', '.')}
        for module in imports(path):
            if module.split('.')[0] == 'src':
                assert any(module == name or module.startswith(name + '.') for name in allowed), module


@pytest.mark.parametrize('path', MODULES)
def test_one_door_to_tensorflow_and_to_npu_bridge(path):
    for module in imports(path):
        package = module.split('.')[0]
        assert package not in ('tensorflow', 'keras') or path == 'src/tf.py', module
        assert package != 'npu_bridge' or path == 'src/device/npu.py'
    assert not any(module.startswith('npu_bridge') for module in imports(path, top_level=True))


@pytest.mark.parametrize('path', MODULES)
def test_options_are_chosen_where_a_graph_is_built(path):
    builders = ('src/run/inference.py', 'src/run/step.py', 'src/run/export.py')
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        assert ('with building(' in file.read()) == (path in builders + ('src/model/build_options.py',))


@pytest.mark.parametrize('path', [path for path in MODULES if os.path.dirname(path) in BELOW])
def test_only_scripts_parse_flags(path):
    assert 'argparse' not in set(imports(path)) or path in (
        'src/run/flags.py', 'src/run/flag_types.py', 'src/native/build.py')
    assert 'src.run.flags' not in set(imports(path))
