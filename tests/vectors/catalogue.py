#!/usr/bin/env python3
"""More reference vectors, family by family, in the form of `make.py` (which see), whose tools these are.

    OMP_NUM_THREADS=1 python3 catalogue.py [file…]

`like` checks a formula that PyTorch lacks; everything else is PyTorch's own function in float64.
"""

import math
import sys

import torch
import torch.nn.functional as F

import make
from make import VERSION, begin, case, f32, i64, ids, positive, rand, write, yes

NAN, INF = math.nan, math.inf
EDGES = [NAN, INF, -INF]


def one(op, fn, forms=(), corners=(0.0, -0.0, 1.0, -1.0, 3.0, -3.0), draw=rand, edges=None, outside=()):
    """A function of one value: drawn numbers, corners (kinks among them), a scalar, nothing, NaN and infinities.

    forms: (call, function) for other attributes; edges: None where the infinities give NaN in PyTorch for a reason of
    its own.
    """
    begin(op)
    first = fn if forms == () else forms[0][1]
    calls = [(op, fn)] if not forms else list(forms)
    for call, f in calls:
        case(f"{call}: random", call, {"x": draw(3, 5)}, f)
        case(f"{call}: corners", call, {"x": f32(list(corners))}, f)
    call, first = calls[0]
    case("three axes, prime sizes", call, {"x": draw(2, 3, 5)}, first)
    case("scalar", call, {"x": draw()}, first)
    case("empty", call, {"x": draw(2, 0)}, first)
    if edges is not None:
        case("not-a-number and the infinities", call, {"x": f32(list(edges))}, first, grad=False)
    if outside:
        case("outside the domain", call, {"x": f32(list(outside))}, first, grad=False)


def two(op, fn, draw=rand, corners=None, edges=None, grad_corners=True):
    begin(op)
    call = f"(a, b) |> {op}"
    case("equal shapes", call, {"a": draw(2, 3), "b": draw(2, 3)}, fn)
    case("leading axes missing on the right", call, {"a": draw(2, 3, 5), "b": draw(3, 5)}, fn)
    case("leading axes missing on the left", call, {"a": draw(5), "b": draw(2, 3, 5)}, fn)
    case("a scalar on the right", call, {"a": draw(2, 3), "b": draw()}, fn)
    case("empty batch", call, {"a": draw(0, 3), "b": draw(3)}, fn)
    if corners:
        case("corners", call, {"a": f32(corners[0]), "b": f32(corners[1])}, fn, grad=grad_corners)
    if edges:
        case("not-a-number and the infinities", call, {"a": f32(edges[0]), "b": f32(edges[1])}, fn, grad=False)


# ---------------------------------------------------------------------------------------------- activations


