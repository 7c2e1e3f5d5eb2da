"""A FlowNet2 in PyTorch from images to flow or loss, with weights drawn as ours are, or ours themselves."""
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from torch_flownet2 import NETS, by_products, length

LEVEL_WEIGHTS = {6: .32, 5: .08, 4: .02, 3: .01, 2: .005, 0: .005}
STACKED = ('FlowNetC', 'FlowNetCS', 'FlowNetCSS', 'FlowNetSD')  # nets that others are stacked on


class Estimator(nn.Module):
    """A net between preprocessing and rescaling: images [N, 3, H, W], 0…255 → flow [N, 2, H, W], {level: prediction}.

    Args:
        correlation: a function of torch_flownet2.CORRELATIONS.
        trainable: 'all', or 'last': the earlier nets of a stack are frozen.
    """

    def __init__(self, name, width, correlation=by_products, trainable='all'):
        super().__init__()
        self.net = NETS[name](lambda channels: max(1, round(channels * width)), correlation)
        for layer in self.net.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                fan_in = 4 * layer.in_channels if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
                nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
                nn.init.zeros_(layer.bias)
        for child, module in self.net.named_children():
            if trainable == 'last' and child in STACKED:
                module.requires_grad_(False)

    def forward(self, image_a, image_b):
        size = image_a.shape[2:]
        image_a, image_b = image_a / 255, image_b / 255
        mean = (image_a + image_b).mean((2, 3), keepdim=True) / 2
        inner = [-(-side // 64) * 64 for side in size]
        flow, levels = self.net(resize(image_a - mean, inner), resize(image_b - mean, inner))
        factor = flow.new_tensor([size[1] / inner[1], size[0] / inner[0]])[:, None, None]
        return resize(flow, size) * factor, levels

    def loss(self, image_a, image_b, flow, valid):
        """The multi-scale loss; true flow [N, 2, H, W], valid [N, 1, H, W], H and W multiples of 64."""
        total = 0
        for level, predicted in self(image_a, image_b)[1].items():
            share = F.adaptive_avg_pool2d(valid.float(), predicted.shape[2:])
            truth = F.adaptive_avg_pool2d(flow * valid, predicted.shape[2:]) / share.clamp(min=1e-6) / self.net.scale
            error = length(predicted.float() - truth) * (share > 0)
            total = total + LEVEL_WEIGHTS[level] * error.sum((1, 2, 3)).mean()
        return total

    def fill(self, value_of):
        """Takes weights as our variables hold them, from a function of their name in the net and their shape there."""
        state = self.net.state_dict()
        for name, tensor in state.items():
            axes = (2, 3, 1, 0) if tensor.dim() == 4 else (0,)  # transposed convolutions too: [kh, kw, out, in]
            ours = name.replace('.', '/').replace('/weight', '/weights').replace('/bias', '/biases')
            value = value_of(ours, [tensor.shape[axis] for axis in axes])
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))


def resize(x, size):
    return x if x.shape[2:] == tuple(size) else F.interpolate(x, tuple(size), mode='bilinear')
