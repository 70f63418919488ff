"""PyTorch's side of the benchmark `pytorch`: the same networks, timed on request.

Reads lines `network layout steps` and answers each with the seconds of that many training steps (forward, backward, SGD
with Nesterov momentum, weight decay and clipping) on 64 invented images. Grouped and depthwise convolutions use
`groups=`; a cross-shaped kernel is the 3 x 3 kernel times a mask, because PyTorch knows no sparse kernels.
"""

import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 64


class Quadratic(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a = nn.Parameter(torch.full((1, channels, 1, 1), 0.05))
        self.b = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.c = nn.Parameter(torch.full((1, channels, 1, 1), 0.2))

    def forward(self, x):
        return (self.a * x + self.b) * x + self.c


class Cross(nn.Module):
    """3 x 3 cross-shaped kernel with groups."""

    def __init__(self, channels, groups):
        super().__init__()
        self.groups = groups
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.register_buffer("mask", torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))

    def forward(self, x):
        # The 1 x 1 convolution before can order its outputs so that interleaved groups become contiguous ones, at no cost:
        # PyTorch is timed without any shuffle.
        weight = self.conv.weight * self.mask
        return F.conv2d(x, weight, padding=1, groups=self.groups)


def layer(conv, activation):
    norm = nn.BatchNorm2d(conv.conv.out_channels if isinstance(conv, Cross) else conv.out_channels)
    return nn.Sequential(conv, norm) if activation is None else nn.Sequential(conv, norm, activation)


def dense(c_in, c_out, k, stride=1):
    return nn.Conv2d(c_in, c_out, k, stride=stride, padding=k // 2, bias=False)


class Residual(nn.Module):
    def __init__(self, branch, shortcut, activation):
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x):
        return self.activation(self.shortcut(x) + self.branch(x))


def strianet(width):
    layers, c = [layer(dense(3, width, 3), Quadratic(width))], width
    for stage in range(3):
        w, groups = width << stage, 4 << stage
        if stage > 0:
            layers += [nn.AvgPool2d(2), layer(dense(c, w, 1), None)]
        c = w
        for _ in range(3):
            branch = nn.Sequential(
                layer(dense(w, w, 1), Quadratic(w)),
                layer(Cross(w, groups), Quadratic(w)),
                nn.Conv2d(w, w, (1, 5), padding=(0, 2), groups=w, bias=False),
                layer(nn.Conv2d(w, w, (5, 1), padding=(2, 0), groups=w, bias=False), None),
                layer(dense(w, w, 1), None),
            )
            layers.append(Residual(branch, nn.Identity(), Quadratic(w)))
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(c, 10))


def resnet20():
    layers, c = [layer(dense(3, 16, 3), nn.ReLU())], 16
    for stage in range(3):
        for block in range(3):
            w, stride = 16 << stage, 2 if stage > 0 and block == 0 else 1
            branch = nn.Sequential(layer(dense(c, w, 3, stride), nn.ReLU()), layer(dense(w, w, 3), None))
            shortcut = nn.Identity() if stride == 1 else layer(dense(c, w, 1, 2), None)
            layers.append(Residual(branch, shortcut, nn.ReLU()))
            c = w
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(c, 10))


def vgg5():
    layers, c = [], 3
    for w in (64, 128, 128):
        layers += [layer(dense(c, w, 3), nn.ReLU()), nn.AvgPool2d(2)]
        c = w
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * c, 256), nn.ReLU(), nn.Linear(256, 10))


def small():
    return nn.Sequential(
        layer(nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False), Quadratic(16)),
        layer(nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=4, bias=False), Quadratic(32)),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )


NETWORKS = {
    "resnet20": resnet20, "strianet-16": lambda: strianet(16), "strianet-32": lambda: strianet(32), "vgg5": vgg5,
    "small-mnist": small,
}


class Bench:
    def __init__(self, network, layout):
        shape = (BATCH, 1, 28, 28) if network == "small-mnist" else (BATCH, 3, 32, 32)
        format = torch.channels_last if layout == "channels-last" else torch.contiguous_format
        self.model = NETWORKS[network]().to(memory_format=format).train()
        self.images = torch.rand(shape).contiguous(memory_format=format)
        self.labels = torch.arange(BATCH) % 10
        parameters = self.model.parameters()
        self.sgd = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(self):
        self.sgd.zero_grad(set_to_none=True)
        F.cross_entropy(self.model(self.images), self.labels).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.sgd.step()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(1)
    benches = {}
    for line in sys.stdin:
        network, layout, steps = line.split()
        bench = benches.setdefault((network, layout), Bench(network, layout))
        start = time.perf_counter()
        for _ in range(int(steps)):
            bench.step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
