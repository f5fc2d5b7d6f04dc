#!/usr/bin/env python3
"""More reference vectors, family by family, in the form of `make.py` (which see), whose tools these are.

    OMP_NUM_THREADS=1 python3 catalogue.py [file…]

`like` checks a formula that PyTorch lacks; everything else is PyTorch's own function in float64.
"""

import math
import sys

import numpy as np
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
    one("relu_squared", lambda x: F.relu(x) ** 2, corners=knees, edges=EDGES)
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


# ---------------------------------------------------------------------------------------------- along axes


def distinct(*shape):
    """Numbers of different sizes in random order, none of them 0."""
    n = math.prod(shape)
    return f32((make.RNG.permutation(n) + 1) * make.RNG.choice([-1, 1], n) / 4).reshape(shape)


def over_axes(op, fn, draw=rand, keep=True, several=True, more=()):
    """`fn(x, dims, keepdim)` over all axes, one, and several."""
    begin(op)
    case("all axes", op, {"x": draw(2, 3)}, lambda x: fn(x, (0, 1), False))
    case("axis 0", f"{op}(axis = 0)" if op == "norm" else f"{op}(0)", {"x": draw(3, 4)}, lambda x: fn(x, (0,), False))
    case("the middle of three", f"{op}(axis = 1)", {"x": draw(2, 3, 4)}, lambda x: fn(x, (1,), False))
    if op not in ("var", "std"):
        case("an axis of one", f"{op}(axis = -1)", {"x": draw(3, 1, 1)}, lambda x: fn(x, (-1,), False))
    case("rank 1", op, {"x": draw(13)}, lambda x: fn(x, (0,), False))
    case("empty batch, other axis", f"{op}(axis = 1)", {"x": draw(0, 3)}, lambda x: fn(x, (1,), False))
    if keep:
        case("kept", f"{op}(axis = 1, keep = true)", {"x": draw(2, 3, 4)}, lambda x: fn(x, (1,), True))
        case("all axes, kept", f"{op}(keep = true)", {"x": draw(2, 3)}, lambda x: fn(x, (0, 1), True))
    if several:
        case("two axes", f"{op}(axis = [0, 2])", {"x": draw(2, 3, 4)}, lambda x: fn(x, (0, 2), False))


def first_of(fn):
    """PyTorch's extreme of several axes shares its gradient; here all of it goes to the first of equals."""
    def over(x, dims, keep):
        rest = [d for d in range(x.dim()) if d not in [e % x.dim() for e in dims]]
        flat = x.permute(rest + [d % x.dim() for d in dims]).flatten(len(rest))
        values = fn(flat, -1)[0]
        return values.reshape([1 if d in [e % x.dim() for e in dims] else x.shape[d] for d in range(x.dim())]) if keep else values
    return over


def reductions():
    for op, fn, arg in [("max", torch.max, torch.argmax), ("min", torch.min, torch.argmin)]:
        over = first_of(fn)
        begin(op)
        case("all axes", op, {"x": rand(2, 3)}, lambda x: over(x, (0, 1), False))
        case("all axes, kept", f"{op}(keep = true)", {"x": rand(2, 3)}, lambda x: over(x, (0, 1), True))
        case("values and indices", f"{op}(1)", {"x": rand(2, 4, 3)}, lambda x: fn(x, 1)[0])
        case("both", f"(v, i) = x |> {op}(axis = -1)\n(v, i)", {"x": rand(3, 5)}, lambda x: tuple(fn(x, -1)))
        case("both, kept", f"(v, i) = x |> {op}(axis = 0, keep = true)\n(v, i)", {"x": rand(3, 5)}, lambda x: tuple(fn(x, 0, keepdim=True)))
        case("ties: the first", f"(v, i) = x |> {op}(1)\n(v, i)", {"x": f32([[1, 3, 3, 1], [2, 2, 2, 2]])}, lambda x: tuple(fn(x, 1)))
        case("two axes", f"{op}(axis = [0, 2])", {"x": distinct(2, 3, 4)}, lambda x: over(x, (0, 2), False))
        case("not-a-number wins", f"(v, i) = x |> {op}(1)\n(v, i)", {"x": f32([[1, NAN, 3], [INF, -INF, 0]])}, lambda x: tuple(fn(x, 1)), grad=False)
        pair = torch.maximum if op == "max" else torch.minimum
        case("of a tuple: elementwise", f"(a, b, c) |> {op}", {"a": rand(2, 3), "b": rand(2, 3), "c": rand(2, 3)}, lambda a, b, c: pair(pair(a, b), c))
        case("empty batch", f"{op}(1)", {"x": rand(0, 3)}, lambda x: fn(x, 1)[0])
        case("more than one block of lanes", f"{op}(0)", {"x": distinct(67)}, lambda x: fn(x, 0)[0])
        begin(f"arg{op}")
        case("flat position", f"arg{op}", {"x": rand(3, 4)}, lambda x: arg(x))
        case("axis 0", f"arg{op}(0)", {"x": rand(3, 4)}, lambda x: arg(x, 0))
        case("last axis, kept", f"arg{op}(axis = -1, keep = true)", {"x": rand(3, 4)}, lambda x: arg(x, -1, keepdim=True))
        case("ties: the first", f"arg{op}(1)", {"x": f32([[1, 3, 3, 1], [2, 2, 2, 2]])}, lambda x: i64([1 if op == "max" else 0, 0]))
        case("not-a-number wins", f"arg{op}(1)", {"x": f32([[1, NAN, 3], [INF, -INF, 0]])}, lambda x: arg(x, 1))
    over_axes("prod", lambda x, dims, keep: multi(torch.prod, x, dims, keep))
    for zeros in ([1.0, 0.0, 3.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]):
        case(f"{zeros}", "prod", {"x": f32(zeros)}, torch.prod)
    case("of a tuple: elementwise", "(a, b) |> prod", {"a": rand(2, 3), "b": rand(2, 3)}, torch.mul)
    case("over nothing", "prod(0)", {"x": rand(0, 3)}, lambda x: x.prod(0))
    for c in (1, 0, 2):
        call = f"(correction = {c}"
        for op, fn in [("var", torch.var), ("std", torch.std)]:
            if c == 1:
                over_axes(op, lambda x, dims, keep: fn(x, dims, keepdim=keep))
                case("large mean", f"{op}(1)", {"x": make.eighths(2, 16, mean=1e4)}, lambda x: fn(x, 1))
                case("no deviation", f"{op}(0)", {"x": f32([2.0, 2.0, 2.0])}, lambda x: fn(x, 0))
            else:
                begin_again(op)
                case(f"correction {c}", f"{op}(axis = 1, correction = {c})", {"x": rand(3, 5)}, lambda x: fn(x, 1, correction=c))
                case(f"correction {c}, all", f"{op}(correction = {c})", {"x": rand(3, 5)}, lambda x: fn(x, correction=c))
    vector = torch.linalg.vector_norm
    over_axes("norm", lambda x, dims, keep: vector(x, 2, dims, keep))
    for p in (1, 2, 3, 0, 0.5, 1.5, -1, INF, -INF):
        word = {INF: "inf", -INF: "-inf"}.get(p, p)
        case(f"order {word}", f"norm({word}, 1)", {"x": distinct(3, 5)}, lambda x: vector(x, p, 1))
        case(f"order {word}, by name", f"norm(p = {word}, keep = true)", {"x": distinct(7)}, lambda x: vector(x, p, keepdim=True))
    for p in (1, 2, 3):
        case(f"order {p}: gradient 0 at 0", f"norm({p}, 1)", {"x": f32([[0, 0, 0], [3, 0, -4]])}, lambda x: vector(x, p, 1))
    over_axes("logsumexp", lambda x, dims, keep: torch.logsumexp(x, dims, keep))
    case("extreme logits", "logsumexp(1)", {"x": f32([[1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]])}, lambda x: torch.logsumexp(x, 1))
    case("infinities", "logsumexp(1)", {"x": f32([[-INF, 1, 2], [-INF, -INF, -INF], [INF, 1, 2]])}, lambda x: torch.logsumexp(x, 1), grad=False)
    over_axes("nansum", lambda x, dims, keep: torch.nansum(x, dims, keep))
    case("not-a-number counts as 0", "nansum(1)", {"x": f32([[NAN, 1, 2], [NAN, NAN, NAN]])}, lambda x: torch.nansum(x, 1))
    case("infinity is a number", "nansum", {"x": f32([NAN, INF, 2])}, torch.nansum, grad=False)
    holes = lambda *shape: f32(np.round(make.RNG.standard_normal(shape)))
    for op, fn in [("any", torch.any), ("all", torch.all)]:
        over_axes(op, lambda x, dims, keep: multi(fn, x, dims, keep), draw=holes)
        case("bools", f"{op}(1)", {"x": yes([[True, False], [True, True], [False, False]])}, lambda x: fn(x, 1))
        case("integers", op, {"x": i64([0, 2, 0])}, lambda x: fn(x))
        case("not-a-number is not 0", op, {"x": f32([NAN])}, lambda x: fn(x))
        case("of nothing", f"{op}(0)", {"x": rand(0, 2)}, lambda x: fn(x, 0))
    over_axes("count_nonzero", lambda x, dims, keep: torch.count_nonzero(x, dims), draw=holes, keep=False)
    case("bools", "count_nonzero(1)", {"x": yes([[True, False], [True, True]])}, lambda x: torch.count_nonzero(x, 1))
    begin("softmin")
    case("rows", "softmin", {"x": rand(3, 5)}, lambda x: F.softmin(x, -1))
    case("axis 0", "softmin(0)", {"x": rand(3, 5)}, lambda x: F.softmin(x, 0))
    case("axis 1 of 3", "softmin(axis = 1)", {"x": rand(2, 3, 4)}, lambda x: F.softmin(x, 1))
    case("extreme values", "softmin", {"x": f32([[1e4, -1e4, 0.0], [1e4, 1e4, -1e4]])}, lambda x: F.softmin(x, -1))
    case("empty batch", "softmin", {"x": rand(0, 4)}, lambda x: F.softmin(x, -1))


def begin_again(name):
    """More cases of a file that has some."""
    make.CURRENT = make.FILES[name]


def multi(fn, x, dims, keep):
    """A reduction over one axis after another."""
    for d in sorted((d % x.dim() for d in dims), reverse=True):
        x = fn(x, d, keepdim=keep)
    return x


def scans():
    for op, fn in [("cumsum", torch.cumsum), ("cumprod", torch.cumprod), ("logcumsumexp", torch.logcumsumexp)]:
        begin(op)
        case("last axis", op, {"x": rand(3, 5)}, lambda x: fn(x, -1))
        case("axis 0", f"{op}(0)", {"x": rand(4, 3)}, lambda x: fn(x, 0))
        case("axis 1 of 3", f"{op}(axis = 1)", {"x": rand(2, 3, 4)}, lambda x: fn(x, 1))
        case("one element", op, {"x": rand(3, 1)}, lambda x: fn(x, -1))
        case("empty axis", op, {"x": rand(3, 0)}, lambda x: fn(x, -1))
        case("longer than a vector", op, {"x": rand(71, scale=0.125, shift=1)}, lambda x: fn(x, -1))
    begin_again("cumprod")
    case("zeros", "cumprod", {"x": f32([[1, 0, 3, 2], [0, 2, 0, 1], [2, 3, 4, 0]])}, lambda x: torch.cumprod(x, -1))
    begin_again("logcumsumexp")
    case("extreme values", "logcumsumexp", {"x": f32([[60, -60, 60, 0], [-100, -100, 0, 3]])}, lambda x: torch.logcumsumexp(x, -1))
    case("minus infinity first", "logcumsumexp", {"x": f32([[-INF, -INF, 1, 2]])}, lambda x: torch.logcumsumexp(x, -1), grad=False)
    for op, fn in [("cummax", torch.cummax), ("cummin", torch.cummin)]:
        begin(op)
        both = f"(v, i) = x |> {op}"
        case("values", op, {"x": rand(3, 5)}, lambda x: fn(x, -1)[0])
        case("both", f"{both}\n(v, i)", {"x": rand(3, 5)}, lambda x: tuple(fn(x, -1)))
        case("axis 0", f"{both}(0)\n(v, i)", {"x": rand(4, 3)}, lambda x: tuple(fn(x, 0)))
        case("axis 1 of 3", f"{both}(axis = 1)\n(v, i)", {"x": rand(2, 3, 4)}, lambda x: tuple(fn(x, 1)))
        case("ties: the last", f"{both}\n(v, i)", {"x": f32([[1, 1, 2, 2, 1], [3, 3, 3, 3, 3]])}, lambda x: tuple(fn(x, -1)))
        case("not-a-number from where it stands", f"{both}\n(v, i)", {"x": f32([[1, NAN, 2, NAN, 3]])}, lambda x: tuple(fn(x, -1)), grad=False)
        case("empty batch", op, {"x": rand(0, 3)}, lambda x: fn(x, -1)[0])


