"""The nets of docs/spec.md in PyTorch, as its users would write them: what benchmark.py --against torch times.

Tensors are [N, C, H, W], images scaled and centred, H and W multiples of 64. The modules have the names of our
variables: FlowNetCSS.FlowNetCS.FlowNetC.conv1.weight. Every net returns its flow in pixels, float32, and
{level: flow as predicted}.
"""
import torch
from torch import nn
from torch.nn import functional as F

try:
    from spatial_correlation_sampler import spatial_correlation_sample
except ImportError:
    spatial_correlation_sample = None

SLOPE = .1  # of the leaky ReLUs
SCALE = 20  # C and S predict the flow / 20, SD the flow · 20
REACH, STRIDE, SIDE = 20, 2, 21  # of the correlation


def by_products(a, b):
    """The correlation [N, 441, H, W] of maps [N, C, H, W] by matrix products: of a row of a and a row of b, even and
    odd columns apart, where the displacements of a pixel lie side by side."""
    batch, channels, height, width = a.shape
    odd, row = width % 2, 2 * batch

    def rows(x):
        """[N, C, H, W] → [H · N · 2, W / 2, C]"""
        x = x.permute(2, 0, 3, 1).unflatten(2, (-1, 2))
        return x.transpose(2, 3).flatten(0, 2).contiguous()

    a = rows(F.pad(a / channels, (0, odd)))
    b = rows(F.pad(b, (REACH, REACH + odd, REACH, REACH))).transpose(1, 2).contiguous()
    bands = []
    for dy in range(0, STRIDE * SIDE, STRIDE):
        products = torch.bmm(a, b[dy * row:(dy + height) * row])  # [H · N · 2, W / 2, W / 2 + 20]
        count, columns, longer = products.shape
        bands.append(products.as_strided((count, columns, SIDE), (columns * longer, longer + 1, 1)))  # the diagonals
    cost = torch.cat(bands, 2).unflatten(0, (height, batch, 2)).transpose(2, 3).flatten(2, 3)  # [H, N, W, 441]
    return cost[:, :, :width].permute(1, 3, 0, 2)


def by_sampler(a, b):
    """The correlation by the package spatial-correlation-sampler."""
    cost = spatial_correlation_sample(a, b, patch_size=SIDE, dilation_patch=STRIDE)
    return cost.flatten(1, 2) / a.shape[1]


CORRELATIONS = {'products': by_products, **({'sampler': by_sampler} if spatial_correlation_sample else {})}


class Conv(nn.Conv2d):
    """Convolution, zero-padded by half a kernel, and a leaky ReLU."""

    def __init__(self, inputs, outputs, kernel=3, stride=1):
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2)

    def forward(self, x):
        return F.leaky_relu(super().forward(x), SLOPE)


