"""Writes the golden files of the layers and of training steps, computed by PyTorch.

Run `python make.py` in this folder with PyTorch 2 installed; the numbers in the repository came from version 2.15.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def rand(*shape):
    """Numbers that f32 holds exactly."""
    return (torch.rand(*shape) * 2 - 1).float().double()


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


def conv_case(size, mask, groups, grouping, stride, padding, c_in, c_out):
    case = {
        "size": size, "mask": mask, "groups": groups, "grouping": grouping, "stride": stride, "padding": padding,
        "out_channels": c_out, "input": [c_in, 6, 7],
    }
    x = rand(2, *case["input"]).requires_grad_()
    weight = rand(c_out, c_in // groups, len(taps(size, mask, 0))).requires_grad_()
    y = convolve(case, x, weight)
    g = rand(*y.shape)
    y.backward(g)
    values = {"x": x, "w": weight, "g": g, "y": y, "dx": x.grad, "dw": weight.grad}
    return case | {name: flat(value) for name, value in values.items()}


def norm_case(activation):
    x, g = (rand(3, 2, 3, 5) * 2 + 0.5).float().double().requires_grad_(), rand(3, 2, 3, 5)
    gamma, beta = rand(2).requires_grad_(), rand(2).requires_grad_()
    a, b, c = (rand(2).requires_grad_() for _ in range(3))
    mean, var = torch.zeros(2), torch.ones(2)
    u = F.batch_norm(x, mean, var, gamma, beta, training=True, momentum=0.1, eps=1e-5)
    per_channel = lambda p: p.view(1, 2, 1, 1)
    y = per_channel(a) * u * u + per_channel(b) * u + per_channel(c) if activation == "quadratic" else F.relu(u)
    y.backward(g)
    params = {"gamma": gamma, "beta": beta} | ({"a": a, "b": b, "c": c} if activation == "quadratic" else {})
    values = {"x": x, "g": g, "y": y, "dx": x.grad, "mean": mean, "var": var}
    values |= params | {"d" + name: p.grad for name, p in params.items()}
    return {"activation": activation} | {name: flat(value) for name, value in values.items()}


def steps():
    """Three steps of Nesterov SGD on convolution, batch norm, quadratic activation, pooling and a linear layer."""
    case = {"size": 3, "mask": "full", "groups": 2, "grouping": "interleaved", "stride": 2, "padding": "same",
            "out_channels": 4, "input": [2, 8, 8]}
    p = {"n1.weight": rand(4, 1, 9), "n2.gamma": torch.ones(4), "n2.beta": torch.zeros(4), "n3.a": rand(4) * 0.1 + 0.3,
         "n3.b": torch.full((4,), 0.5), "n3.c": rand(4), "n6.weight": rand(3, 16), "n6.bias": rand(3)}
    p = {name: v.float().double().requires_grad_() for name, v in p.items()}
    initial = {name: flat(v) for name, v in p.items()}
    mean, var = torch.zeros(4), torch.ones(4)
    x, labels = rand(6, 2, 8, 8), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = [v for name, v in p.items() if name.endswith("weight")]
    curves = [v for name, v in p.items() if name.startswith("n3")]
    others = [p[name] for name in ("n2.gamma", "n2.beta", "n6.bias")]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others}, {"params": curves, "lr": 0.01}]
    sgd = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(3):
        sgd.zero_grad()
        u = F.batch_norm(convolve(case, x, p["n1.weight"]), mean, var, p["n2.gamma"], p["n2.beta"], True, 0.1, 1e-5)
        abc = [p["n3." + name].view(1, 4, 1, 1) for name in "abc"]
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


convs = [
    conv_case(3, "full", 1, "contiguous", 1, "same", 2, 3),
    conv_case(3, "cross", 2, "contiguous", 1, "same", 4, 6),
    conv_case(3, "alternating", 2, "interleaved", 2, "same", 4, 4),
    conv_case(5, "row", 4, {"shifted": {"blocks": 2}}, 1, "same", 8, 4),
    conv_case(4, "column", 1, "contiguous", 2, "valid", 2, 2),
    conv_case(1, "full", 3, "interleaved", 3, "same", 6, 3),
    conv_case(2, "full", 1, "contiguous", 1, "same", 1, 2),
]
golden = {"conv": convs, "norm": [norm_case("quadratic"), norm_case("relu")], "steps": steps()}
for name, value in golden.items():
    with open(name + ".json", "w") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")
