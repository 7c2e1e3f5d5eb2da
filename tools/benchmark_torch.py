"""A row of tools/benchmark.py --against torch: the net of torch_flownet2.py, in the fastest way that is found here."""
import itertools
import time

from benchmark_against import peak_memory, serve

MODES = {'eager': None, 'compile': 'default', 'reduce-overhead': 'reduce-overhead', 'max-autotune': 'max-autotune'}
LEARNING_RATE, WEIGHT_DECAY = 1e-6, 4e-4


def build(row):
    """What benchmark_against.serve asks for. The order in memory and the correlation are those that are fastest without
    torch.compile, so the first run that is told has no part in this choice."""
    import torch  # told in one line where it is missing
    from torch_flownet2 import CORRELATIONS

    if row['chip'] == 'gpu' and not torch.cuda.is_available():
        raise ImportError('--chip gpu: it sees none', name='torch for GPUs')
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = row['precision'] != 'fp32'
    torch.set_float32_matmul_precision('highest' if row['precision'] == 'fp32' else 'high')
    correlations = CORRELATIONS if row['net'] not in ('S', 'SD') else ['products']
    ways = list(itertools.product(('contiguous_format', 'channels_last'), correlations))
    way = min(ways, key=lambda way: _seconds(row, *way))
    mode = MODES[row['engine'][len('torch-'):]]
    run = _runner(row, *way, compile=mode and (lambda function: torch.compile(function, mode=mode, dynamic=False)))
    if row['chip'] == 'gpu':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def facts():
        if row['chip'] == 'gpu':
            name, memory = torch.cuda.get_device_name(), torch.cuda.max_memory_reserved() / 2 ** 20
        else:
            name, memory = '%d CPU threads' % torch.get_num_threads(), peak_memory()
        return {'device': '%s, PyTorch %s, %s, correlation by %s' % ((name, torch.__version__) + way),
                'memory_mb': memory}
    return run, _wait(row), facts


def _wait(row):
    import torch
    return torch.cuda.synchronize if row['chip'] == 'gpu' else lambda: None


def _seconds(row, *way):
    """Seconds of a run after a first one."""
    run, wait = _runner(row, *way), _wait(row)
    for _ in range(2):
        run()
    wait()
    started = time.perf_counter()
    for _ in range(3 if row['chip'] == 'gpu' else 1):
        run()
    wait()
    return time.perf_counter() - started


def _runner(row, order, correlation, compile=None):
    """A function that infers or trains on one batch, which lies in the device's memory."""
    import torch
    from torch_estimator import Estimator
    from torch_flownet2 import CORRELATIONS

    device, order = {'gpu': 'cuda', 'cpu': 'cpu'}[row['chip']], getattr(torch, order)
    net = Estimator(row['net'], row['width'], CORRELATIONS[correlation], row['mode'])
    net = net.to(device, memory_format=order)
    shape = [row['batch'], 3] + list(row['size'])
    images = [(255 * torch.rand(shape, device=device)).contiguous(memory_format=order) for _ in range(2)]
    half = dict(device_type=device, dtype=torch.float16, enabled=row['precision'] == 'amp')
    compiled = compile or (lambda function: function)

    if row['mode'] == 'inference':
        infer = compiled(net)

        def run():
            with torch.inference_mode(), torch.autocast(**half):
                infer(*images)
        return run

    flow = 5 * torch.randn([row['batch'], 2] + list(row['size']), device=device)
    valid = torch.ones_like(flow[:, :1], dtype=torch.bool)
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    decayed = [layer.weight for layer in net.modules() if isinstance(layer, torch.nn.Conv2d)]
    groups = [{'params': [p for p in trained if any(p is weight for weight in decayed) == decays],
               'weight_decay': decays * WEIGHT_DECAY} for decays in (True, False)]
    adam = torch.optim.Adam(groups, LEARNING_RATE, fused=True)
    scaler = torch.amp.GradScaler(device, enabled=half['enabled'])
    loss_of = compiled(net.loss)

    def run():
        adam.zero_grad()
        with torch.autocast(**half):
            loss = loss_of(*images, flow, valid)
        scaler.scale(loss).backward()
        scaler.step(adam)
        scaler.update()
    return run


if __name__ == '__main__':
    serve(build)