def orders():
    begin("sort")
    both = lambda x, d, down=False: tuple(torch.sort(x, dim=d, descending=down, stable=True))
    case("values", "sort", {"x": distinct(3, 5)}, lambda x: torch.sort(x)[0])
    case("both", "(v, i) = x |> sort\n(v, i)", {"x": distinct(3, 5)}, lambda x: both(x, -1))
    case("descending", "(v, i) = x |> sort(descending = true)\n(v, i)", {"x": distinct(3, 5)}, lambda x: both(x, -1, True))
    case("axis 0", "(v, i) = x |> sort(0)\n(v, i)", {"x": distinct(4, 3)}, lambda x: both(x, 0))
    case("axis 1 of 3", "(v, i) = x |> sort(axis = 1)\n(v, i)", {"x": distinct(2, 3, 4)}, lambda x: both(x, 1))
    ties = f32([[1, 0, 1, 0, 1], [2, 2, 2, 2, 2]])
    case("ties keep their order", "(v, i) = x |> sort\n(v, i)", {"x": ties}, lambda x: both(x, -1))
    case("ties keep their order, descending", "(v, i) = x |> sort(descending = true)\n(v, i)", {"x": ties}, lambda x: both(x, -1, True))
    edges = f32([[NAN, 1, INF, -INF, 0]])
    case("not-a-number and the infinities", "(v, i) = x |> sort\n(v, i)", {"x": edges}, lambda x: both(x, -1), grad=False)
    case("the same, descending", "(v, i) = x |> sort(-1, true)\n(v, i)", {"x": edges}, lambda x: both(x, -1, True), grad=False)
    case("longer than a vector", "sort", {"x": distinct(137)}, lambda x: torch.sort(x)[0])
    case("empty batch", "sort", {"x": rand(0, 3)}, lambda x: torch.sort(x)[0])
    begin("argsort")
    for name, call, x, d, down in [("last axis", "argsort", distinct(3, 5), -1, False), ("axis 0", "argsort(0)", distinct(4, 3), 0, False),
                                   ("descending", "argsort(axis = 1, descending = true)", distinct(2, 3, 2), 1, True), ("ties", "argsort", ties, -1, False)]:
        case(name, call, {"x": x}, lambda x: torch.argsort(x, dim=d, descending=down, stable=True))
    begin("topk")
    top = lambda x, *a, **k: tuple(torch.topk(x, *a, **k))
    case("values", "topk(2)", {"x": distinct(3, 5)}, lambda x: top(x, 2)[0])
    case("both", "(v, i) = x |> topk(3)\n(v, i)", {"x": distinct(3, 5)}, lambda x: top(x, 3))
    case("the smallest", "(v, i) = x |> topk(k = 2, largest = false)\n(v, i)", {"x": distinct(3, 5)}, lambda x: top(x, 2, largest=False))
    case("axis 0", "(v, i) = x |> topk(2, 0)\n(v, i)", {"x": distinct(4, 3)}, lambda x: top(x, 2, 0))
    case("axis 1 of 3", "(v, i) = x |> topk(2, axis = 1)\n(v, i)", {"x": distinct(2, 3, 4)}, lambda x: top(x, 2, 1))
    case("all of them", "topk(5)", {"x": distinct(2, 5)}, lambda x: top(x, 5)[0])
    case("not-a-number is the largest", "topk(2)", {"x": f32([[NAN, 1, INF]])}, lambda x: top(x, 2)[0], grad=False)
    begin("topk_mask")
    mask = lambda x, k, d=-1: torch.zeros_like(x, dtype=torch.bool).scatter(d, torch.topk(x, k, d).indices, True)
    case("rows", "topk_mask(2)", {"x": distinct(3, 5)}, lambda x: mask(x, 2))
    case("axis 0", "topk_mask(1, 0)", {"x": distinct(4, 3)}, lambda x: mask(x, 1, 0))
    case("axis 1 of 3", "topk_mask(k = 2, axis = 1)", {"x": distinct(2, 3, 4)}, lambda x: mask(x, 2, 1))
    case("ties: the first", "topk_mask(2)", {"x": f32([[1, 3, 3, 3, 2]])}, lambda x: yes([[False, True, True, False, False]]))
    begin("median")
    mid = lambda x, d, keep=False: tuple(torch.median(x, d, keep))
    case("all axes", "median", {"x": distinct(3, 5)}, lambda x: torch.median(x))
    case("an even number: the lower", "median(1)", {"x": distinct(3, 4)}, lambda x: mid(x, 1)[0])
    case("both", "(v, i) = x |> median(0)\n(v, i)", {"x": distinct(5, 3)}, lambda x: mid(x, 0))
    case("both, kept", "(v, i) = x |> median(axis = 1, keep = true)\n(v, i)", {"x": distinct(2, 3, 4)}, lambda x: mid(x, 1, True))
    case("all axes, kept", "median(keep = true)", {"x": distinct(3, 3)}, lambda x: torch.median(x).reshape(1, 1))
    case("not-a-number wins", "median(1)", {"x": f32([[1, NAN, 3], [INF, -INF, 0]])}, lambda x: mid(x, 1)[0], grad=False)


def by_number():
    begin("gather")
    for name, shape, small, axis in [("last axis", (3, 5), (3, 2), -1), ("axis 0", (4, 3), (2, 3), 0), ("a smaller index", (3, 4, 5), (2, 2, 3), 2), ("axis 1 of 3", (2, 3, 4), (2, 5, 4), 1)]:
        case(name, f"(x, i) |> gather({axis})", {"x": rand(*shape), "i": ids(shape[axis], *small)}, lambda x, i: torch.gather(x, axis, i))
    case("by name", "(x, index = i) |> gather(axis = 0)", {"x": rand(3), "i": i64([2, 2, 0, 2])}, lambda x, i: x[i])
    case("integers", "(x, i) |> gather(0)", {"x": i64([5, 6, 7]), "i": i64([2, 0])}, lambda x, i: x[i])
    case("an empty index", "(x, i) |> gather(0)", {"x": rand(3), "i": ids(1, 0)}, lambda x, i: x[i])
    begin("take_along")
    for name, shape, small, axis in [("last axis", (3, 5), (3, 2), -1), ("axis 0", (4, 3), (2, 3), 0), ("axis 1 of 3", (2, 3, 4), (2, 5, 4), 1)]:
        case(name, f"(x, i) |> take_along({axis})", {"x": rand(*shape), "i": ids(shape[axis], *small)}, lambda x, i: torch.take_along_dim(x, i, axis))
    case("by name", "(x, index = i) |> take_along(axis = 0)", {"x": rand(3), "i": i64([2, 2, 0])}, lambda x, i: x[i])
    begin("index_select")
    for name, shape, axis in [("rows", (5, 3), 0), ("columns", (3, 5), -1), ("axis 1 of 3", (2, 5, 3), 1), ("rank 1", (5,), 0)]:
        case(name, f"(x, i) |> index_select({axis})", {"x": rand(*shape), "i": i64([4, 0, 4, 2])}, lambda x, i: torch.index_select(x, axis, i))
    case("bools", "(x, index = i) |> index_select(axis = 0)", {"x": yes([True, False, True]), "i": i64([1, 0])}, lambda x, i: x[i])
    begin("one_hot")
    for shape in [(4,), (2, 3), (), (0,)]:
        case(f"{list(shape)}", "one_hot(5)", {"x": ids(5, *shape)}, lambda x: F.one_hot(x, 5))
    case("one class", "one_hot(classes = 1)", {"x": i64([0, 0])}, lambda x: F.one_hot(x, 1))
    begin("flip")
    for call, axes in [("flip(0)", [0]), ("flip(-1)", [-1]), ("flip(0, 2)", [0, 2]), ("flip(axis = [1, 0])", [1, 0])]:
        case(call, call, {"x": rand(2, 3, 4)}, lambda x: torch.flip(x, axes))
    case("integers", "flip(0)", {"x": i64([1, 2, 3])}, lambda x: torch.flip(x, [0]))
    case("empty", "flip(0)", {"x": rand(0, 3)}, lambda x: torch.flip(x, [0]))
    begin("roll")
    for call, shift, axes in [("roll(1, 0)", 1, 0), ("roll(-2, 1)", -2, 1), ("roll(7, axis = -1)", 7, -1), ("roll(shift = [1, -1], axis = [0, 2])", [1, -1], [0, 2]), ("roll(3, 1)", 3, 1)]:
        case(call, call, {"x": rand(2, 3, 4)}, lambda x: torch.roll(x, shift, axes))
    case("integers", "roll(1, 0)", {"x": i64([1, 2, 3])}, lambda x: torch.roll(x, 1, 0))
    case("empty", "roll(1, 0)", {"x": rand(0, 3)}, lambda x: torch.roll(x, 1, 0))


def shapes():
    plain = lambda op, calls, shape=(2, 3, 4): [case(call, call, {"x": rand(*shape)}, fn) for call, fn in calls]
    begin("unflatten")
    plain("unflatten", [("unflatten(2, [2, 2])", lambda x: x.unflatten(2, (2, 2))), ("unflatten(-1, [-1, 2])", lambda x: x.unflatten(-1, (-1, 2))),
                        ("unflatten(0, [1, 2])", lambda x: x.unflatten(0, (1, 2))), ("unflatten(axis = 1, sizes = [3, 1])", lambda x: x.unflatten(1, (3, 1)))])
    begin("movedim")
    plain("movedim", [("movedim(0, 2)", lambda x: x.movedim(0, 2)), ("movedim(-1, 0)", lambda x: x.movedim(-1, 0)), ("movedim([0, 1], [2, 0])", lambda x: x.movedim((0, 1), (2, 0))),
                      ("movedim(from = 1, to = 1)", lambda x: x.movedim(1, 1))])
    begin("tile")
    plain("tile", [("tile(2, 1, 3)", lambda x: x.tile(2, 1, 3)), ("tile(2)", lambda x: x.tile(2)), ("tile(3, 2)", lambda x: x.tile(3, 2)), ("tile([2, 1, 1, 2])", lambda x: x.tile(2, 1, 1, 2)), ("tile(reps = 1)", lambda x: x)])
    case("integers", "tile(2)", {"x": i64([1, 2])}, lambda x: x.tile(2))
    begin("repeat_interleave")
    plain("repeat_interleave", [("repeat_interleave(2, 0)", lambda x: x.repeat_interleave(2, 0)), ("repeat_interleave(3, -1)", lambda x: x.repeat_interleave(3, -1)),
                                ("repeat_interleave(n = 2, axis = 1)", lambda x: x.repeat_interleave(2, 1)), ("repeat_interleave(1, 1)", lambda x: x)])
    begin("unbind")
    case("axis 0", "(a, b) = x |> unbind(0)\n(a, b)", {"x": rand(2, 3)}, lambda x: x.unbind(0))
    case("last axis", "(a, b, c) = x |> unbind(-1)\na * b + c", {"x": rand(2, 3)}, lambda x: x[:, 0] * x[:, 1] + x[:, 2])
    case("axis 1 of 3", "(a, b, c) = x |> unbind(axis = 1)\n(c, a, b)", {"x": rand(2, 3, 4)}, lambda x: (x[:, 2], x[:, 0], x[:, 1]))
    case("one slice", "unbind(1)", {"x": rand(2, 1)}, lambda x: x[:, 0])
    for op, fn in [("tril", torch.tril), ("triu", torch.triu)]:
        begin(op)
        case("a square", op, {"x": rand(4, 4)}, lambda x: fn(x))
        for k in (1, -1, -2, 5, -5):
            case(f"diagonal {k}", f"{op}({k})", {"x": rand(3, 5)}, lambda x: fn(x, k))
        case("by name, leading axes", f"{op}(diagonal = 1)", {"x": rand(2, 3, 4, 3)}, lambda x: fn(x, 1))
        case("bools", op, {"x": yes([[True, True], [True, True]])}, lambda x: fn(x))
        case("integers", op, {"x": i64([[1, 2, 3], [4, 5, 6]])}, lambda x: fn(x))
    begin("diagonal")
    for name, call, shape, args in [("a square", "diagonal", (4, 4), (0, 0, 1)), ("wide", "diagonal(1)", (3, 5), (1, 0, 1)), ("tall", "diagonal(-2)", (5, 3), (-2, 0, 1)),
                                    ("other axes", "diagonal(0, 2, 1)", (2, 3, 4), (0, 2, 1)), ("all by name", "diagonal(offset = 1, a = 0, b = -1)", (3, 2, 4), (1, 0, -1)), ("beside the matrix", "diagonal(7)", (3, 5), (7, 0, 1))]:
        if name == "beside the matrix":
            continue
        case(name, call, {"x": rand(*shape)}, lambda x: torch.diagonal(x, *args))
    begin("meshgrid")
    grid = lambda *v: tuple(torch.meshgrid(*v, indexing="ij"))
    case("two", "(a, b) |> meshgrid\n", {"a": rand(3), "b": rand(2)}, grid)
    case("three", "(a, b, c) |> meshgrid\n", {"a": rand(3), "b": rand(2), "c": rand(4)}, grid)
    case("used", "(p, q) = (a, b) |> meshgrid\np * q", {"a": rand(3), "b": rand(2)}, lambda a, b: a[:, None] * b)
    case("of other elements", "(a, b) |> meshgrid\n", {"a": rand(2), "b": i64([1, 2])}, lambda a, b: (a[:, None].expand(2, 2), b.expand(2, 2)))
    begin("rearrange")
    for name, call, shape, fn in [
        ("heads", 'rearrange("b s (h e) -> b h s e", h = 2)', (2, 3, 8), lambda x: x.reshape(2, 3, 2, 4).permute(0, 2, 1, 3)),
        ("and back", 'rearrange("b h s e -> b s (h e)")', (2, 2, 3, 4), lambda x: x.permute(0, 2, 1, 3).reshape(2, 3, 8)),
        ("patches", 'rearrange("b c (h p) (w q) -> b (h w) (p q c)", p = 2, q = 3)', (1, 2, 4, 6), lambda x: x.reshape(1, 2, 2, 2, 2, 3).permute(0, 2, 4, 3, 5, 1).reshape(1, 4, 12)),
        ("transposition", 'rearrange("i j -> j i")', (3, 4), lambda x: x.t()),
        ("any number of axes", 'rearrange("b ... c -> b c ...")', (2, 3, 4, 5), lambda x: x.permute(0, 3, 1, 2)),
        ("an axis of one, made", 'rearrange("a b -> a 1 b")', (2, 3), lambda x: x[:, None]),
        ("an axis of one, dropped", 'rearrange("a 1 b -> a b")', (2, 1, 3), lambda x: x[:, 0]),
        ("long names", 'rearrange("batch seq width -> seq (batch width)")', (2, 3, 4), lambda x: x.permute(1, 0, 2).reshape(3, 8)),
        ("all into one", 'rearrange("... -> (a)")'.replace("(a)", "..."), (2, 3), lambda x: x),
    ]:
        case(name, call, {"x": rand(*shape)}, fn)
    begin("reduce")
    for name, call, shape, fn in [
        ("global mean", 'reduce("b c h w -> b c", mean)', (2, 3, 2, 2), lambda x: x.mean((2, 3))),
        ("sum", 'reduce("b c -> c", sum)', (3, 4), lambda x: x.sum(0)),
        ("max pooling", 'reduce("b c (h i) (w j) -> b c h w", max, i = 2, j = 2)', (1, 2, 4, 6), lambda x: F.max_pool2d(x, 2)),
        ("min", 'reduce("a b c -> c a", how = min)', (2, 3, 4), lambda x: x.amin(1).t()),
        ("product", 'reduce("a b -> a", prod)', (3, 4), lambda x: x.prod(1)),
        ("nothing is reduced", 'reduce("a b -> b a", "mean")', (3, 4), lambda x: x.t()),
        ("everything is", 'reduce("a b ->", mean)', (3, 4), lambda x: x.mean()),
        ("kept as one", 'reduce("a b -> a 1", sum)', (3, 4), lambda x: x.sum(1, keepdim=True)),
    ]:
        case(name, call, {"x": rand(*shape)}, fn)
    begin("pixel_shuffle")
    for f, shape in [(2, (2, 8, 3, 2)), (3, (1, 9, 1, 2)), (1, (1, 2, 2, 2))]:
        case(f"factor {f} on {list(shape)}", f"pixel_shuffle({f})", {"x": rand(*shape)}, lambda x: F.pixel_shuffle(x, f))
    case("by name", "pixel_shuffle(factor = 2)", {"x": rand(1, 4, 1, 1)}, lambda x: F.pixel_shuffle(x, 2))
    begin("pixel_unshuffle")
    for f, shape in [(2, (2, 2, 4, 6)), (3, (1, 1, 3, 6)), (1, (1, 2, 2, 2))]:
        case(f"factor {f} on {list(shape)}", f"pixel_unshuffle({f})", {"x": rand(*shape)}, lambda x: F.pixel_unshuffle(x, f))
    case("by name", "pixel_unshuffle(factor = 2)", {"x": rand(1, 1, 2, 2)}, lambda x: F.pixel_unshuffle(x, 2))
    begin("channel_shuffle")
    for g, shape in [(2, (2, 6, 2, 2)), (3, (1, 6, 4)), (1, (1, 4, 2)), (4, (1, 4, 2, 1, 2))]:
        case(f"{g} groups on {list(shape)}", f"channel_shuffle({g})", {"x": rand(*shape)}, lambda x: F.channel_shuffle(x, g))
    case("by name", "channel_shuffle(groups = 2)", {"x": rand(1, 4, 3)}, lambda x: F.channel_shuffle(x, 2))
    begin("pad_modes")
    for mode in ("reflect", "replicate", "circular"):
        pad = lambda x, amount: F.pad(x, amount, mode=mode)
        case(f"{mode}: one spatial axis", f'pad(2, "{mode}")', {"x": rand(2, 2, 5)}, lambda x: pad(x, (2, 2)))
        case(f"{mode}: two spatial axes", f'pad(1, mode = "{mode}")', {"x": rand(1, 2, 3, 4)}, lambda x: pad(x, (1, 1, 1, 1)))
        case(f"{mode}: a pair an axis", f'pad([[1, 0], [2, 1]], mode = "{mode}")', {"x": rand(1, 2, 3, 4)}, lambda x: pad(x, (2, 1, 1, 0)))
        case(f"{mode}: three spatial axes", f'pad([[1, 1], [0, 1], [2, 0]], mode = "{mode}")', {"x": rand(1, 1, 2, 3, 4)}, lambda x: pad(x, (2, 0, 0, 1, 1, 1)))
        case(f"{mode}: a crop on one side", f'pad([[-1, 2]], mode = "{mode}")', {"x": rand(1, 2, 5)}, lambda x: pad(x, (0, 2))[:, :, 1:])
        case(f"{mode}: as far as it goes", f'pad([[3, 3]], mode = "{mode}")', {"x": rand(1, 2, 4)}, lambda x: pad(x, (3, 3)))


