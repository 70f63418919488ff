"""Writes the golden files of the layers and of training steps, computed by PyTorch in double precision.

Run `python make.py` in this folder with PyTorch 2 installed; the numbers in the repository came from version 2.15.

Inputs are not stored: both sides draw them from `sequence`. Long results are stored as sums of neighbours with fixed
coefficients between 1/2 and 1, so that every value counts (`folded`).
"""

import json

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

# Most numbers stored of one tensor.
LIMIT = 160


def sequence(seed, count):
    """Multiples of 1/1024 in [-1, 1), from the high bits of a linear congruential generator."""
    values, state = [], seed
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(((state >> 16) % 2048 - 1024) / 1024)
    return torch.tensor(values)


def draw(seed, *shape):
    count = torch.Size(shape).numel()
    return sequence(seed, count).view(shape).requires_grad_()


def folded(tensor):
    values = tensor.detach().reshape(-1)
    width = -(-len(values) // LIMIT)
    factors = sequence(0, width)
    factors = torch.where(factors < 0, -0.5, 0.5) + 0.5 * factors
    values = F.pad(values, (0, -len(values) % width)).view(-1, width) @ factors if width > 1 else values
    return [float(f"{v:.8g}") for v in values.tolist()]


def flat(tensor):
    return [float(f"{v:.9g}") for v in tensor.detach().reshape(-1).tolist()]


def taps(size, mask, j):
    centre = (size - 1) // 2
    keep = {
        "full": lambda y, x: True,
        "cross": lambda y, x: y == centre or x == centre,
        "row": lambda y, x: y == centre,
        "column": lambda y, x: x == centre,
        "alternating": lambda y, x: (y if j % 2 == 0 else x) == centre,
    }[mask]
    return [(y, x) for y in range(size) for x in range(size) if keep(y, x)]


def input_channel(case, o, j):
    groups, c_in, c_out = case["groups"], case["input"][0], case["out_channels"]
    if case["grouping"] == "contiguous":
        return o // (c_out // groups) * (c_in // groups) + j
    if case["grouping"] == "interleaved":
        return j * groups + o % groups
    blocks = case["grouping"]["shifted"]["blocks"]
    sub, block = divmod(o % groups, blocks)
    return j * groups + sub * blocks + (block + j) % blocks


def dense(case, weight):
    """The plain k x k weight of a masked, grouped one."""
    size, c_in, c_out = case["size"], case["input"][0], case["out_channels"]
    full = torch.zeros(c_out, c_in, size, size)
    index = []
    for o in range(c_out):
        for j in range(c_in // case["groups"]):
            for t, (y, x) in enumerate(taps(size, case["mask"], j)):
                index.append(((o, input_channel(case, o, j), y, x), (o, j, t)))
    to = tuple(torch.tensor(i) for i in zip(*[a for a, _ in index]))
    at = tuple(torch.tensor(i) for i in zip(*[b for _, b in index]))
    return full.index_put(to, weight[at])


def convolve(case, x, weight):
    size, stride = case["size"], case["stride"]
    if case["padding"] == "same":
        before = (size - 1) // 2
        after = [(-(-n // stride) - 1) * stride + size - n - before for n in x.shape[2:]]
        # A negative pad crops what a strided convolution would not read.
        x = F.pad(x, (before, after[1], before, after[0]))
    return F.conv2d(x, dense(case, weight), stride=stride)


def layer(size, c_in, c_out, mask="full", groups=1, grouping="contiguous", stride=1, padding="same", hw=(6, 7)):
    return {
        "size": size, "mask": mask, "groups": groups, "grouping": grouping, "stride": stride, "padding": padding,
        "out_channels": c_out, "input": [c_in, *hw],
    }


def weight_shape(case):
    return case["out_channels"], case["input"][0] // case["groups"], len(taps(case["size"], case["mask"], 0))


def conv_case(batch, *args, **options):
    case = layer(*args, **options)
    x, weight = draw(1, batch, *case["input"]), draw(2, *weight_shape(case))
    y = convolve(case, x, weight)
    y.backward(draw(3, *y.shape))
    return case | {"batch": batch, "y": folded(y), "dx": folded(x.grad), "dw": folded(weight.grad)}


def on_channels(param):
    return param.view(1, -1, 1, 1)


def norm_case(activation, *shape):
    x, params = draw(1, *shape), draw(2, 5, shape[1])
    gamma, beta, a, b, c = params
    mean, var = torch.zeros(shape[1]), torch.ones(shape[1])
    u = F.batch_norm(x * 2 + 0.5, mean, var, gamma, beta, training=True, momentum=0.1, eps=1e-5)
    y = on_channels(a) * u * u + on_channels(b) * u + on_channels(c) if activation == "quadratic" else F.relu(u)
    y.backward(draw(3, *shape))
    case = {"activation": activation, "shape": shape, "y": folded(y), "dx": folded(x.grad / 2), "mean": flat(mean)}
    return case | {"var": flat(var), "d_params": flat(params.grad)}


def activation_case(activation, *shape):
    x, params = draw(1, *shape), draw(2, 3, shape[1])
    a, b, c = params
    y = on_channels(a) * x * x + on_channels(b) * x + on_channels(c) if activation == "quadratic" else F.relu(x)
    y.backward(draw(3, *shape))
    d_params = [] if params.grad is None else flat(params.grad)
    return {"activation": activation, "shape": shape, "y": folded(y), "dx": folded(x.grad), "d_params": d_params}


def pool_case(size, stride, *shape):
    x = draw(1, *shape)
    y = F.avg_pool2d(x, size, stride)
    y.backward(draw(3, *y.shape))
    return {"size": size, "stride": stride, "shape": shape, "output": y.shape[2:], "y": folded(y), "dx": folded(x.grad)}


def linear_case(batch, features, outputs):
    x, weight, bias = draw(1, batch, features), draw(2, outputs, features), draw(4, outputs)
    y = F.linear(x, weight, bias)
    y.backward(draw(3, *y.shape))
    grads = {"dx": folded(x.grad), "dw": folded(weight.grad), "db": flat(bias.grad)}
    return {"batch": batch, "features": features, "outputs": outputs, "y": folded(y)} | grads


def loss_case(batch, classes, smoothing):
    logits = draw(1, batch, classes)
    labels = [i * i % classes for i in range(batch)]
    loss = F.cross_entropy(8 * logits, torch.tensor(labels), label_smoothing=smoothing)
    loss.backward()
    case = {"batch": batch, "classes": classes, "smoothing": smoothing, "labels": labels}
    return case | {"loss": loss.item(), "grad": folded(logits.grad / 8)}


def bounds_case(count, limit, weight, clamp):
    x, g = draw(1, count), draw(2, count).detach()
    penalty = weight * (torch.relu(x.abs() - limit) ** 2).mean()
    clamped = x.clamp(-clamp, clamp) if clamp else x
    (penalty + (g * clamped).sum()).backward()
    return {"count": count, "limit": limit, "weight": weight, "clamp": clamp, "penalty": penalty.item(),
            "clamped": folded(clamped.detach()), "slope": folded(x.grad)}


def network(clamp):
    """Gradients of all parameters of a residual network; `residual_network` in src/golden builds the same."""
    batch, channels = 9, 16
    first = layer(3, 3, channels, hw=(12, 12))
    tiled = layer(3, channels, channels, hw=(12, 12))
    depthwise = layer(3, channels, channels, mask="cross", groups=channels, hw=(12, 12))
    point = layer(1, channels, 8, groups=4, grouping="interleaved", hw=(5, 5))
    shapes = {
        "n1.weight": weight_shape(first), "n1.bias": (channels,), "n4.weight": weight_shape(tiled),
        "n7.weight": weight_shape(depthwise), "n12.weight": weight_shape(point), "n18.weight": (3, 32), "n18.bias": (3,),
    }
    shapes |= {f"n{norm}.{name}": (8 if norm == 13 else channels,) for norm in (2, 5, 8, 13) for name in ("gamma", "beta")}
    shapes |= {f"n{curve}.{name}": (channels,) for curve in (3, 6, 10) for name in "abc"}
    p = {name: draw(10 + i, *shape) for i, (name, shape) in enumerate(shapes.items())}
    limit, weight = 0.5, 0.2
    penalties = []

    def quadratic(u, node):
        penalties.append((torch.relu(u.abs() - limit) ** 2).mean())
        u = u.clamp(-clamp, clamp) if clamp else u
        a, b, c = (on_channels(p[f"{node}.{name}"]) for name in "abc")
        return a * u * u + b * u + c

    def norm(x, node):
        return F.batch_norm(x, None, None, p[node + ".gamma"], p[node + ".beta"], training=True, eps=1e-5)

    x = convolve(first, draw(1, batch, *first["input"]), p["n1.weight"]) + on_channels(p["n1.bias"])
    trunk = quadratic(norm(x, "n2"), "n3")
    x = quadratic(norm(convolve(tiled, trunk, p["n4.weight"]), "n5"), "n6")
    x = norm(convolve(depthwise, x, p["n7.weight"]), "n8")
    x = quadratic(trunk + x, "n10")
    x = convolve(point, F.avg_pool2d(x, 3, 2), p["n12.weight"])
    x = F.avg_pool2d(F.relu(norm(x, "n13")), 2)
    logits = F.linear((x + x).flatten(1), p["n18.weight"], p["n18.bias"])
    labels = [i * i % 3 for i in range(batch)]
    loss = F.cross_entropy(logits, torch.tensor(labels), label_smoothing=0.05) + weight * sum(penalties)
    loss.backward()
    return {
        "labels": labels, "limit": limit, "weight": weight, "clamp": clamp, "loss": loss.item(),
        "grads": [{"name": name, "count": param.numel(), "grad": folded(param.grad)} for name, param in p.items()],
    }


def steps():
    """Three steps of Nesterov SGD on convolution, batch norm, quadratic activation, pooling and a linear layer."""
    case = layer(3, 2, 4, groups=2, grouping="interleaved", stride=2, hw=(8, 8))
    p = {"n1.weight": draw(1, 4, 1, 9), "n2.gamma": torch.ones(4), "n2.beta": torch.zeros(4),
         "n3.a": 0.3 + draw(2, 4) / 8, "n3.b": torch.full((4,), 0.5), "n3.c": draw(3, 4), "n6.weight": draw(4, 3, 16),
         "n6.bias": draw(5, 3)}
    # Numbers that f32 holds exactly.
    p = {name: v.detach().float().double().requires_grad_() for name, v in p.items()}
    initial = {name: flat(v) for name, v in p.items()}
    mean, var = torch.zeros(4), torch.ones(4)
    x, labels = draw(6, 6, 2, 8, 8).detach(), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = [v for name, v in p.items() if name.endswith("weight")]
    curves = [v for name, v in p.items() if name.startswith("n3")]
    others = [p[name] for name in ("n2.gamma", "n2.beta", "n6.bias")]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others}, {"params": curves, "lr": 0.01}]
    sgd = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(3):
        sgd.zero_grad()
        u = F.batch_norm(convolve(case, x, p["n1.weight"]), mean, var, p["n2.gamma"], p["n2.beta"], True, 0.1, 1e-5)
        abc = [on_channels(p["n3." + name]) for name in "abc"]
        y = F.avg_pool2d(abc[0] * u * u + abc[1] * u + abc[2], 2)
        logits = F.linear(y.flatten(1), p["n6.weight"], p["n6.bias"])
        excess = torch.relu(u.abs() - 1.0)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1) + 0.3 * (excess**2).mean()
        loss.backward()
        # Clipping spares the scale and offset of the batch norm.
        torch.nn.utils.clip_grad_norm_([v for name, v in p.items() if not name.startswith("n2")], 1.0)
        sgd.step()
        losses.append(loss.item())
    final = {name: flat(v) for name, v in p.items()} | {"n2.mean": flat(mean), "n2.var": flat(var)}
    return {"x": flat(x), "labels": labels.tolist(), "initial": initial, "final": final, "losses": losses}


def shifted(blocks):
    return {"shifted": {"blocks": blocks}}


convs = [
    # Plain.
    conv_case(2, 3, 2, 3),
    conv_case(17, 3, 5, 7, hw=(7, 7)),
    conv_case(2, 3, 3, 16, hw=(32, 32)),
    conv_case(2, 2, 1, 2),
    conv_case(9, 4, 6, 10, padding="valid", hw=(4, 4)),
    # Of sizes where tiles pay: one chunk of images and several, groups, maps from 6 x 6 to 32 x 32.
    conv_case(9, 3, 16, 24, hw=(8, 8)),
    conv_case(3, 3, 32, 40, groups=2, grouping="interleaved", hw=(6, 16)),
    conv_case(2, 3, 48, 32, groups=2, hw=(14, 14)),
    conv_case(2, 3, 16, 17, hw=(32, 32)),
    conv_case(33, 3, 18, 16, hw=(6, 6)),
    # The same with odd sides, or with a stride.
    conv_case(9, 3, 16, 16, hw=(7, 7)),
    conv_case(5, 3, 16, 32, stride=2, hw=(8, 8)),
    conv_case(3, 5, 1, 16, stride=2, hw=(28, 28)),
    conv_case(2, 4, 2, 2, mask="column", stride=2, padding="valid"),
    # Masks, with and without groups.
    conv_case(2, 3, 4, 6, mask="cross", groups=2),
    conv_case(3, 3, 32, 32, mask="cross", groups=8, grouping="interleaved", hw=(16, 16)),
    conv_case(3, 5, 6, 8, mask="cross", hw=(9, 9)),
    conv_case(2, 3, 4, 4, mask="alternating", groups=2, grouping="interleaved", stride=2),
    conv_case(9, 3, 16, 16, mask="alternating", groups=4, grouping=shifted(2), hw=(14, 14)),
    conv_case(2, 5, 8, 4, mask="row", groups=4, grouping=shifted(2)),
    conv_case(3, 5, 16, 8, mask="column", groups=4, grouping="interleaved", hw=(10, 12)),
    # 1 x 1: on maps in place, on small ones, with strides.
    conv_case(3, 1, 16, 24, hw=(16, 16)),
    conv_case(3, 1, 8, 8, groups=4, grouping="interleaved", hw=(32, 16)),
    conv_case(20, 1, 16, 32, hw=(7, 7)),
    conv_case(5, 1, 16, 32, stride=2, hw=(8, 8)),
    conv_case(2, 1, 6, 3, groups=3, grouping="interleaved", stride=3),
    # Depthwise: kernels, strides, a multiplier.
    conv_case(5, 3, 16, 16, groups=16, hw=(14, 14)),
    conv_case(3, 5, 8, 8, groups=8, hw=(16, 16)),
    conv_case(5, 3, 16, 16, groups=16, stride=2, hw=(14, 14)),
    conv_case(3, 3, 8, 16, groups=8, hw=(9, 8)),
    conv_case(3, 5, 8, 8, mask="cross", groups=8, hw=(12, 12)),
    conv_case(3, 3, 8, 8, mask="row", groups=8, stride=2, hw=(11, 11)),
]
norms = [norm_case(act, *shape) for act in ("quadratic", "relu") for shape in ((3, 2, 3, 5), (9, 5, 6, 7))]
layers = {
    "activation": [activation_case(act, 9, 5, 6, 7) for act in ("quadratic", "relu")],
    "pool": [
        pool_case(2, 2, 3, 2, 6, 8), pool_case(2, 2, 40, 1, 7, 9), pool_case(3, 2, 3, 2, 9, 9),
        pool_case(7, 7, 2, 3, 7, 7), pool_case(3, 1, 2, 2, 5, 6),
    ],
    "linear": [linear_case(9, 37, 11), linear_case(3, 64, 10)],
    "loss": [loss_case(7, 5, 0.0), loss_case(9, 10, 0.1)],
    # No value is at the clamp, where there is no slope.
    "bounds": [bounds_case(500, 0.5, 0.3, clamp) for clamp in (None, 0.75048828125)],
}
golden = {"conv": convs, "norm": norms, "layers": layers, "network": [network(clamp) for clamp in (None, 0.75)], "steps": steps()}
for name, value in golden.items():
    with open(name + ".json", "w") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")