def rectifiers():
    knees = [0.0, -0.0, 1e-30, -1e-30, 3.0, -3.0, 20.0, -20.0, 60.0, -60.0]
    one("leaky_relu", None, [("leaky_relu", lambda x: F.leaky_relu(x, 0.01)), ("leaky_relu(0.25)", lambda x: F.leaky_relu(x, 0.25)),
                             ("leaky_relu(slope = -1)", lambda x: F.leaky_relu(x, -1.0))], knees, edges=EDGES)
    one("elu", None, [("elu", F.elu), ("elu(0.5)", lambda x: F.elu(x, 0.5)), ("elu(alpha = 2)", lambda x: F.elu(x, 2.0))], knees, edges=EDGES)
    one("celu", None, [("celu", F.celu), ("celu(0.5)", lambda x: F.celu(x, 0.5)), ("celu(alpha = 2)", lambda x: F.celu(x, 2.0))], knees, edges=EDGES)
    one("selu", F.selu, corners=knees, edges=EDGES)
    one("softplus", None, [("softplus", F.softplus), ("softplus(beta = 2, threshold = 3)", lambda x: F.softplus(x, 2, 3)),
                           ("softplus(0.5)", lambda x: F.softplus(x, 0.5))], knees, edges=EDGES)
    one("logsigmoid", F.logsigmoid, corners=knees, edges=EDGES)
    one("mish", F.mish, corners=knees, edges=[NAN, INF])
    one("softsign", F.softsign, corners=knees)
    one("tanhshrink", F.tanhshrink, corners=knees, edges=EDGES)
    # F.hardsigmoid's own gradient takes 1/6 in single precision.
    one("hardsigmoid", lambda x: F.relu6(x + 3) / 6, corners=knees, edges=[INF, -INF])
    one("hardswish", F.hardswish, corners=[0.0, -0.0, 2.5, -2.5, 4.0, -4.0])
    one("softshrink", None, [("softshrink", F.softshrink), ("softshrink(1)", lambda x: F.softshrink(x, 1.0)), ("softshrink(lambda = 0)", lambda x: F.softshrink(x, 0.0))],
        [0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0], edges=[INF, -INF])
    one("hardshrink", None, [("hardshrink", F.hardshrink), ("hardshrink(1)", lambda x: F.hardshrink(x, 1.0)), ("hardshrink(lambda = 0)", lambda x: F.hardshrink(x, 0.0))],
        [0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0], edges=EDGES)
    one("threshold", None, [("threshold(0.5, 7)", lambda x: F.threshold(x, 0.5, 7.0)), ("threshold(threshold = -1, value = 0)", lambda x: F.threshold(x, -1.0, 0.0))],
        [0.5, -1.0, 0.0, 3.0, -3.0], edges=EDGES)
    one("step", lambda x: torch.heaviside(x, torch.ones_like(x)).detach(), edges=[INF, -INF])
    gate = lambda x, beta=1.0: x * torch.sigmoid(beta * x)
    one("swish", None, [("swish", F.silu), ("swish(0.5)", lambda x: gate(x, 0.5)), ("swish(beta = 1.702)", lambda x: make.gelu(x, "sigmoid"))], knees)
    case("learned", "swish(learned = true)", {"x": rand(3, 4)}, lambda x, p: gate(x, p["swish.beta"]), {"swish.beta": rand(1, shift=1)})
    begin("prelu")
    for channels, shape in [(1, (3, 5)), (5, (3, 5)), (3, (2, 3, 4)), (3, (2, 3, 2, 2)), (4, (4,)), (1, ()), (3, (0, 3))]:
        axis = 0 if len(shape) == 1 else 1
        slopes = lambda x, w: w if w.numel() == 1 or x.dim() < 2 else w.reshape([-1] + [1] * (x.dim() - 2))
        fn = lambda x, p, axis=axis: F.prelu(x, p["prelu.weight"]) if x.dim() > 1 else torch.where(x > 0, x, x * p["prelu.weight"].reshape(x.shape if x.dim() and p["prelu.weight"].numel() > 1 else []))
        case(f"{channels} slopes on {list(shape)}", "prelu" if channels == 1 else f"prelu({channels})", {"x": rand(*shape)}, fn, {"prelu.weight": rand(channels)})
    case("where it begins does not matter here", "prelu(init = 0.1)", {"x": rand(3)}, lambda x, p: torch.where(x > 0, x, x * p["prelu.weight"]), {"prelu.weight": rand(1)})
    case("the kink", "prelu", {"x": f32([[0.0, -0.0, 2.0]])}, lambda x, p: F.prelu(x, p["prelu.weight"]), {"prelu.weight": rand(1)})
    begin("rrelu")
    for call, lower, upper in [("rrelu", 1 / 8, 1 / 3), ("rrelu(0.25, 0.75)", 0.25, 0.75), ("rrelu(lower = 0, upper = 0.5)", 0.0, 0.5)]:
        case(f"{call}: eval", call, {"x": rand(3, 4)}, lambda x: F.rrelu(x, lower, upper, training=False))
    case("one slope in train", "rrelu(0.25, 0.25)", {"x": rand(3, 4)}, lambda x: F.leaky_relu(x, 0.25), mode="train")
    case("the kink", "rrelu(0.25, 0.75)", {"x": f32([0.0, -0.0])}, lambda x: F.rrelu(x, 0.25, 0.75, training=False))


# ---------------------------------------------------------------------------------------------- functions