# ---------------------------------------------------------------------------------------------- losses, distances


def signs(*shape):
    return f32(make.RNG.choice([-1.0, 1.0], shape))


def loss(op, fn, inputs, forms=(), frozen=(), reductions=("none", "sum")):
    """A loss over `inputs` (name -> a function of the leading sizes), in its reductions and forms (attributes, keywords)."""
    begin(op)
    names = ", ".join(inputs)
    made = lambda *lead: {name: draw(*lead) for name, draw in inputs.items()}
    call = f"({names}) |> {op}"
    case("rows", call, made(5), fn, frozen=frozen)
    case("two leading axes", call, made(2, 3), fn, frozen=frozen)
    for how in reductions:
        case(f"reduction {how}", f'{call}(reduction = "{how}")', made(3), lambda *a: fn(*a, reduction=how), frozen=frozen)
    for attrs, words in forms:
        case(attrs, f"{call}({attrs})", made(4), lambda *a: fn(*a, **words), frozen=frozen)
    return call


def flatten_rows(fn):
    """PyTorch knows one leading axis."""
    def on(x, *rest, reduction="mean", **words):
        lead = x.shape[:-1]
        each = fn(*(v.reshape(-1, v.shape[-1]) if v.dim() == x.dim() else v.reshape(-1) for v in (x, *rest)), reduction="none", **words).reshape(lead)
        return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each
    return on


def more_losses():
    row = lambda *lead: rand(*lead, 3)
    pair = {"x": row, "y": row}
    call = loss("l1", F.l1_loss, pair)
    case("equal: gradient 0", call, {"x": f32([1, 2]), "y": f32([1, 3])}, F.l1_loss)
    case("scalars", call, {"x": rand(), "y": rand()}, F.l1_loss)
    call = loss("smooth_l1", F.smooth_l1_loss, pair, [("beta = 0.5", {"beta": 0.5}), ("2", {"beta": 2.0}), ("0", {"beta": 0.0})])
    case("at the knee", call, {"x": f32([0, 1, -1, 0.5]), "y": f32([0, 0, 0, 0])}, F.smooth_l1_loss)
    call = loss("huber", F.huber_loss, pair, [("delta = 0.5", {"delta": 0.5}), ("2", {"delta": 2.0})])
    case("at the knee", call, {"x": f32([0, 1, -1, 0.5]), "y": f32([0, 0, 0, 0])}, F.huber_loss)
    logs = lambda *lead: f32(torch.log_softmax(rand(*lead, 3), -1))
    shares = lambda *lead: f32(torch.softmax(rand(*lead, 3), -1))
    loss("kl_div", F.kl_div, {"x": logs, "t": shares}, reductions=("none", "sum", "batchmean"))
    case("0 ln 0 is 0", "(x, t) |> kl_div", {"x": logs(2), "t": f32([[1, 0, 0], [0.5, 0.5, 0]])}, lambda x, t: F.kl_div(x, t), frozen=("t",))
    case("a target of logarithms", "(x, t) |> kl_div(log_target = true)", {"x": logs(3), "t": logs(3)}, lambda x, t: F.kl_div(x, t, log_target=True))
    case("the same, a mean a sample", '(x, t) |> kl_div(true, "batchmean")'.replace('true, "', 'true, reduction = "'), {"x": logs(3), "t": logs(3)}, lambda x, t: F.kl_div(x, t, log_target=True, reduction="batchmean"))
    counts = lambda *lead: f32(make.RNG.poisson(3, (*lead, 3)) + 1)
    poisson = lambda x, t, log_input=True, full=False, eps=1e-8, reduction="mean": F.poisson_nll_loss(x, t, log_input, full, eps=eps, reduction=reduction)
    loss("poisson_nll", poisson, {"x": row, "t": counts}, [("full = true", {"full": True})])
    for words in ({}, {"full": True}, {"eps": 0.5}):
        attrs = "".join(f", {k} = {str(v).lower()}" for k, v in words.items())
        case(f"of rates{attrs}", f"(x, t) |> poisson_nll(false{attrs})", {"x": positive(3, 2), "t": counts(3)[:, :2].contiguous()}, lambda x, t: poisson(x, t, False, **words))
    case("rates by name", "(x, t) |> poisson_nll(log_input = false)", {"x": positive(4), "t": f32([0, 1, 2, 5])}, lambda x, t: poisson(x, t, False))
    many = lambda *lead: positive(*lead, 3)
    gauss = lambda m, t, v, full=False, eps=1e-6, reduction="mean": F.gaussian_nll_loss(m, t, v, full, eps, reduction)
    call = loss("gaussian_nll", gauss, {"m": row, "t": row, "v": many}, [("full = true", {"full": True}), ("eps = 0.75", {"eps": 0.75}), ("true", {"full": True})])
    case("no variance", call, {"m": f32([0.25, 0]), "t": f32([0, 0]), "v": f32([0, 1])}, gauss)
    chance = lambda *lead: f32(torch.sigmoid(rand(*lead, 3)))
    call = loss("bce", F.binary_cross_entropy, {"p": chance, "t": chance})
    case("certain, and right or wrong", call, {"p": f32([0, 1, 0, 1]), "t": f32([0, 1, 0.5, 0.5])}, F.binary_cross_entropy, frozen=("t",))
    case("a weight an element", "(p, t, weight = w) |> bce", {"p": chance(4), "t": chance(4), "w": positive(4, 3)}, lambda p, t, w: F.binary_cross_entropy(p, t, w), frozen=("w",))
    case("a weight of the last axis", "(p, t, w) |> bce", {"p": chance(4), "t": chance(4), "w": positive(3)}, lambda p, t, w: F.binary_cross_entropy(p, t, w), frozen=("w",))
    hinge = lambda x, y, **o: F.hinge_embedding_loss(x, y, **o)
    call = loss("hinge_embedding", hinge, {"x": row, "y": lambda *lead: signs(*lead, 3)}, [("margin = 0.5", {"margin": 0.5}), ("2", {"margin": 2.0})], frozen=("y",))
    case("kinks", call, {"x": f32([1, 1, 0, 0]), "y": f32([1, -1, 1, -1])}, hinge, frozen=("y",))
    call = loss("soft_margin", F.soft_margin_loss, {"x": row, "y": lambda *lead: signs(*lead, 3)}, frozen=("y",))
    case("large scores", call, {"x": f32([60, 60, -60, 0]), "y": f32([1, -1, 1, -1])}, F.soft_margin_loss, frozen=("y",))
    ranking = lambda a, b, y, **o: F.margin_ranking_loss(a, b, y, **o)
    call = loss("margin_ranking", ranking, {"a": row, "b": row, "y": lambda *lead: signs(*lead, 3)}, [("margin = 0.5", {"margin": 0.5}), ("-1", {"margin": -1.0})], frozen=("y",))
    multi = flatten_rows(F.multi_margin_loss)
    rows, label = (lambda *lead: rand(*lead, 4)), (lambda *lead: ids(4, *lead))
    call = loss("multi_margin", multi, {"x": rows, "t": label}, [("p = 2", {"p": 2}), ("1, 0.5", {"margin": 0.5}), ("2, margin = -0.25", {"p": 2, "margin": -0.25})])
    w = f32([0.5, 1, 2, 0.25])
    case("weights of the classes", "(x, t, weight = w) |> multi_margin", {"x": rand(5, 4), "t": ids(4, 5), "w": w}, lambda x, t, w: F.multi_margin_loss(x, t, weight=w), frozen=("w",))
    case("weights as a list", "(x, t) |> multi_margin(weight = [0.5, 1, 2, 0.25], p = 2)", {"x": rand(5, 4), "t": ids(4, 5)}, lambda x, t: F.multi_margin_loss(x, t, weight=w, p=2))
    case("rank 1", call, {"x": rand(4), "t": i64(2)}, lambda x, t: F.multi_margin_loss(x, t))
    labels = lambda *lead: torch.stack([i64([int(a), int(b), -1, int(a)]) for a, b in zip(make.RNG.integers(0, 2, math.prod(lead)), make.RNG.integers(2, 4, math.prod(lead)))]).reshape(*lead, 4)
    call = loss("multilabel_margin", flatten_rows(F.multilabel_margin_loss), {"x": rows, "t": labels})
    case("no label, all labels, one", call, {"x": rand(3, 3), "t": i64([[-1, 0, 1], [2, 0, 1], [1, -1, 1]])}, F.multilabel_margin_loss)
    call = loss("multilabel_soft_margin", flatten_rows(F.multilabel_soft_margin_loss), {"x": rows, "t": lambda *lead: f32(make.RNG.integers(0, 2, (*lead, 4)))}, frozen=("t",))
    case("weights of the classes", "(x, t, weight = w) |> multilabel_soft_margin", {"x": rand(5, 4), "t": f32(ids(2, 5, 4)), "w": w}, lambda x, t, w: F.multilabel_soft_margin_loss(x, t, w), frozen=("t", "w"))
    case("weights as a list", "(x, t) |> multilabel_soft_margin(weight = [0.5, 1, 2, 0.25])", {"x": rand(5, 4), "t": f32(ids(2, 5, 4))}, lambda x, t: F.multilabel_soft_margin_loss(x, t, w), frozen=("t",))
    case("large logits", call, {"x": f32([[60, -60]]), "t": f32([[0, 1]])}, F.multilabel_soft_margin_loss, frozen=("t",))
    triplet = lambda a, p, n, order=2.0, **o: F.triplet_margin_loss(a, p, n, p=order, **o)
    loss("triplet_margin", triplet, {"a": rows, "p": rows, "n": rows}, [("margin = 0.25", {"margin": 0.25}), ("2, 1", {"margin": 2.0, "order": 1.0}), ("p = 3", {"order": 3.0}), ("swap = true", {"swap": True}), ("eps = 0.5", {"eps": 0.5})])
    cosine = flatten_rows(F.cosine_embedding_loss)
    loss("cosine_embedding", cosine, {"a": rows, "b": rows, "y": signs}, [("margin = 0.25", {"margin": 0.25}), ("-0.5", {"margin": -0.5})], frozen=("y",))


