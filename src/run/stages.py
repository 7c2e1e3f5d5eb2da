"""The training of FlowNet 2.0 as tables: what --schedule and --stage stand for.

Each entry is flags and their values, so that any of them can be given on its own instead. (FlowNet 2.0, section 3, and
the solvers of its Caffe nets; 'sintel': the Ascend port's fine-tuning.)
"""


def halved(rate: float, times: int) -> list:
    """The rate, and what is left of it after each of `times` halvings."""
    return [rate / 2 ** count for count in range(times + 1)]


SCHEDULES = {
    'S_short': dict(train_step=600000, step_values=[300000, 400000, 500000], learning_rates=halved(1e-4, 3)),
    'S_long': dict(train_step=1200000, step_values=[400000, 600000, 800000, 1000000],
                   learning_rates=halved(1e-4, 4)),
    'S_fine': dict(train_step=500000, step_values=[200000, 300000, 400000], learning_rates=halved(1e-5, 3)),
    'sintel': dict(train_step=10500, step_values=[8000, 8500, 9000, 9500, 10000],
                   learning_rates=[1e-6, 5e-7, 2.5e-7, 1.25e-7, 6.25e-8, 1e-8]),
}

CHAIRS = dict(image_size=(320, 448), batch_size=8, augment='paper', save_step=5000)  # 384 × 512
THINGS = dict(image_size=(384, 768), batch_size=4, augment='paper', save_step=5000)  # 540 × 960
SINTEL = dict(image_size=(436, 1024), batch_size=4, augment='none', save_step=500)
KITTI = dict(image_size=(320, 1152), batch_size=4, augment='none', save_step=500)  # 370 × 1224 at the least

STAGES = {
    'C': dict(CHAIRS, net='C', trainable='last', schedule='S_long'),
    'CS': dict(CHAIRS, net='CS', trainable='last', schedule='S_long'),
    'CSS': dict(CHAIRS, net='CSS', trainable='last', schedule='S_long'),
    'CSS-ft-sd': dict(CHAIRS, net='CSS', trainable='all', schedule='S_fine'),  # Things and ChairsSDHom, mixed
    'SD': dict(CHAIRS, net='SD', trainable='last', schedule='S_long'),
    'fusion': dict(CHAIRS, net='2', trainable='last', schedule='S_long', augment='fusion'),
    'C-fine': dict(THINGS, net='C', trainable='last', schedule='S_fine'),
    'CS-fine': dict(THINGS, net='CS', trainable='last', schedule='S_fine'),
    'CSS-fine': dict(THINGS, net='CSS', trainable='last', schedule='S_fine'),
    'fusion-fine': dict(THINGS, net='2', trainable='last', schedule='S_fine', augment='fusion'),
    'sintel': dict(SINTEL, net='2', trainable='last', schedule='sintel'),
    'kitti': dict(KITTI, net='2', trainable='last', schedule='sintel'),
}