def functions():
    whole = [0.5, -0.5, 1.5, -1.5, 2.5, 0.49999997, -0.0, 2.0, 8388607.5, 1e10]
    one("tan", torch.tan, corners=[0.0, 1.0, -1.0, 1e-20, 100.0])
    one("erf", torch.erf, corners=[0.0, 1.0, -1.0, 1e-20, 3.0, -7.0], edges=EDGES)
    one("ceil", torch.ceil, corners=whole, edges=EDGES)
    one("trunc", torch.trunc, corners=whole, edges=EDGES)
    one("round", None, [("round", torch.round), ("round(2)", lambda x: torch.round(x, decimals=2)), ("round(decimals = -1)", lambda x: torch.round(x, decimals=-1))],
        [0.5, -0.5, 1.5, -1.5, 2.5, 2.0, 15.0, 0.375, -7.0], edges=EDGES)
    one("exp2", torch.exp2, corners=[0.0, 1.0, -1.0, 10.0, -10.0, 60.0], edges=EDGES)
    one("log2", torch.log2, corners=[1.0, 2.0, 8.0, 0.25, 1e-30, 1e30], draw=positive, edges=[0.0, -1.0] + EDGES)
    one("log10", torch.log10, corners=[1.0, 10.0, 1000.0, 1e-30, 1e30], draw=positive, edges=[0.0, -1.0] + EDGES)
    one("log1p", torch.log1p, corners=[0.0, 1e-20, -1e-20, -0.5, 1e10], draw=positive, edges=[-1.0, -2.0] + EDGES)
    one("expm1", torch.expm1, corners=[0.0, 1e-20, -1e-20, 1.0, -1.0, 20.0, -60.0], edges=EDGES)
    one("expm1", torch.expm1, corners=[1e-20, -1e-20, 1e-10])
    one("sinc", torch.sinc, corners=[0.0, 1e-20, 1e-3, 0.03, 0.032, 0.5, 1.0, -7.25])
    one("logit", None, [("logit", torch.logit)], [0.5, 0.25, 0.0078125, 0.99609375], draw=lambda *s: torch.sigmoid(rand(*s)).float().double(), outside=[0.0, 1.0, -1.0, 2.0, NAN])
    one("logit", None, [("logit(0.25)", lambda x: torch.logit(x, 0.25)), ("logit(eps = 0.1)", lambda x: torch.logit(x, 0.1))], [0.5, 0.2, 0.8125, 2.0, -1.0])
    for op, fn in [("isnan", torch.isnan), ("isinf", torch.isinf), ("isfinite", torch.isfinite)]:
        begin(op)
        case("all kinds", op, {"x": f32([1.0, 0.0, -3.0] + EDGES)}, fn)
        case("two axes", op, {"x": f32([[1.0, NAN], [INF, -0.0]])}, fn)
        case("scalar", op, {"x": f32(INF)}, fn)
        case("empty", op, {"x": rand(0, 3)}, fn)
    begin("nan_to_num")
    x = f32([1.0, -2.5] + EDGES)
    case("all three said", "nan_to_num(nan = 7, max = 2, min = -3)", {"x": x}, lambda x: torch.nan_to_num(x, 7.0, 2.0, -3.0))
    case("by position", "nan_to_num(1, 8, 9)", {"x": x}, lambda x: torch.nan_to_num(x, 1.0, 8.0, 9.0))
    case("only not-a-number", "nan_to_num", {"x": f32([1.0, NAN, -3.0])}, torch.nan_to_num)
    case("nothing to replace", "nan_to_num", {"x": rand(2, 3)}, torch.nan_to_num)
    case("empty", "nan_to_num", {"x": rand(0, 3)}, torch.nan_to_num)
    begin("pow")
    for p in (0, 0.5, 1, 2, 3, -1, 2.5, -0.75):
        case(f"exponent {p}", f"pow({p})", {"x": positive(2, 3)}, lambda x: torch.pow(x, p))
    case("whole powers of negative numbers", "pow(exponent = 5)", {"x": f32([-2.0, -1.0, 0.0, 1.5])}, lambda x: torch.pow(x, 5))
    case("outside the domain", "pow(0.3)", {"x": f32([-1.0, 0.0, INF, NAN])}, lambda x: torch.pow(x, 0.3), grad=False)
    call = "(x, y) |> pow"
    case("an exponent an element", call, {"x": positive(2, 3), "y": rand(2, 3)}, torch.pow)
    case("leading axes missing on the right", call, {"x": positive(4, 3), "y": rand(3)}, torch.pow)
    case("by name", "(x, exponent = y) |> pow", {"x": positive(4), "y": rand(4)}, torch.pow)
    case("zeros", call, {"x": f32([0.0, 0.0, 2.0, 1.0]), "y": f32([0.0, 2.0, 0.0, -3.0])}, torch.pow)
    begin("clamp")
    x = f32([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    case("both limits", "clamp(-1, 1)", {"x": x}, lambda x: torch.clamp(x, -1, 1))
    case("only below", "clamp(min = 0)", {"x": x}, lambda x: torch.clamp(x, min=0))
    case("only above", "clamp(max = 0.5)", {"x": x}, lambda x: torch.clamp(x, max=0.5))
    case("random", "clamp(-0.5, 0.25)", {"x": rand(3, 5)}, lambda x: torch.clamp(x, -0.5, 0.25))
    case("not-a-number stays", "clamp(-1, 1)", {"x": f32(EDGES)}, lambda x: torch.clamp(x, -1, 1), grad=False)
    case("limits as values", "(x, min = lo, max = hi) |> clamp", {"x": rand(3, 4, scale=2), "lo": rand(3, 4, shift=-1), "hi": rand(3, 4, shift=1)}, torch.clamp)
    case("a lower limit as a value", "(x, lo) |> clamp", {"x": rand(3, 4), "lo": rand(4)}, lambda x, lo: torch.clamp(x, min=lo))
    case("a value and a number", "(x, max = hi) |> clamp(min = -1)", {"x": rand(3, 4, scale=2), "hi": rand(4, shift=1)}, lambda x, hi: torch.clamp(torch.clamp(x, min=-1), max=hi))
    ties = [[1.0, 2.0, 3.0, -1.0], [1.0, 3.0, 2.0, -1.0]]
    edges = [[NAN, 1.0, INF, -INF, NAN], [1.0, NAN, 2.0, 2.0, NAN]]
    for op, fn in [("maximum", torch.maximum), ("minimum", torch.minimum), ("fmax", torch.fmax), ("fmin", torch.fmin)]:
        two(op, fn, corners=ties, edges=edges)
    signs = [[7.0, -7.0, 7.0, -7.0, 0.0, 6.0, 5.5], [4.0, 4.0, -4.0, -4.0, 3.0, 3.5, 0.75]]
    two("fmod", torch.fmod, draw=positive, corners=signs)
    two("hypot", torch.hypot, corners=[[3.0, 0.0, 1e30, 1e-30], [4.0, 2.0, 1e30, 1e-30]], edges=[[INF, -INF], [1.0, 2.0]])
    two("logaddexp", torch.logaddexp, corners=[[1000.0, -1000.0, 3.0, 0.0], [0.0, 0.0, 3.0, -200.0]], edges=[[INF, -INF, -INF], [1.0, 2.0, -INF]])
    begin("lerp")
    for w in (0, 0.25, 1, 1.5):
        case(f"weight {w}", f"(a, b) |> lerp({w})", {"a": rand(2, 3), "b": rand(2, 3)}, lambda a, b: torch.lerp(a, b, w))
    case("by name", "(a, b) |> lerp(weight = 0.75)", {"a": rand(3), "b": rand(2, 3)}, lambda a, b: torch.lerp(a.expand(2, 3), b, 0.75))
    case("a weight an element", "(a, b, w) |> lerp", {"a": rand(2, 3), "b": rand(2, 3), "w": rand(2, 3)}, torch.lerp)
    case("a scalar weight", "(a, b, weight = w) |> lerp", {"a": rand(2, 3), "b": rand(2, 3), "w": rand()}, torch.lerp)


PARTS = [rectifiers, functions]


def main():
    for part in PARTS:
        part()
    for name, cases in sorted(make.FILES.items()):
        seen = {}
        for one in cases:
            seen[one["name"]] = seen.get(one["name"], 0) + 1
            if seen[one["name"]] > 1:
                one["name"] += f" ({seen[one['name']]})"
        if not sys.argv[1:] or name in sys.argv[1:]:
            write(name, {"operator": name, "torch": VERSION}, cases)


if __name__ == "__main__":
    main()