def learned_weights():
    """Losses whose class weights are learned: PyTorch has no gradient for these, so the definition is written out."""
    def nll(logp, t, w, ignore=-100, smoothing=0.0, reduction="mean"):
        logp, t = logp.flatten(0, -2), t.flatten()
        counts = (t != ignore).double()
        own = torch.where(t == ignore, 0, t)
        weight = w[own] * counts
        rows = -(1 - smoothing) * weight * logp[torch.arange(len(t)), own] - smoothing / logp.shape[1] * (w * logp).sum(1) * counts
        return rows.sum() / weight.sum() if reduction == "mean" else rows.sum()

    def both(x, t, w, log=lambda x: x, **o):
        """The value is PyTorch's own."""
        y = nll(log(x), t, w, **o)
        words = {"ignore_index": o.get("ignore", -100), "reduction": o.get("reduction", "mean")}
        if log is not both.plain:
            words["label_smoothing"] = o.get("smoothing", 0.0)
        own = (F.nll_loss if log is both.plain else F.cross_entropy)(x.flatten(0, -2), t.flatten(), weight=w.detach(), **words)
        assert torch.allclose(y, own, rtol=1e-13)
        return y

    both.plain = lambda x: x
    soft = lambda x: torch.log_softmax(x, -1)
    given = lambda: {"x": rand(2, 3, 4), "t": i64([[1, 3, 0], [3, 1, 2]]), "w": positive(4)}
    begin("cross_entropy_learned")
    call = "(x, t, weight = w) |> cross_entropy"
    case("the mean", call, given(), lambda *a: both(*a, log=soft))
    case("ignored targets", f"{call}(ignore_index = 3)", given(), lambda *a: both(*a, log=soft, ignore=3))
    case("smoothed, ignored", f"{call}(ignore_index = 1, label_smoothing = 0.25)", given(), lambda *a: both(*a, log=soft, ignore=1, smoothing=0.25))
    case("the sum", f'{call}(reduction = "sum", label_smoothing = 0.5)', given(), lambda *a: both(*a, log=soft, smoothing=0.5, reduction="sum"))
    begin("nll_learned")
    call = "(x, t, weight = w) |> nll"
    logs = lambda: given() | {"x": f32(soft(rand(2, 3, 4)))}
    case("the mean", call, logs(), lambda *a: both(*a, log=both.plain))
    case("ignored targets", f"{call}(ignore_index = 3)", logs(), lambda *a: both(*a, log=both.plain, ignore=3))
    case("the sum", f'{call}(reduction = "sum")', logs(), lambda *a: both(*a, log=both.plain, reduction="sum"))


def distances():
    call = "(a, b) |> "
    begin("cosine_similarity")
    for name, attrs, shape, words in [("axis 1", "", (3, 4), {}), ("axis 0", "(0)", (3, 4), {"dim": 0}), ("last of three", "(axis = -1)", (2, 3, 4), {"dim": -1}), ("rank 1", "(0)", (5,), {"dim": 0}), ("eps", "(1, eps = 3)", (3, 4), None)]:
        case(name, f"{call}cosine_similarity{attrs}", {"a": rand(*shape), "b": rand(*shape)}, lambda a, b: F.cosine_similarity(a, b, **words) if words is not None else (a * b).sum(1) / (a.norm(dim=1).clamp(min=3) * b.norm(dim=1).clamp(min=3)))
    case("no length", f"{call}cosine_similarity", {"a": f32([[0, 0]]), "b": f32([[1, 2]])}, lambda a, b: F.cosine_similarity(a, b), grad=False)
    begin("pairwise_distance")
    for name, attrs, shape, words in [("rows", "", (3, 4), {}), ("three axes", "", (2, 3, 4), {}), ("order 1", "(1)", (3, 4), {"p": 1.0}), ("order 3", "(p = 3)", (3, 4), {"p": 3.0}), ("order inf", "(inf)", (3, 4), {"p": INF}),
                                      ("eps", "(2, 0.5)", (3, 4), {"eps": 0.5}), ("eps by name", "(eps = 0)", (3, 4), {"eps": 0.0}), ("kept", "(keep = true)", (3, 4), {"keepdim": True}), ("rank 1", "", (4,), {})]:
        case(name, f"{call}pairwise_distance{attrs}", {"a": rand(*shape), "b": rand(*shape)}, lambda a, b: F.pairwise_distance(a, b, **words))
    begin("cdist")
    far = lambda a, b, p=2.0: torch.cdist(a, b, p, compute_mode="donot_use_mm_for_euclid_dist")
    for p in (2, 1, 3, "inf"):
        case(f"order {p}", f"{call}cdist({p})", {"a": rand(3, 4), "b": rand(2, 4)}, lambda a, b: far(a, b, float(p)))
    case("leading axes", f"{call}cdist", {"a": rand(2, 3, 2), "b": rand(2, 4, 2)}, far)
    case("order 0.5, by name", f"{call}cdist(p = 0.5)", {"a": rand(3, 2), "b": rand(2, 2)}, lambda a, b: far(a, b, 0.5))
    case("equal rows: gradient 0", f"{call}cdist", {"a": f32([[1, 2], [3, 4]]), "b": f32([[1, 2]])}, far)
    case("large offset", f"{call}cdist", {"a": make.eighths(3, 4, mean=1e4), "b": make.eighths(2, 4, mean=1e4)}, far)


# ---------------------------------------------------------------------------------------------- norms


def group_norms():
    begin("groupnorm")
    both = lambda c, path="groupnorm": {f"{path}.weight": rand(c, shift=1), f"{path}.bias": rand(c)}
    fn = lambda g, **o: lambda x, p: F.group_norm(x, g, p.get("groupnorm.weight"), p.get("groupnorm.bias"), **o)
    for g, shape in [(2, (3, 4, 5)), (1, (2, 6, 2, 3)), (3, (2, 6, 4)), (4, (2, 4, 3, 2)), (2, (3, 8)), (2, (1, 4, 2, 2, 3)), (2, (0, 4, 3))]:
        case(f"{g} groups on {list(shape)}", f"groupnorm({g})", {"x": rand(*shape)}, fn(g), both(shape[1]))
    case("channels said", "groupnorm(2, 4)", {"x": rand(2, 4, 3)}, fn(2), both(4))
    case("eps", "groupnorm(groups = 2, eps = 0.5)", {"x": rand(2, 4, 3)}, fn(2, eps=0.5), both(4))
    case("no gain", "groupnorm(2, affine = false)", {"x": rand(2, 4, 3)}, lambda x: F.group_norm(x, 2))
    case("no bias", "groupnorm(2, bias = false, channels = 4)", {"x": rand(2, 4, 3)}, fn(2), {"groupnorm.weight": rand(4, shift=1)})
    case("a large mean", "groupnorm(2)", {"x": make.eighths(2, 4, 8, mean=1e4)}, fn(2), both(4))
    begin("instancenorm")
    plain = lambda x: F.instance_norm(x)
    for shape in [(3, 2, 5), (2, 3, 4, 2), (1, 2, 2, 3, 2), (0, 2, 3)]:
        case(f"{list(shape)}", "instancenorm", {"x": rand(*shape)}, plain)
    case("channels and eps", "instancenorm(2, 0.5)", {"x": rand(3, 2, 4)}, lambda x: F.instance_norm(x, eps=0.5))
    gain = lambda x, p: F.instance_norm(x, weight=p["instancenorm.weight"], bias=p.get("instancenorm.bias"))
    case("affine", "instancenorm(affine = true)", {"x": rand(2, 3, 4)}, gain, both(3, "instancenorm"))
    case("affine, no bias", "instancenorm(affine = true, bias = false, channels = 3)", {"x": rand(2, 3, 4)}, gain, {"instancenorm.weight": rand(3, shift=1)})
    state = lambda c: {"instancenorm.running_mean": rand(c), "instancenorm.running_var": positive(c), "instancenorm.num_batches_tracked": i64(0)}

    def tracked(x, s, training, update=0.1, eps=1e-5):
        return F.instance_norm(x, s["instancenorm.running_mean"], s["instancenorm.running_var"], use_input_stats=training, momentum=update, eps=eps)

    case("tracked: train", "instancenorm(track = true)", {"x": rand(3, 2, 4)}, lambda x, s: tracked(x, s, True), state=state(2), mode="train")
    case("tracked: train, update", "instancenorm(track = true, update = 0.5, eps = 0.1)", {"x": rand(3, 2, 4)}, lambda x, s: tracked(x, s, True, 0.5, 0.1), state=state(2), mode="train")
    case("tracked: eval", "instancenorm(track = true)", {"x": rand(3, 2, 4)}, lambda x, s: tracked(x, s, False), state=state(2))
    last = rand(3, 2, 4)
    case("tracked: three steps", "instancenorm(track = true)", {"x": last}, lambda x, s: tracked(x, s, True), state=state(2), mode="train", steps=[rand(3, 2, 4), rand(3, 2, 4), last])
    begin("local_response_norm")
    for size, shape in [(3, (2, 5, 4)), (2, (2, 5, 3, 2)), (5, (1, 3, 2)), (1, (2, 3, 2)), (4, (1, 6, 2, 1, 2))]:
        case(f"{size} of {list(shape)}", f"local_response_norm({size})", {"x": rand(*shape)}, lambda x: F.local_response_norm(x, size))
    case("all attributes", "local_response_norm(3, 0.5, 0.25, 2)", {"x": rand(2, 5, 3)}, lambda x: F.local_response_norm(x, 3, 0.5, 0.25, 2.0))
    case("by name", "local_response_norm(size = 3, alpha = 1, beta = 2, k = 0.5)", {"x": rand(2, 5, 3)}, lambda x: F.local_response_norm(x, 3, 1.0, 2.0, 0.5))

# ---------------------------------------------------------------------------------------------- recurrence


STATES = {"rnn": ["h0"], "gru": ["h0"], "lstm": ["h0", "c0"]}


def net_names(op, layers, both, bias, proj):
    """The parameters in PyTorch's order, which is also asked of PyTorch's own module."""
    parts = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if bias else []) + (["weight_hr"] if proj else [])
    names = [f"{part}_l{k}{way}" for k in range(layers) for way in ([""] + (["_reverse"] if both else [])) for part in parts]
    kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[op]
    extra = {"proj_size": proj} if op == "lstm" else {}
    module = kind(2, 7, layers, bias=bias, bidirectional=both, batch_first=True, **extra)
    assert list(module.state_dict()) == names, names
    return module, names


def net(op, x, states, p, names, layers, both, bias, relu, dropout, train, lengths=None):
    """y and the last states. PyTorch packs no sequence of length 0: its states stay, and there is no y."""
    fn = {"rnn": torch.rnn_relu if relu else torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}[op]
    flat = [p[f"{op}.{name}"] for name in names]
    rest = (flat, bias, layers, dropout, train, both)
    first = tuple(states) if op == "lstm" else states[0]
    if lengths is None:
        return fn(x, first, *rest, True)
    keep = [b for b, n in enumerate(lengths.tolist()) if n > 0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x[keep], lengths[keep], batch_first=True, enforce_sorted=False)
    order = torch.tensor(keep)[packed.sorted_indices]
    first = [state[:, order] for state in states]
    data, *last = fn(packed.data, packed.batch_sizes, tuple(first) if op == "lstm" else first[0], *rest)
    out = torch.nn.utils.rnn.PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
    whole = torch.zeros(x.shape[0], x.shape[1], y.shape[2]).index_put((torch.tensor(keep),), y)
    back = torch.tensor([order.tolist().index(b) for b in keep])
    ends = [state.index_put((torch.arange(state.shape[0])[:, None], torch.tensor(keep)[None]), end[:, back]) for state, end in zip(states, last)]
    return (whole, *ends)


def recurrent():
    for op, gates in [("rnn", 1), ("gru", 3), ("lstm", 4)]:
        begin(op)

        def one(name, attrs="", x=(2, 3, 3), hidden=2, layers=1, both=False, bias=True, proj=0, relu=False, states=False, lengths=None, only_y=False, mode="eval", dropout=0.0, first=None):
            _, names = net_names(op, layers, both, bias, proj)
            ways, out = 1 + both, proj or hidden
            shapes = {}
            for k in range(layers):
                for way in [""] + (["_reverse"] if both else []):
                    shapes |= {f"weight_ih_l{k}{way}": (gates * hidden, x[2] if k == 0 else ways * out), f"weight_hh_l{k}{way}": (gates * hidden, out),
                               f"bias_ih_l{k}{way}": (gates * hidden,), f"bias_hh_l{k}{way}": (gates * hidden,), f"weight_hr_l{k}{way}": (out, hidden)}
            params = {f"{op}.{name}": rand(*shapes[name], scale=0.5) for name in names}
            inputs = {"x": rand(*x)}
            begun = STATES[op] if states else []
            for state in begun:
                inputs[state] = rand(layers * ways, x[0], out if state == "h0" else hidden)
            if lengths is not None:
                inputs["n"] = i64(lengths)

            def fn(x, *more):
                *more, p = more
                n = more.pop() if lengths is not None else None
                given = more or [torch.zeros(layers * ways, x.shape[0], out if state == "h0" else hidden) for state in STATES[op]]
                got = net(op, x, given, p, names, layers, both, bias, relu, dropout, mode == "train", n)
                return got[0] if only_y else tuple(got)

            operands = ["x", *begun] + (["lengths = n"] if lengths is not None else [])
            flow = "x" if len(operands) == 1 else f"({', '.join(operands)})"
            call = f"{flow} |> {op}({first or hidden}{attrs})"
            names_out = ", ".join(["y", "h", "c"][: 1 + len(STATES[op])])
            case(name, call if only_y else f"({names_out}) = {call}\n({names_out})", inputs, fn, params, mode=mode)

        one("plain")
        one("only y", only_y=True)
        one("pinned", first="hidden = 2" if op == "rnn" else "3 -> 2")
        one("no bias", ", bias = false", bias=False)
        one("two layers", ", 2", layers=2)
        one("both ways", ", bidirectional = true", both=True)
        one("three layers both ways", ", layers = 3, bidirectional = true", layers=3, both=True, hidden=2)
        begin(f"{op}_states")
        one("from given states", states=True)
        one("two layers both ways from given states", ", 2, true", layers=2, both=True, states=True)
        one("one step", x=(3, 1, 2))
        one("one sequence of one number", x=(1, 4, 1), hidden=1)
        one("no sequence", x=(0, 3, 2))
        begin(f"{op}_lengths")
        one("lengths", x=(4, 5, 2), lengths=[5, 2, 1, 4])
        one("lengths of 0 and 1", x=(4, 3, 2), lengths=[0, 1, 3, 0])
        one("lengths both ways, given states", ", 2, true", x=(3, 4, 2), layers=2, both=True, states=True, lengths=[2, 4, 1])
        one("lengths of 0, given states, from the end", ", bidirectional = true", x=(3, 3, 2), both=True, states=True, lengths=[2, 0, 3])
        begin(f"{op}_dropout")
        one("dropout in eval", ", layers = 2, dropout = 0.5", layers=2)
        one("dropout of everything in train", ", layers = 3, dropout = 1", layers=3, mode="train", dropout=1.0)
        one("dropout of one layer in train", ", dropout = 1", mode="train", dropout=1.0)
        one("wider", x=(2, 2, 1), hidden=9)
        if op == "rnn":
            one("relu", ', nonlinearity = "relu"', relu=True)
            one("relu, two layers from given states", ', 2, true, "relu"', layers=2, both=True, relu=True, states=True)
        if op == "lstm":
            begin("lstm_projected")
            one("projected", ", proj = 1", proj=1)
            one("projected, two layers both ways, given states, lengths", ", 2, true, proj = 1", layers=2, both=True, proj=1, states=True, lengths=[3, 1], x=(2, 4, 2))
            one("pinned, all by name", ", layers = 1, bidirectional = false, bias = true, dropout = 0, proj = 0")