class Deconv(nn.ConvTranspose2d):
    """Transposed convolution to twice the size and a leaky ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 4, 2, 1)

    def forward(self, x):
        return F.leaky_relu(super().forward(x), SLOPE)


def linear(inputs, outputs=2):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Refinement(nn.Module):
    """Flows from the coarsest level to the finest; what the three encoders and the fusion end with.

    `_levels` has of each finer level: the skip's channels, and the channels that the deconvolution adds.
    """

    def _add_levels(self, depth, levels, interconv, prefix=''):
        self._levels, self._interconv, self._prefix = list(levels), interconv, prefix
        coarsest = self._levels[0] + 1
        self.add_module('predict_flow%d' % coarsest, linear(depth))
        for level, (skip, channels) in levels.items():
            self.add_module('%sdeconv%d' % (prefix, level), Deconv(depth, channels))
            self.add_module('%supsample_flow%dto%d' % (prefix, level + 1, level), nn.ConvTranspose2d(2, 2, 4, 2, 1))
            depth = skip + channels + 2
            if interconv:
                self.add_module('%sinterconv%d' % (prefix, level), linear(depth, channels))
            self.add_module('predict_flow%d' % level, linear(channels if interconv else depth))

    def _refine(self, x, skips):
        """{level: flow}, the finest last; x are the coarsest features, skips the finer ones in turn."""
        flows = {self._levels[0] + 1: self._at('predict_flow%d', self._levels[0] + 1)(x)}
        for level, skip in zip(self._levels, skips):
            finer = self._at(self._prefix + 'deconv%d', level)(x)
            finer_flow = self._at(self._prefix + 'upsample_flow%dto%d', level + 1, level)(flows[level + 1])
            x = torch.cat([skip, finer, finer_flow], 1)
            smooth = self._at(self._prefix + 'interconv%d', level)(x) if self._interconv else x
            flows[level] = self._at('predict_flow%d', level)(smooth)
        return flows

    def _at(self, name, *numbers):
        return getattr(self, name % numbers)


class Encoder(Refinement):
    """What C, S and SD share, from conv3_1 on."""
    scale = SCALE

    def __init__(self, c, interconv=False):
        super().__init__()
        self.conv4, self.conv4_1 = Conv(c(256), c(512), stride=2), Conv(c(512), c(512))
        self.conv5, self.conv5_1 = Conv(c(512), c(512), stride=2), Conv(c(512), c(512))
        self.conv6, self.conv6_1 = Conv(c(512), c(1024), stride=2), Conv(c(1024), c(1024))
        self._add_levels(c(1024), {5: (c(512), c(512)), 4: (c(512), c(256)), 3: (c(256), c(128)), 2: (c(128), c(64))},
                         interconv)

    def _further(self, conv2, conv3_1):
        """The flow in pixels, float32 [N, 2, H / 4, W / 4], and {level: flow as predicted}."""
        conv4_1 = self.conv4_1(self.conv4(conv3_1))
        conv5_1 = self.conv5_1(self.conv5(conv4_1))
        flows = self._refine(self.conv6_1(self.conv6(conv5_1)), [conv5_1, conv4_1, conv3_1, conv2])
        return flows[2].float() * self.scale, flows


class FlowNetC(Encoder):
    def __init__(self, c, correlation):
        super().__init__(c)
        self.conv1, self.conv2, self.conv3 = Conv(3, c(64), 7, 2), Conv(c(64), c(128), 5, 2), Conv(c(128), c(256), 5, 2)
        self.conv_redir, self.conv3_1 = Conv(c(256), c(32), 1), Conv(c(32) + SIDE * SIDE, c(256))
        self._correlation = correlation

    def forward(self, image_a, image_b):
        conv2 = self.conv2(self.conv1(torch.cat([image_a, image_b])))
        a, b = self.conv3(conv2).chunk(2)
        cost = F.leaky_relu(self._correlation(a, b), SLOPE)
        return self._further(conv2.chunk(2)[0], self.conv3_1(torch.cat([self.conv_redir(a), cost], 1)))


class FlowNetS(Encoder):
    def __init__(self, c, inputs=6):
        super().__init__(c)
        self.conv1, self.conv2 = Conv(inputs, c(64), 7, 2), Conv(c(64), c(128), 5, 2)
        self.conv3, self.conv3_1 = Conv(c(128), c(256), 5, 2), Conv(c(256), c(256))

    def forward(self, *images):
        conv2 = self.conv2(self.conv1(torch.cat(images, 1)))
        return self._further(conv2, self.conv3_1(self.conv3(conv2)))


class FlowNetSD(Encoder):
    scale = 1 / SCALE

    def __init__(self, c):
        super().__init__(c, interconv=True)
        self.conv0, self.conv1, self.conv1_1 = Conv(6, c(64)), Conv(c(64), c(64), stride=2), Conv(c(64), c(128))
        self.conv2, self.conv2_1 = Conv(c(128), c(128), stride=2), Conv(c(128), c(128))
        self.conv3, self.conv3_1 = Conv(c(128), c(256), stride=2), Conv(c(256), c(256))

    def forward(self, image_a, image_b):
        conv1_1 = self.conv1_1(self.conv1(self.conv0(torch.cat([image_a, image_b], 1))))
        conv2_1 = self.conv2_1(self.conv2(conv1_1))
        return self._further(conv2_1, self.conv3_1(self.conv3(conv2_1)))


class Stack(nn.Module):
    """A net, under its name, and a FlowNetS that refines its flow."""
    scale = SCALE

    def __init__(self, c, name, first):
        super().__init__()
        self._first = name
        self.add_module(name, first)
        self.FlowNetS = FlowNetS(c, 12)

    def forward(self, image_a, image_b):
        flow = F.interpolate(getattr(self, self._first)(image_a, image_b)[0], scale_factor=4, mode='bilinear',
                             align_corners=True)
        warped = warp(image_b, flow)
        return self.FlowNetS(image_a, image_b, warped, flow / SCALE, length(image_a - warped))


class FlowNet2(Refinement):
    scale = 1

    def __init__(self, c, css):
        super().__init__()
        self.FlowNetCSS, self.FlowNetSD = css, FlowNetSD(c)
        self.fuse_conv0, self.fuse_conv1, self.fuse_conv1_1 = Conv(11, c(64)), Conv(c(64), c(64), stride=2), Conv(
            c(64), c(128))
        self.fuse_conv2, self.fuse_conv2_1 = Conv(c(128), c(128), stride=2), Conv(c(128), c(128))
        self._add_levels(c(128), {1: (c(128), c(32)), 0: (c(64), c(16))}, True, 'fuse_')

    def forward(self, image_a, image_b):
        flows = [F.interpolate(net(image_a, image_b)[0], scale_factor=4) for net in (self.FlowNetSD, self.FlowNetCSS)]
        errors = [length(image_a - warp(image_b, flow)) for flow in flows]
        conv0 = self.fuse_conv0(torch.cat([image_a, *flows, *map(length, flows), *errors], 1))
        conv1_1 = self.fuse_conv1_1(self.fuse_conv1(conv0))
        flow = self._refine(self.fuse_conv2_1(self.fuse_conv2(conv1_1)), [conv1_1, conv0])[0]
        return flow.float(), {0: flow}


def length(x):
    """[N, C, H, W] → [N, 1, H, W]"""
    return torch.linalg.vector_norm(x, dim=1, keepdim=True)


def warp(image, flow):
    """Samples the image bilinearly at (x + u, y + v); 0 outside of it."""
    height, width = image.shape[2:]
    x = flow[:, 0] + torch.arange(width, device=flow.device)
    y = flow[:, 1] + torch.arange(height, device=flow.device)[:, None]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], 3)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return F.grid_sample(image, grid, padding_mode='border', align_corners=True) * inside[:, None]


NETS = {
    'C': FlowNetC, 'S': lambda c, _: FlowNetS(c), 'SD': lambda c, _: FlowNetSD(c),
    'CS': lambda c, correlation: Stack(c, 'FlowNetC', FlowNetC(c, correlation)),
    'CSS': lambda c, correlation: Stack(c, 'FlowNetCS', NETS['CS'](c, correlation)),
    '2': lambda c, correlation: FlowNet2(c, NETS['CSS'](c, correlation)),
}