def cells():
    for op, gates, fn in [("rnn_cell", 1, torch.rnn_tanh_cell), ("gru_cell", 3, torch.gru_cell), ("lstm_cell", 4, torch.lstm_cell)]:
        begin(op)

        def one(name, call, shape=(3, 2), hidden=2, bias=True, fn=fn):
            params = {"weight_ih": rand(gates * hidden, shape[-1]), "weight_hh": rand(gates * hidden, hidden)}
            if bias:
                params |= {"bias_ih": rand(gates * hidden), "bias_hh": rand(gates * hidden)}
            inputs = {"x": rand(*shape), "h": rand(*shape[:-1], hidden)}
            if op == "lstm_cell":
                inputs["c"] = rand(*shape[:-1], hidden)

            def cell(x, h, *rest):
                *c, p = rest
                rows = [value.reshape(math.prod(shape[:-1]), value.shape[-1]) for value in (x, h, *c)]
                state = (rows[1], rows[2]) if c else rows[1]
                got = fn(rows[0], state, *(p.get(f"{op}.{part}") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
                return tuple(g.reshape(h.shape) for g in got) if c else got.reshape(h.shape)

            body = f"({', '.join(inputs)}) |> {call}"
            case(name, f"(a, b) = {body}\n(a, b)" if op == "lstm_cell" else body, inputs, cell, {f"{op}.{key}": value for key, value in params.items()})

        one("rows", f"{op}(2)")
        one("pinned, three axes", f"{op}(3 -> 2)", (2, 2, 3))
        one("a vector, no bias", f"{op}(hidden = 4, bias = false)", (3,), 4, False)
        one("no row", f"{op}(2)", (0, 3))
        if op == "rnn_cell":
            one("relu", 'rnn_cell(2, nonlinearity = "relu")', fn=torch.rnn_relu_cell)
            one("relu by position", 'rnn_cell(2, true, "relu")', fn=torch.rnn_relu_cell)


def letters():
    begin("einsum")
    for name, equation, shapes in [
        ("a matrix product", "ij, jk -> ik", [(3, 4), (4, 2)]), ("transposed", "ij,kj->ki", [(3, 4), (2, 4)]), ("over a batch", "bij, bjk -> bik", [(2, 3, 4), (2, 4, 2)]),
        ("a diagonal", "ii -> i", [(3, 3)]), ("a trace", "ii ->", [(3, 3)]), ("traces of a batch", "b i i -> b", [(2, 3, 3)]), ("three of a letter", "iii -> i", [(2, 2, 2)]),
        ("axes in another order", "ijk -> kij", [(2, 3, 4)]), ("a sum", "ij -> j", [(3, 4)]), ("everything", "ij ->", [(3, 4)]),
        ("an outer product", "i, j -> ij", [(3,), (4,)]), ("a dot product", "i, i ->", [(4,), (4,)]), ("rows of two", "bi, bi -> b", [(3, 4), (3, 4)]), ("element by element", "ij, ij -> ji", [(2, 3), (2, 3)]),
        ("any leading axes", "... i, i o -> ... o", [(2, 3, 4), (4, 2)]), ("leading axes that one lacks", "...ij, ...jk -> ...ik", [(2, 3, 4), (4, 2)]), ("dots in the middle", "i...j, j -> j...i", [(2, 3, 4), (4,)]), ("dots of nothing", "...i -> i...", [(3,)]),
        ("three values", "ni, oij, nj -> no", [(3, 2), (4, 2, 3), (3, 3)]), ("four values", "a, ab, bc, c ->", [(2,), (2, 3), (3, 2), (2,)]), ("what one value alone has", "ij, kl -> ik", [(2, 3), (2, 4)]),
        ("attention's scores", "bqhe, bkhe -> bhqk", [(2, 3, 2, 2), (2, 4, 2, 2)]), ("a diagonal beside a product", "iij, jk -> ki", [(2, 2, 3), (3, 2)]), ("capitals", "aA, Ab -> ba", [(2, 3), (3, 2)]),
        ("nothing", "ij, jk -> ik", [(0, 3), (3, 2)]), ("a sum over nothing", "ij, jk -> ik", [(2, 0), (0, 3)]), ("scalars", ", i -> i", [(), (3,)]),
    ]:
        names = "abcd"[: len(shapes)]
        flow = names if len(shapes) == 1 else f"({', '.join(names)})"
        case(name, f'{flow} |> einsum("{equation}")', {n: rand(*s) for n, s in zip(names, shapes)}, lambda *v: torch.einsum(equation, *v))
    case("by name", '(a, b) |> einsum(equation = "ij, jk -> ik")', {"a": rand(2, 3), "b": rand(3, 2)}, torch.matmul)
    begin("bilinear")
    both = {"bilinear.weight": rand(4, 2, 3), "bilinear.bias": rand(4)}
    fn = lambda x, y, p: F.bilinear(x, y, p["bilinear.weight"], p.get("bilinear.bias"))
    for name, call, lead in [("rows", "bilinear(4)", (3,)), ("pinned", "bilinear([2, 3] -> 4)", (2,)), ("three axes", "bilinear(out = 4, bias = true)", (2, 2)), ("vectors", "bilinear(4)", ()), ("no row", "bilinear(4)", (0,))]:
        case(name, f"(x, y) |> {call}", {"x": rand(*lead, 2), "y": rand(*lead, 3)}, fn, both)
    case("no bias", "(x, y) |> bilinear(4, bias = false)", {"x": rand(3, 2), "y": rand(3, 3)}, fn, {"bilinear.weight": both["bilinear.weight"]})
    case("of one value twice", "(x, x) |> bilinear(4, false)", {"x": rand(3, 2)}, lambda x, p: F.bilinear(x, x, p["bilinear.weight"]), {"bilinear.weight": rand(4, 2, 2)})
    begin("pdist")
    for p in (2, 1, 3, "inf"):
        case(f"order {p}", f"pdist({p})", {"x": rand(4, 3)}, lambda x: F.pdist(x, float(p)))
    case("by name", "pdist(p = 2)", {"x": rand(5, 2)}, F.pdist)
    case("two rows", "pdist", {"x": rand(2, 3)}, F.pdist)
    case("one row: no pair", "pdist", {"x": rand(1, 3)}, F.pdist)
    # PyTorch crashes on the way back.
    case("no row", "pdist", {"x": rand(0, 3)}, F.pdist, grad=False)
    case("equal rows: gradient 0", "pdist", {"x": f32([[1, 2], [1, 2], [4, 6]])}, F.pdist)
    case("a large offset", "pdist", {"x": make.eighths(4, 3, mean=1e4)}, F.pdist)


def alignments():
    begin("ctc")
    flow = "(z |> log_softmax, t, n, m) |> ctc"

    def one(name, attrs, z, t, n, m, grad=True, **words):
        fn = lambda z, t, n, m: F.ctc_loss(torch.log_softmax(z, -1), t, n, m, **words)
        case(name, flow + attrs, {"z": z, "t": i64(t), "n": i64(n), "m": i64(m)}, fn, grad=grad)

    targets, some = [[1, 2], [2, 1], [3, 3]], [2, 1, 2]
    one("rows", "", rand(6, 3, 4), targets, [6, 5, 4], some)
    one("reduction none", '(reduction = "none")', rand(6, 3, 4), targets, [6, 5, 4], some, reduction="none")
    one("reduction sum", '(reduction = "sum")', rand(5, 3, 4), targets, [5, 5, 3], some, reduction="sum")
    one("another blank", "(blank = 3)", rand(5, 2, 4), [[1, 0], [2, 2]], [5, 4], [2, 2], blank=3)
    one("repeated labels need a blank", '(reduction = "none")', rand(5, 2, 3), [[1, 1, 2], [2, 2, 2]], [5, 5], [3, 3], reduction="none")
    one("as many steps as labels", '(0, reduction = "none")', rand(3, 1, 4), [[1, 2, 3]], [3], [3], reduction="none")
    one("one step", "", rand(1, 2, 3), [[1], [2]], [1, 1], [1, 1])
    one("no label", '(reduction = "none")', rand(4, 2, 3), [[1, 2], [0, 0]], [4, 3], [1, 0], reduction="none")
    one("no label at all: divided by 1", "", rand(4, 2, 3), [[0], [0]], [4, 2], [0, 0])
    one("no step and no label", '(reduction = "none")', rand(3, 2, 3), [[1], [1]], [0, 3], [0, 1], reduction="none")
    one("targets that do not fit", '(reduction = "none")', rand(3, 3, 3), [[1, 1, 2], [1, 2, 1], [2, 1, 0]], [3, 2, 3], [3, 3, 2], grad=False, reduction="none")
    one("the same, at no cost", "(zero_infinity = true)", rand(3, 3, 3), [[1, 1, 2], [1, 2, 1], [2, 1, 0]], [3, 2, 3], [3, 3, 2], zero_infinity=True)
    one("all of it by position", '(2, true, reduction = "sum")', rand(3, 2, 3), [[0, 0], [1, 0]], [2, 3], [2, 2], blank=2, zero_infinity=True, reduction="sum")
    one("padding is not read", "", rand(4, 2, 3), [[1, 77], [2, -5]], [4, 4], [1, 1])
    one("sharp scores", "", rand(6, 2, 4, scale=30), [[1, 2], [3, 1]], [6, 6], [2, 2])
    logs = f32(torch.log_softmax(rand(4, 2, 3), -1))
    case("log-probabilities as they are", "(x, t, n, m) |> ctc", {"x": logs, "t": i64([[1], [2]]), "n": i64([4, 3]), "m": i64([1, 1])}, lambda x, t, n, m: F.ctc_loss(x, t, n, m), grad=False)
    gone = f32([[[-1, -INF, -2]], [[-INF, -1, -1]], [[-1, -2, -1]]])
    case("classes of probability 0", "(x, t, n, m) |> ctc", {"x": gone, "t": i64([[2]]), "n": i64([3]), "m": i64([1])}, lambda x, t, n, m: F.ctc_loss(x, t, n, m), grad=False)


# ---------------------------------------------------------------------------------------------- attention


def mha(x, p, heads, memory=None, value=None, keep=None, bias=None, causal=False, zero=False, path="attention"):
    """PyTorch's own function, with masks as they are meant here -> (y, weights)."""
    p = {name.removeprefix(path + "."): v for name, v in p.items()}
    memory = x if memory is None else memory
    value = memory if value is None else value
    b, n, d = x.shape
    m = memory.shape[1]
    add = torch.zeros(b, heads, n, m)
    if bias is not None:
        add = add + bias
    if causal:
        add = add.masked_fill(torch.ones(n, m).triu(1).bool(), -INF)
    t = lambda z: z.transpose(0, 1)
    own = {} if "in_proj_weight" in p else {f"{which}_proj_weight": p[f"{which}_proj_weight"] for which in "qkv"}
    biases = p.get("in_proj_bias")
    if biases is None and any(f"{which}_proj_bias" in p for which in "qkv"):
        biases = torch.cat([p.get(f"{which}_proj_bias", torch.zeros(d)) for which in "qkv"])
    y, w = F.multi_head_attention_forward(
        t(x), t(memory), t(value), d, heads, p.get("in_proj_weight"), biases, p.get("bias_k"), p.get("bias_v"), zero, 0.0,
        p["out_proj.weight"], p.get("out_proj.bias"), training=False, key_padding_mask=None if keep is None else ~keep,
        attn_mask=add.reshape(b * heads, n, m), use_separate_proj_weight=bool(own), average_attn_weights=False, **own)
    return t(y), w


def attentions():
    qkv = lambda b=1, h=2, n=5, m=5, e=3, f=None, hk=None: {"q": rand(b, h, n, e), "k": rand(b, hk or h, m, e), "v": rand(b, hk or h, m, f or e)}
    own = lambda **o: lambda q, k, v, **more: make.sdpa(q, k, v, **more, **o)
    extra = lambda *names, **o: lambda q, k, v, *more: make.sdpa(q, k, v, **dict(zip(names, more)), **o)
    call = "(q, k, v) |> sdpa"
    begin("sdpa_forms")
    case("a window behind", f"{call}(causal = true, window = 2)", qkv(b=2), own(causal=True, window=2))
    case("a window behind and ahead", f"{call}(window = 2)", qkv(), own(window=2))
    case("a window of one: itself", f"{call}(window = 1)", qkv(n=3, m=3), own(window=1))
    case("a window wider than all", f"{call}(window = 9)", qkv(n=3, m=4), own(window=9))
    case("queries beyond the window of the last key: 0", f"{call}(window = 2)", qkv(n=7, m=3), own(window=2))
    case("the same, causal", f"{call}(causal = true, window = 2)", qkv(n=7, m=3), own(causal=True, window=2))
    begin("sdpa_scores")
    mask = yes([[1, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1]])
    case("window, mask and bias", "(q, k, v, mask = mask, bias = b) |> sdpa(window = 3)", qkv(n=3) | {"mask": mask, "b": rand(2, 3, 5)}, extra("mask", "bias", window=3))
    case("softcap, grouped keys, mask and bias", "(q, k, v, mask, b) |> sdpa(softcap = 0.5)", qkv(b=2, h=4, hk=2, n=3) | {"mask": mask, "b": rand(3, 5)}, extra("mask", "bias", softcap=0.5))
    case("softcap, values of another width", f"{call}(softcap = 2, scale = 0.25)", qkv(n=2, f=4), own(softcap=2.0, scale=0.25))
    case("a row of softcap that sees nothing", "(q, k, v, mask = mask) |> sdpa(softcap = 1)", qkv(n=2, m=3) | {"mask": yes([[0, 0, 0], [1, 0, 1]])}, extra("mask", softcap=1.0))
    case("alibi, grouped keys, and a bias", "(q, k, v, bias = b) |> sdpa(alibi = true)", qkv(b=2, h=4, hk=2, n=3) | {"b": rand(3, 5)}, extra("bias", alibi=True))
    case("everything by position", f"{call}(true, 0.3, 0, 3, 0.5, true)", qkv(h=4, hk=1), own(causal=True, scale=0.3, window=3, softcap=0.5, alibi=True))
    case("dropout of everything in training", f"{call}(dropout = 1)", qkv(n=2, m=3), lambda q, k, v: (q.sum() + k.sum() + v.sum()) * torch.zeros(1, 2, 2, 3), mode="train")
    begin("alibi")
    slopes = lambda h: torch.tensor([2.0 ** (-8 * (j + 1) / h) for j in range(h)])
    fall = lambda x: x - slopes(x.shape[-3])[:, None, None] * (torch.arange(x.shape[-2])[:, None] - torch.arange(x.shape[-1])).abs()
    for shape in [(1, 2, 3, 3), (2, 8, 2, 5), (3, 4, 2), (1, 1, 4, 1), (2, 1, 3, 2, 2), (0, 2, 3, 3)]:
        case(f"{list(shape)}", "alibi", {"scores": rand(*shape)}, fall)
    case("before a softmax", "alibi |> softmax", {"scores": rand(1, 4, 3, 3)}, lambda x: torch.softmax(fall(x), -1))

    def joined(d, bias=True, path="attention"):
        p = {f"{path}.in_proj_weight": rand(3 * d, d, scale=0.5)} | ({f"{path}.in_proj_bias": rand(3 * d)} if bias else {})
        return p | out(d, d, bias)

    def apart(d, q, kv, dk=None, dv=None, biases="qkv", whole=False, out_bias=True):
        widths = {"q": (q, d), "k": (kv, dk or d), "v": (kv, dv or dk or d)}
        p = {f"attention.{which}_proj_weight": rand(*widths[which], scale=0.5) for which in "qkv"}
        if whole:
            p["attention.in_proj_bias"] = rand(q + 2 * kv)
        else:
            p |= {f"attention.{which}_proj_bias": rand(widths[which][0]) for which in biases}
        return p | out(d, q, out_bias)

    def out(d, inner, bias=True):
        return {"attention.out_proj.weight": rand(d, inner, scale=0.5)} | ({"attention.out_proj.bias": rand(d)} if bias else {})

    both = "(y, weights) = {} |> {}\nreturn (y, weights)"
    begin("attention_forms")
    x = lambda b=1, n=4, d=4: {"x": rand(b, n, d)}
    ours = lambda heads, **o: lambda x, p: make.attention(x, p, heads, **o)[0]
    case("a window behind", "attention(2, causal = true, window = 2)", x(), ours(2, causal=True, window=2), joined(4))
    case("a window behind and ahead, by position", "attention(2, 2, false, 2, 2)", x(), ours(2, window=2), joined(4))
    case("a head size that is the usual one", "attention(2, head_dim = 2)", x(), ours(2), joined(4))
    case("half the heads of twice the size: one matrix", "attention(2, head_dim = 4)", x(d=8), ours(2), joined(8))
    for name, biases, o in [("keys alone", "k", [False, True, False]), ("queries and keys", "qk", [True, True, False]), ("none", "", [False] * 3), ("all", "qkv", [True] * 3)]:
        said = str(o).lower()
        case(f"bias as a list: {name}", f"attention(2, bias = {said})", x(), lambda x, p: mha(x, p, 2)[0], apart(4, 4, 4, biases=biases, out_bias=any(o)))
    case("bias as a list, none for the output", "attention(2, bias = [true, false, true], out_bias = false)", x(), lambda x, p: mha(x, p, 2)[0], apart(4, 4, 4, biases="qv", out_bias=False))
    begin("attention_norms")
    rms = lambda t, p, name: make.rmsnorm(t, p[f"{name}.weight"])
    norms = lambda e: {f"attention.{which}_norm.weight": rand(e, shift=1) for which in "qk"}
    case("a norm for queries and keys", "attention(2, qk_norm = rmsnorm)", x(d=6), ours(2, norm=rms), joined(6) | norms(3))
    case("norm, then rope, grouped keys", "attention(4, kv_heads = 2, causal = true, qk_norm = rmsnorm(eps = 1e-5), rope = rope(base = 100), bias = false)", x(d=8),
         ours(4, kv_heads=2, causal=True, norm=rms, turn=lambda t: make.rope(t, 100.0)), apart(8, 8, 4, biases="", out_bias=False) | norms(2))
    full = lambda t, p, name: make.layernorm(t, p[f"{name}.weight"], p[f"{name}.bias"])
    case("layernorm of heads, with a memory", "(x, memory) |> attention(2, qk_norm = layernorm)", x(n=2) | {"memory": rand(1, 3, 4)}, lambda x, m, p: make.attention(x, p, 2, memory=m, norm=full)[0],
         joined(4) | norms(2) | {f"attention.{which}_norm.bias": rand(2) for which in "qk"})
    case("a norm without parameters", "attention(2, qk_norm = l2norm)", x(), ours(2, norm=lambda t, p, name: F.normalize(t, dim=-1)), joined(4))
    more = lambda width: {"attention.bias_k": rand(1, 1, width), "attention.bias_v": rand(1, 1, width)}
    keep = yes([[1, 1, 0, 1], [0, 1, 1, 1]])
    for name, said, o in [("bias_kv", "add_bias_kv = true", {}), ("zero_attn", "add_zero_attn = true", {"zero": True}), ("two_more", "add_bias_kv = true, add_zero_attn = true", {"zero": True})]:
        begin(f"attention_{name}")
        p = lambda: joined(4) | (more(4) if "bias_kv" in said else {})
        case(f"{said}: causal, mask and bias", both.format("(x, mask = mask, bias = b)", f"attention(2, causal = true, {said})"), x(b=2) | {"mask": keep, "b": rand(2, 4, 4)},
             lambda x, k, b, p: mha(x, p, 2, keep=k, bias=b, causal=True, **o), p())
        case(f"{said}: a memory", both.format("(x, memory)", f"attention(2, {said})"), x(n=2) | {"memory": rand(1, 3, 4)}, lambda x, m, p: mha(x, p, 2, memory=m, **o), p())
        case(f"{said}: nothing to look at but these", both.format("(x, mask = mask)", f"attention(2, {said})"), x(n=2) | {"mask": yes([[0, 0]])}, lambda x, k, p: mha(x, p, 2, keep=k, **o), p())
        case(f"{said}: softcap", f"attention(2, softcap = 0.5, {said})", x(), lambda x, p: make.attention(x, p, 2, softcap=0.5, add_bias_kv="bias_kv" in said, add_zero_attn="zero" in said)[0], p())
    begin("attention_weights")
    case("a learned key for grouped heads", "attention(4, kv_heads = 2, add_bias_kv = true, bias = false)", x(d=8), ours(4, kv_heads=2, add_bias_kv=True), apart(8, 8, 4, biases="", out_bias=False) | more(4))
    case("values alone from elsewhere", "(x, value = value) |> attention(2)", x() | {"value": rand(1, 4, 4)}, lambda x, v, p: mha(x, p, 2, value=v)[0], joined(4))
    case("the weights under a mask", both.format("(x, mask = mask)", "attention(2, causal = true)"), x() | {"mask": yes([[1, 0, 1, 1]])}, lambda x, k, p: mha(x, p, 2, keep=k, causal=True), joined(4))
    case("the weights under alibi, window and softcap", both.format("x", "attention(2, window = 3, alibi = true, softcap = 1)"), x(), lambda x, p: make.attention(x, p, 2, window=3, alibi=True, softcap=1.0), joined(4))
    case("the bias [B, h, q, k]", "(x, bias = b) |> attention(2, causal = true)", x(b=2, n=3) | {"b": rand(2, 2, 3, 3)}, lambda x, b, p: mha(x, p, 2, bias=b, causal=True)[0], joined(4))
    case("the bias [q, k] beside a memory", "(x, memory, bias = b) |> attention(2)", x(n=2) | {"memory": rand(1, 3, 4), "b": rand(2, 3)}, lambda x, m, b, p: mha(x, p, 2, memory=m, bias=b)[0], joined(4))
    case("dropout of everything in training: the output's bias", "attention(2, dropout = 1)", x(n=2), lambda x, p: (x.sum() + sum(v.sum() for v in p.values())) * 0.0 + p["attention.out_proj.bias"].expand(1, 2, 4), joined(4), mode="train")


# ---------------------------------------------------------------------------------------------- randomness, sources


def kept(path, p, *shape, seed=1):
    """1 where the dropout at a path keeps an element, else 0: draws of 16 bits, the low half of a word first."""
    n = math.prod(shape)
    words = make.words(path, 1, (n + 1) // 2, seed)
    draws = [half for word in words for half in (word & 0xFFFF, word >> 16)][:n]
    return torch.tensor([float(draw >= round(p * 65536)) for draw in draws]).reshape(shape)


def behind(mask, x):
    """A mask of the first axes, over all of x."""
    return mask.reshape(list(mask.shape) + [1] * (x.dim() - mask.dim()))


def randomness():
    same = lambda x: x * 1.0
    axes = {"dropout_channels": 2, "drop_path": 1}
    begin("dropout")
    case("eval: nothing happens", "dropout", {"x": rand(3, 4)}, same)
    case("eval, p = 0.9", "dropout(0.9)", {"x": rand(3, 4)}, same)
    case("eval, p = 1", "dropout(p = 1)", {"x": rand(3, 4)}, same)
    case("train, p = 0", "dropout(0)", {"x": rand(3, 4)}, same, mode="train")
    case("train, p = 1: zeros", "dropout(1)", {"x": rand(3, 4)}, lambda x: x * 0.0, mode="train")
    case("train, p = 1, infinite input: still zeros", "dropout(1)", {"x": f32([INF, -INF, 1.0])}, torch.zeros_like,
         mode="train", grad=False)
    case("eval, empty batch", "dropout", {"x": rand(0, 4)}, same)
    for p in (0.5, 0.25):
        case(f"train, {p}", f"dropout({p})", {"x": rand(3, 7)}, lambda x: x * kept("dropout", p, 3, 7) / (1 - p), mode="train")
    case("train, named and in a block of its own", "a = dropout(0.25)\na * 2", {"x": rand(4)}, lambda x: x * kept("a", 0.25, 4) / 0.75 * 2, mode="train")
    for op, n in axes.items():
        begin(op)
        for p, shape in ((0.5, (3, 4, 2)), (0.25, (2, 3, 2, 3)), (0.75, (4, 2, 1, 2, 2))):
            case(f"train, {p} on {list(shape)}", f"{op}({p})", {"x": rand(*shape)}, lambda x: x * behind(kept(op, p, *shape[:n]), x) / (1 - p), mode="train")
        default = 0.1 if op == "drop_path" else 0.5
        case("train, the usual share", op, {"x": rand(7, 3, 2)}, lambda x: x * behind(kept(op, default, *(7, 3)[:n]), x) / (1 - default), mode="train")
        case("eval: nothing happens", f"{op}(p = 0.9)", {"x": rand(2, 3, 2)}, same)
        case("train, p = 0", f"{op}(0)", {"x": rand(2, 3, 2)}, same, mode="train")
        case("train, p = 1, infinite input: still zeros", f"{op}(1)", {"x": f32([[[INF, 1.0]]])}, torch.zeros_like, mode="train", grad=False)
        case("empty batch", op, {"x": rand(0, 3, 2)}, same, mode="train")
    case("a vector of samples", "drop_path(0.5)", {"x": rand(9)}, lambda x: x * kept("drop_path", 0.5, 9) * 2, mode="train")

    def alpha(x, mask, p):
        """As torch.nn.functional.alpha_dropout says it."""
        f = -torch.nn.functional.selu(torch.tensor(-1e9)).item()
        a = ((1 - p) * (1 + p * f * f)) ** -0.5
        return a * (x * mask - f * (1 - mask)) + a * p * f

    for op, n in (("alpha_dropout", None), ("alpha_dropout_channels", 2)):
        begin(op)
        for p, shape in ((0.5, (3, 4, 2)), (0.25, (2, 3, 2, 3))):
            case(f"train, {p} on {list(shape)}", f"{op}({p})", {"x": rand(*shape)}, lambda x: alpha(x, behind(kept(op, p, *shape[:n]), x), p), mode="train")
        case("train, the usual share", op, {"x": rand(2, 5, 3)}, lambda x: alpha(x, behind(kept(op, 0.5, *(2, 5, 3)[:n]), x), 0.5), mode="train")
        case("eval: nothing happens", f"{op}(p = 0.9)", {"x": rand(2, 3, 2)}, lambda x: (F.alpha_dropout if n is None else F.feature_alpha_dropout)(x, 0.9, False) * 1.0)
        case("train, p = 0", f"{op}(0)", {"x": rand(2, 3, 2)}, same, mode="train")
        case("train, p = 1: zeros", f"{op}(1)", {"x": rand(2, 3, 2)}, lambda x: (F.alpha_dropout if n is None else F.feature_alpha_dropout)(x, 1.0, True), mode="train")
        case("empty batch", op, {"x": rand(0, 3, 2)}, same, mode="train")
    begin("gaussian_noise")
    noise = lambda *shape: make.normal("gaussian_noise", *shape)
    case("train", "gaussian_noise", {"x": rand(3, 5)}, lambda x: x + noise(3, 5), mode="train")
    case("train, a small deviation", "gaussian_noise(0.25)", {"x": rand(11)}, lambda x: x + 0.25 * noise(11), mode="train")
    case("train, by name", "gaussian_noise(std = 2)", {"x": rand(2, 1, 3)}, lambda x: x + 2 * noise(2, 1, 3), mode="train")
    case("train, none", "gaussian_noise(0)", {"x": rand(3)}, same, mode="train")
    case("eval: nothing happens", "gaussian_noise(3)", {"x": rand(3)}, same)
    case("a scalar", "gaussian_noise", {"x": rand()}, lambda x: x + noise(), mode="train")


def sources():
    for op, fn in (("zeros", torch.zeros), ("ones", torch.ones)):
        begin(op)
        case("two axes", f"x + {op}([2, 3])", {"x": rand(2, 3)}, lambda x: x + fn(2, 3))
        case("without brackets", f"{op}(2, 3) * x", {"x": rand(2, 3)}, lambda x: x * fn(2, 3))
        case("a vector, named", f"z = {op}([4])\nreturn (x, z)", {"x": rand(2)}, lambda x: (x * 1.0, fn(4)))
        case("a scalar", f"x + {op}([])", {"x": rand(3)}, lambda x: x + fn(()))
        case("nothing", f"z = {op}([0, 2])\nreturn (x, z)", {"x": rand(2)}, lambda x: (x * 1.0, fn(0, 2)))
        case("by name", f"x * {op}(shape = [1, 3])", {"x": rand(1, 3)}, lambda x: x * fn(1, 3))
    begin("full")
    case("two axes", "x + full([2, 3], 0.5)", {"x": rand(2, 3)}, lambda x: x + torch.full((2, 3), 0.5))
    case("by name", "x * full(shape = [3], value = -2)", {"x": rand(2, 3)}, lambda x: x * torch.full((3,), -2.0))
    case("a scalar", "full([], 7) - x", {"x": rand(3)}, lambda x: 7 - x)
    case("infinity", "z = full([2], -inf)\nreturn (x, z)", {"x": rand(2)}, lambda x: (x * 1.0, torch.full((2,), -INF)))
    case("nothing", "z = full([0], 1)\nreturn (x, z)", {"x": rand(2)}, lambda x: (x * 1.0, torch.zeros(0)))
    begin("constant")
    case("a list", "x * constant([1, 2.5, -3])", {"x": rand(2, 3)}, lambda x: x * torch.tensor([1, 2.5, -3]))
    case("without brackets", "x + constant(1, 2, 3)", {"x": rand(3)}, lambda x: x + torch.tensor([1.0, 2, 3]))
    case("two axes", "(x, constant([[1, 0], [0.5, 1]])) |> matmul", {"x": rand(3, 2)}, lambda x: x @ torch.tensor([[1, 0], [0.5, 1]]))
    case("three axes, equal neighbours", "c = constant([[[1, 1], [1, 0]], [[0, 0], [0, 2]]])\nx * c", {"x": rand(2, 2, 2)}, lambda x: x * torch.tensor([[[1.0, 1], [1, 0]], [[0, 0], [0, 2]]]))
    case("a number", "x * constant(3)", {"x": rand(2)}, lambda x: x * 3)
    case("nothing", "z = constant([])\nreturn (x, z)", {"x": rand(2)}, lambda x: (x * 1.0, torch.zeros(0)))
    case("by name", "x - constant(values = [1e-3, -0.0])", {"x": rand(2)}, lambda x: x - torch.tensor([1e-3, 0.0]))


# ---------------------------------------------------------------------------------------------- tables, positions


def tables():
    begin("embedding_max_norm")
    w = lambda v, d, op="embedding": {f"{op}.weight": rand(v, d, scale=2)}
    table = lambda **o: lambda ids, p: F.embedding(ids, p["embedding.weight"], **o)
    for mode in ("eval", "train"):
        case(f"{mode}: rows asked for twice", "embedding(5, 3, max_norm = 1)", {"ids": i64([[1, 1, 4], [1, 0, 4]])}, table(max_norm=1.0), w(5, 3), mode=mode)
        case(f"{mode}: none too long", "embedding(4, 3, max_norm = 100)", {"ids": i64([3, 2])}, table(max_norm=100.0), w(4, 3), mode=mode)
        case(f"{mode}: of the sum", "embedding(5, 3, max_norm = 0.5, norm_type = 1)", {"ids": i64([2, 4])}, table(max_norm=0.5, norm_type=1.0), w(5, 3), mode=mode)
        case(f"{mode}: of the largest", "embedding(5, 3, none, 0.5, inf)".replace("none", "padding_index = 0").replace("padding_index = 0, 0.5, inf", "padding_index = 0, max_norm = 0.5, norm_type = inf"),
             {"ids": i64([0, 2, 4, 2])}, table(padding_idx=0, max_norm=0.5, norm_type=INF), w(5, 3), mode=mode)
    case("by position, with frequencies", "embedding(5, 3, 1, 0.75, 3, scale_grad_by_freq = true)", {"ids": i64([1, 4, 4, 0])}, table(padding_idx=1, max_norm=0.75, norm_type=3.0, scale_grad_by_freq=True), w(5, 3), mode="train")
    begin("embedding_bag")
    bag = lambda **o: lambda ids, p: F.embedding_bag(ids, p["embedding_bag.weight"], **o)
    own = lambda v=5, d=3: w(v, d, "embedding_bag")
    for mode in ("mean", "sum", "max"):
        call = f'embedding_bag(5, 3, "{mode}")' if mode != "mean" else "embedding_bag(5, 3)"
        case(f"{mode}: rows of ids", call, {"ids": i64([[1, 1, 4], [1, 0, 4]])}, bag(mode=mode), own())
        case(f"{mode}: padding", f'embedding_bag(5, 3, mode = "{mode}", padding_index = -1)', {"ids": i64([[4, 1, 4], [4, 4, 4], [0, 2, 2]])}, bag(mode=mode, padding_idx=4), own())
        parts = lambda ids, offsets, p, **o: F.embedding_bag(ids, p["embedding_bag.weight"], offsets, mode=mode, **o)
        case(f"{mode}: by offsets, the second bag empty", "(ids, offsets = at) |> " + call, {"ids": i64([1, 0, 4, 2, 2]), "at": i64([0, 2, 2])}, parts, own())
        case(f"{mode}: by offsets, the last bag empty, padding", f'(ids, offsets = at) |> embedding_bag(5, 3, "{mode}", 2)', {"ids": i64([1, 2, 2, 2, 0]), "at": i64([0, 2, 4, 5])},
             lambda i, a, p: parts(i, a, p, padding_idx=2), own())
        case(f"{mode}: empty bags", call, {"ids": ids(5, 2, 0)}, lambda i, p: p["embedding_bag.weight"].sum() * torch.zeros(2, 3), own())
        case(f"{mode}: no bags", call, {"ids": ids(5, 0, 2)}, lambda i, p: p["embedding_bag.weight"].sum() * torch.zeros(0, 3), own())
        case(f"{mode}: rows cut to a length", f'embedding_bag(5, 3, "{mode}", max_norm = 1, norm_type = 1)', {"ids": i64([[1, 0], [1, 4]])}, bag(mode=mode, max_norm=1.0, norm_type=1.0), own(), mode="train")
    weighted = lambda i, w, p, **o: F.embedding_bag(i, p["embedding_bag.weight"], mode="sum", per_sample_weights=w, **o)
    case("weighted", '(ids, w) |> embedding_bag(5, 3, mode = "sum")', {"ids": i64([[1, 1, 4], [1, 0, 4]]), "w": rand(2, 3)}, weighted, own())
    case("weighted, padding", '(ids, w) |> embedding_bag(5, 3, mode = "sum", padding_index = 1)', {"ids": i64([[1, 1, 4], [1, 0, 4]]), "w": rand(2, 3)}, lambda i, w, p: weighted(i, w, p, padding_idx=1), own())
    case("weighted, by offsets", '(ids, weights = w, offsets = at) |> embedding_bag(5, 3, mode = "sum")', {"ids": i64([1, 3, 0, 4]), "w": rand(4), "at": i64([0, 3])},
         lambda i, w, a, p: weighted(i, w, p, offsets=a), own())
    case("another first value", 'embedding_bag(5, 3, init = normal(0.02))', {"ids": i64([[2]])}, bag(), own())
    begin("gather_rows")
    take = lambda x, i, axis=1: torch.take_along_dim(x, i.reshape([i.shape[0]] + [1] * (axis - 1) + [i.shape[1]] + [1] * (x.dim() - axis - 1)), axis)
    case("rows", "(x, ids) |> gather_rows", {"x": rand(2, 4, 3), "ids": ids(4, 2, 5)}, take)
    case("numbers", "(x, ids) |> gather_rows", {"x": rand(3, 4), "ids": ids(4, 3, 2)}, take)
    case("two axes behind", "(x, ids) |> gather_rows(1)", {"x": rand(2, 3, 2, 2), "ids": i64([[2, 2], [0, 1]])}, take)
    case("another axis", "(x, ids) |> gather_rows(axis = -2)", {"x": rand(2, 3, 4, 2), "ids": ids(4, 2, 3)}, lambda x, i: take(x, i, 2))
    case("integers, by name", "(x, ids = ids) |> gather_rows", {"x": i64([[5, 6, 7]]), "ids": i64([[2, 0]])}, take)
    case("none", "(x, ids) |> gather_rows", {"x": rand(2, 3, 2), "ids": ids(3, 2, 0)}, take)


def positions():
    begin("sincos_2d")

    def waves(d, at):
        """get_1d_sincos_pos_embed_from_grid of MAE's util/pos_embed.py."""
        omega = 1.0 / 10000 ** (np.arange(d // 2, dtype=np.float64) / (d / 2.0))
        out = np.einsum("m,d->md", at.reshape(-1), omega)
        return np.concatenate([np.sin(out), np.cos(out)], axis=1)

    def square(side, d):
        """get_2d_sincos_pos_embed of the same file."""
        grid = np.stack(np.meshgrid(np.arange(side, dtype=np.float64), np.arange(side, dtype=np.float64)), axis=0)
        return torch.from_numpy(np.concatenate([waves(d // 2, grid[0]), waves(d // 2, grid[1])], axis=1))

    for side, d in ((3, 8), (2, 4), (5, 12), (1, 4)):
        case(f"{side} by {side}, width {d}", f"x + sincos_2d({side}, {d})", {"x": rand(side * side, d)}, lambda x: x + square(side, d))
    case("by name", "x + sincos_2d(side = 2, d = 8)", {"x": rand(2, 4, 8)}, lambda x: x + square(2, 8))
    begin("causal_mask")
    mask = lambda q, k: torch.ones(q, k, dtype=torch.bool).tril()
    for call, q, k in (("causal_mask(3)", 3, 3), ("causal_mask(2, 4)", 2, 4), ("causal_mask(4, 2)", 4, 2), ("causal_mask(q = 3, k = 5)", 3, 5), ("causal_mask(1)", 1, 1)):
        case(call, f"m = {call}\nreturn (x, m)", {"x": rand(2)}, lambda x: (x * 1.0, mask(q, k)))
    case("written out", "m = causal_mask(3)\ns = (x, m |> logical_not) |> masked_fill(-1e9)\ns |> softmax", {"x": rand(2, 3, 3)}, lambda x: torch.softmax(x.masked_fill(~mask(3, 3), -1e9), -1))
    begin("relative_bias")

    def bucket(q, k, buckets=32, far=128, causal=False):
        """_relative_position_bucket of Hugging Face's T5, in f32 as there."""
        at, own = torch.arange(k)[None, :] - torch.arange(q)[:, None], 0
        if not causal:
            buckets //= 2
            own = own + (at > 0).to(torch.long) * buckets
            at = torch.abs(at)
        else:
            at = -torch.min(at, torch.zeros_like(at))
        exact = buckets // 2
        large = exact + (torch.log(at.float() / exact) / math.log(far / exact) * (buckets - exact)).to(torch.long)
        large = torch.min(large, torch.full_like(large, buckets - 1))
        return own + torch.where(at < exact, at, large)

    learned = lambda *a, **o: lambda x, p: (x * 1.0, p["relative_bias.weight"][bucket(*a, **o)].permute(2, 0, 1))
    for name, call, args, words, rows, heads in [
        ("all distances behind", "relative_bias(1, 300, 1)", (300, 1), {}, 32, 1),
        ("all distances ahead", "relative_bias(1, 1, 300)", (1, 300), {}, 32, 1),
        ("causal", "relative_bias(1, 300, 1, causal = true)", (300, 1), {"causal": True}, 32, 1),
        ("causal, ahead", "relative_bias(2, 3, 5, causal = true)", (3, 5), {"causal": True}, 32, 2),
        ("a square, few buckets", "relative_bias(heads = 2, q = 9, buckets = 8, max_distance = 6)", (9, 9), {"buckets": 8, "far": 6}, 8, 2),
        ("by position", "relative_bias(3, 2, 4, 4, 20)", (2, 4), {"buckets": 4, "far": 20}, 4, 3),
        ("another first value", "relative_bias(1, 2, init = zeros)", (2, 2), {}, 32, 1),
    ]:
        case(name, f"b = {call}\nreturn (x, b)".replace("b = relative_bias", "relative_bias_ = relative_bias").replace("return (x, b)", "return (x, relative_bias_)"), {"x": rand(1)},
             lambda x, p: learned(*args, **words)(x, {"relative_bias.weight": p["relative_bias_.weight"]}), {"relative_bias_.weight": rand(rows, heads)})
    begin("window_bias")

    def index(w):
        """relative_position_index of Swin's WindowAttention."""
        at = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
        relative = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0).contiguous()
        relative[:, :, 0] += w - 1
        relative[:, :, 1] += w - 1
        relative[:, :, 0] *= 2 * w - 1
        return relative.sum(-1)

    for heads, w in ((1, 2), (2, 3), (3, 1), (1, 4)):
        case(f"{heads} heads, window {w}", f"x + window_bias({heads}, {w})", {"x": rand(heads, w * w, w * w)}, lambda x, p: x + p["window_bias.weight"][index(w)].permute(2, 0, 1),
             {"window_bias.weight": rand((2 * w - 1) ** 2, heads)})
    case("by name", "x + window_bias(heads = 1, window = 2, init = zeros)", {"x": rand(1, 4, 4)}, lambda x, p: x + p["window_bias.weight"][index(2)].permute(2, 0, 1), {"window_bias.weight": rand(9, 1)})
    begin("window_mask")

    def shifted(h, w, size, shift):
        """attn_mask of Swin's BasicLayer; what it hides is hidden here."""
        image = torch.zeros(1, h, w, 1)
        cuts = (slice(0, -size), slice(-size, -shift), slice(-shift, None)) if shift else (slice(None),)
        for number, (a, b) in enumerate((a, b) for a in cuts for b in cuts):
            image[:, a, b, :] = number
        windows = image.view(1, h // size, size, w // size, size, 1).permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size)
        return windows.unsqueeze(1) - windows.unsqueeze(2) == 0

    for h, w, size, shift in ((8, 8, 4, 2), (4, 6, 2, 1), (3, 3, 3, 1), (6, 3, 3, 2), (4, 4, 2, 0)):
        call = f"window_mask({h}, {w}, {size}, {shift})"
        case(f"{h} by {w}, window {size}, shift {shift}", f"m = {call}\nreturn (x, m)", {"x": rand(1)}, lambda x: (x * 1.0, shifted(h, w, size, shift)))
    case("by name", "m = window_mask(h = 2, w = 4, window = 2, shift = 1)\nreturn (x, m)", {"x": rand(1)}, lambda x: (x * 1.0, shifted(2, 4, 2, 1)))


# ---------------------------------------------------------------------------------------------- weights made of others


def reparametrised():
    """PyTorch's own modules under weight_norm and spectral_norm, run on given parameters and buffers."""
    from torch.func import functional_call
    from torch.nn import utils

    def through(module, path):
        short = lambda all_: {name.removeprefix(path + "."): value for name, value in all_.items()}

        def fn(x, p, s=None):
            module.train(s is not None and s.get("training", True))
            return functional_call(module, short(p) | short({k: v for k, v in (s or {}).items() if k != "training"}), (x,))

        return fn

    def drawn(module, path):
        return {f"{path}.{name}": rand(*value.shape, shift=0.25) for name, value in module.named_parameters()}

    def unit(module, path):
        return {f"{path}.{name}": f32(F.normalize(rand(*value.shape), dim=0)) for name, value in module.named_buffers()}

    nn = torch.nn
    uses = {
        "linear": [("5", lambda: nn.Linear(4, 5), (3, 4)), ("3, bias = false", lambda: nn.Linear(2, 3, bias=False), (2, 2, 2)), ("1", lambda: nn.Linear(3, 1), (3,))],
        "conv": [("4, 3, pad = 1", lambda: nn.Conv1d(2, 4, 3, padding=1), (2, 2, 5)), ("4, [2, 3], groups = 2", lambda: nn.Conv2d(2, 4, (2, 3), groups=2), (1, 2, 3, 4)), ("2, 1, bias = false", lambda: nn.Conv3d(3, 2, 1, bias=False), (1, 3, 1, 2, 2))],
        "conv_transpose": [("3, 2, stride = 2", lambda: nn.ConvTranspose1d(2, 3, 2, stride=2), (2, 2, 3)), ("4, 3, groups = 2", lambda: nn.ConvTranspose2d(2, 4, 3, groups=2), (1, 2, 2, 2)), ("2, 2, bias = false", lambda: nn.ConvTranspose2d(3, 2, 2, bias=False), (1, 3, 2, 1))],
    }
    for op, forms in uses.items():
        begin(f"{op}_reparam")
        for args, make_module, shape in forms:
            # One and the same axis for both kinds of layers: weight_norm takes rows.
            module = utils.weight_norm(make_module())
            case(f"weight_norm: {args}", f'{op}({args}, reparam = "weight_norm")', {"x": rand(*shape)}, through(module, op), drawn(module, op))
            module = utils.spectral_norm(make_module())
            call = f'{op}({args}, reparam = "spectral_norm")'
            fn = through(module, op)
            case(f"spectral_norm, eval: {args}", call, {"x": rand(*shape)}, lambda x, p, s: fn(x, p, s | {"training": False}), drawn(module, op), unit(module, op))
            last = rand(*shape)
            case(f"spectral_norm, train: {args}", call, {"x": last}, fn, drawn(module, op), unit(module, op), mode="train")
            case(f"spectral_norm, three steps: {args}", call, {"x": last}, lambda x, p, s: fn(torch.as_tensor(x) if not isinstance(x, torch.Tensor) else x, p, s), drawn(module, op), unit(module, op), mode="train", steps=[rand(*shape), rand(*shape), last])


# ---------------------------------------------------------------------------------------------- block libraries


def libraries():
    """Blocks of `models/lib` against PyTorch's modules under the same parameters by the same names."""
    from torch.func import functional_call

    nn = torch.nn

    def of(library, name, body, inputs, module, run, path, mode="eval"):
        """The module on its own drawn parameters; `run(call, inputs)`, where `call` is the module."""
        p = {f"{path}.{key}": rand(*value.shape, scale=0.5, shift=0.25 * value.dim() % 0.5) for key, value in module.named_parameters()}
        state = {f"{path}.{key}": (value if value.dtype == torch.int64 else positive(*value.shape)) for key, value in module.named_buffers()}
        module.train(mode == "train")

        def fn(*args):
            args, live = args[:len(inputs)], args[len(inputs):]
            named = {key.removeprefix(path + "."): value for part in live for key, value in part.items()}
            return run(lambda *a, **k: functional_call(module, named, a, k), *args)

        case(name, body, inputs, fn, p, state, mode=mode)
        make.CURRENT[-1]["library"] = [f"{one}.model" for one in library]

    keep = yes([[1, 1, 0], [1, 1, 1]])
    wide = yes([[1, 1, 1, 0], [1, 0, 1, 1]])
    begin("library_layers")
    for placement, first in (("post", False), ("pre", True)):
        for act, word in (("relu", ""), ("gelu", ", act = gelu"))[:2 - first]:
            args = f'(2, 6, p = 0{word}, placement = "{placement}")'
            of(["transformer"], f"encoder_layer, {placement}, {act}", f"(x, keep) |> encoder_layer{args}", {"x": rand(2, 3, 4), "keep": keep},
               nn.TransformerEncoderLayer(4, 2, 6, 0, act, batch_first=True, norm_first=first), lambda m, x, k: m(x, src_key_padding_mask=~k), "encoder_layer")
        causal = torch.ones(3, 3).triu(1).bool()
        of(["transformer"], f"decoder_layer, {placement}", f'(x, memory, keep, seen) |> decoder_layer(2, 6, p = 0, placement = "{placement}")',
           {"x": rand(2, 3, 4), "memory": rand(2, 4, 4), "keep": keep, "seen": wide}, nn.TransformerDecoderLayer(4, 2, 6, 0, batch_first=True, norm_first=first),
           lambda m, x, y, k, s: m(x, y, tgt_mask=causal, tgt_key_padding_mask=~k, memory_key_padding_mask=~s), "decoder_layer")
    begin("library_stacks")
    keep, wide = yes([[1, 1, 0]]), yes([[1, 0, 1, 1]])
    layer = nn.TransformerEncoderLayer(2, 1, 3, 0, batch_first=True)
    of(["transformer"], "encoder", "(x, keep) |> encoder(2, 1, 3)", {"x": rand(1, 3, 2), "keep": keep}, nn.TransformerEncoder(layer, 2, nn.LayerNorm(2), enable_nested_tensor=False),
       lambda m, x, k: m(x, src_key_padding_mask=~k), "encoder")
    layer = nn.TransformerDecoderLayer(2, 1, 3, 0, batch_first=True, norm_first=True)
    of(["transformer"], "decoder, the norm first", '(x, memory, keep, seen) |> decoder(2, 1, 3, placement = "pre")', {"x": rand(1, 3, 2), "memory": rand(1, 4, 2), "keep": keep, "seen": wide},
       nn.TransformerDecoder(layer, 2, nn.LayerNorm(2)), lambda m, x, y, k, s: m(x, y, tgt_mask=causal, tgt_key_padding_mask=~k, memory_key_padding_mask=~s), "decoder")
    for placement, first in (("post", False), ("pre", True)):
        begin("library_transformer")
        whole = nn.Transformer(2, 1, 1, 2, 3, 0, "gelu", batch_first=True, norm_first=first)
        of(["transformer"], f"transformer, {placement}", f'(source, target, seen, keep) |> transformer(1, 1, 2, ff = 3, act = gelu, placement = "{placement}")',
           {"source": rand(1, 4, 2), "target": rand(1, 3, 2), "seen": wide, "keep": keep}, whole,
           lambda m, s, t, a, k: m(s, t, tgt_mask=causal, src_key_padding_mask=~a, tgt_key_padding_mask=~k, memory_key_padding_mask=~a), "transformer")
    begin("library_blocks")
    keep = yes([[1, 1, 0], [1, 1, 1]])
    for name, args, mask in (("attention written out", "(2)", None), ("attention written out, causal", "(2, true)", causal)):
        of(["attention"], name, f"(x, keep) |> attention_written_out{args}", {"x": rand(2, 3, 4), "keep": keep}, nn.MultiheadAttention(4, 2, batch_first=True),
           lambda m, x, k: m(x, x, x, key_padding_mask=~k, attn_mask=mask, need_weights=False)[0], "attention_written_out")

    class SqueezeExcitation(nn.Module):
        """torchvision.ops.SqueezeExcitation."""
        def __init__(self, channels, squeeze):
            super().__init__()
            self.fc1, self.fc2 = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)

        def forward(self, x):
            return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))

    begin("library_vision")
    of(["squeeze_excite"], "squeeze and excite", "squeeze_excite(2)", {"x": rand(2, 4, 3, 2)}, SqueezeExcitation(4, 2), lambda m, x: m(x), "squeeze_excite")

    class Expert(nn.Module):
        def __init__(self, d, hidden):
            super().__init__()
            self.w1, self.w3, self.w2 = nn.Linear(d, hidden, False), nn.Linear(d, hidden, False), nn.Linear(hidden, d, False)

        def forward(self, x):
            return self.w2(F.silu(self.w1(x)) * self.w3(x))

    class Mixture(nn.Module):
        """Mixtral's block: the softmax over all, the largest of it made to sum to 1; each token to its experts."""
        def __init__(self, d, count, active, hidden):
            super().__init__()
            self.gate, self.experts, self.active = nn.Linear(d, count, False), nn.ModuleList(Expert(d, hidden) for _ in range(count)), active

        def forward(self, x):
            weight, chosen = torch.topk(torch.softmax(self.gate(x), -1), self.active, -1)
            weight = weight / weight.sum(-1, keepdim=True)
            rows, y = x.reshape(-1, x.shape[-1]), 0
            weight, chosen = weight.reshape(-1, self.active), chosen.reshape(-1, self.active)
            return torch.stack([sum(w * self.experts[int(i)](row) for w, i in zip(ws, ids)) for row, ws, ids in zip(rows, weight, chosen)]).reshape(x.shape)

    begin("library_mixture")
    for count, active in ((4, 2), (3, 1), (2, 2)):
        of(["mixture"], f"{active} of {count} experts", f"mixture({count}, {active}, 3)", {"x": rand(1, 3, 2)}, Mixture(2, count, active, 3), lambda m, x: m(x), "mixture")

    begin_again("library_vision")

    class Narrow(nn.Module):
        """A block of MobileNetV2, with the names of the library's."""
        def __init__(self, cin, c, expand, stride):
            super().__init__()
            def conv(cin, c, k, stride=1, groups=1):
                return nn.ModuleDict({"conv": nn.Conv2d(cin, c, k, stride, k // 2, groups=groups, bias=False), "batchnorm": nn.BatchNorm2d(c)})
            inner = {"wide": conv(cin, expand * cin, 1)} if expand > 1 else {}
            inner |= {"depthwise": conv(expand * cin, expand * cin, 3, stride, expand * cin), "project": conv(expand * cin, c, 1)}
            self.narrow_wide_narrow, self.same = nn.ModuleDict(inner), stride == 1 and cin == c

        def forward(self, x):
            y = x
            for name, part in self.narrow_wide_narrow.items():
                y = part["batchnorm"](part["conv"](y))
                y = F.relu6(y) if name != "project" else y
            return x + y if self.same else y

    for cin, c, expand, stride in ((2, 2, 2, 1), (2, 3, 2, 2), (3, 3, 1, 1)):
        of(["convolution", "inverted_residual"], f"inverted residual from {cin} to {c}, expanded {expand} times, stride {stride}", f"inverted_residual({c}, {expand}, {stride})", {"x": rand(1, cin, 4, 4)},
           Narrow(cin, c, expand, stride), lambda m, x: m(x), "inverted_residual")

    class Level(nn.Module):
        """A level of a U-Net without borders to crop; names are the library's."""
        def __init__(self, cin, c, depth):
            super().__init__()
            def twice(cin):
                return nn.ModuleDict({"conv": nn.Conv2d(cin, c, 3, padding=1), "conv_2": nn.Conv2d(c, c, 3, padding=1)})
            self.down = twice(cin)
            if depth > 0:
                self.below, self.up, self.twice = Level(c, 2 * c, depth - 1), nn.ConvTranspose2d(2 * c, c, 2, 2), twice(2 * c)

        def forward(self, x):
            two = lambda part, x: F.relu(part["conv_2"](F.relu(part["conv"](x))))
            x = two(self.down, x)
            return two(self.twice, torch.cat([x, self.up(self.below(F.max_pool2d(x, 2)))], 1)) if hasattr(self, "up") else x

    of(["unet"], "a level of a U-Net", "level(2, 1, 1)", {"x": rand(1, 1, 4, 4)}, Level(1, 2, 1), lambda m, x: m(x), "level")


PARTS = [
    attentions, libraries, learned_weights, randomness, sources, tables, positions, reparametrised, rectifiers,
    functions, reductions, scans, orders, by_number, shapes, more_losses, distances, group_norms, recurrent, cells,
    letters, alignments,
]


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
