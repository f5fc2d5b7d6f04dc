#!/usr/bin/env python3
"""Reference vectors: what every operator, optimizer and schedule must give, computed by PyTorch in float64.

How to run (not part of CI; the JSON files it writes beside itself are committed):

    pip install torch==2.15.0 numpy==2.4.6      # the versions the committed files were made with
    OMP_NUM_THREADS=1 python3 make.py           # about ten seconds; the output is the same on every run

* Every input, parameter and cotangent is exactly representable in f32, so one file serves an f32 and an f64 run.
* Outputs and gradients are float64, printed with the shortest digits that read back the same. Not-a-number and the
  infinities are the strings "nan", "inf", "-inf".
* `grad_inputs` and `grad_params` are the product of the cotangents (one for each float output, in order) with the
  Jacobian. A case with `"grad": false` has none of the three.
* An input of type f32 that is missing in `grad_inputs` has no gradient worth comparing (the class weights of a loss).
* A file is named for its operator; `sdpa_masks`, `attention_memory`, `conv_1d_3d` and their like are more cases of the
  operator before the underscore, kept apart for size; `*_more` has the attributes that come later (softcap, alibi, …).
* `catalogue.py` makes the files of the families that came later, with the tools of this one.
* `steps` (batchnorm): run the model on each of these values of the first input in turn, carrying the state; the last of
  them is the case's own input, so outputs and gradients are those of the last run, `state_after` follows all of them.

Where PyTorch and this project's definitions differ, the project's hold here: the class axis of losses is the last,
a mask is true where one may look, rmsnorm's eps is 1e-5, dyt's alpha has shape [1], attention weights are not averaged
over the heads, a row of attention that may look at nothing gives 0, and an odd "same" padding has its extra element
at the end. `check()` at the bottom compares the formulas written here with independent ones before anything is written.
"""

import json
import math
import pathlib
import warnings
import zlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).resolve().parent
VERSION = torch.__version__.split("+")[0]

FILES = {}  # file name -> cases
CURRENT = None  # the file being filled
RNG = None  # reseeded for each file, so that a new case in one file leaves the others alone


# ---------------------------------------------------------------------------------------------- values


def begin(name):
    """Starts the file `name`: the cases that follow belong to it."""
    global CURRENT, RNG
    CURRENT = FILES.setdefault(name, [])
    RNG = np.random.default_rng(zlib.crc32(name.encode()))


def rand(*shape, scale=1.0, shift=0.0):
    """Normal numbers on a grid of 1/256 (so exact in f32, and short to print)."""
    values = np.round(RNG.standard_normal(shape) * scale * 256) / 256 + shift
    return torch.from_numpy(np.asarray(values, dtype=np.float32).astype(np.float64))


def positive(*shape):
    return rand(*shape).abs() + 0.25


def f32(values):
    """Any numbers, rounded to f32."""
    if isinstance(values, torch.Tensor):
        values = values.numpy()
    return torch.from_numpy(np.asarray(values, dtype=np.float32).astype(np.float64))


def ids(high, *shape):
    return torch.from_numpy(RNG.integers(0, high, shape))


def i64(values):
    return torch.tensor(values, dtype=torch.int64)


def yes(values):
    return torch.tensor(values, dtype=torch.bool)


def eighths(*shape, mean=0.0):
    """Multiples of 1/8 around `mean`; with a power of two of them even their f32 mean is exact."""
    return f32(np.round(RNG.standard_normal(shape) * 16) / 8 + mean)


# ---------------------------------------------------------------------------------------------- one case


def number(x):
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return x


def flat(tensor):
    if tensor.dtype == torch.bool:
        tensor = tensor.to(torch.int64)
    return [number(x) for x in tensor.detach().reshape(-1).tolist()]


def pack(tensor, dtype=True, name=None):
    packed = {} if name is None else {"name": name}
    if dtype:
        packed["dtype"] = {torch.float64: "f32", torch.int64: "i64", torch.bool: "bool"}[tensor.dtype]
    return packed | {"shape": list(tensor.shape), "data": flat(tensor)}


def is_f32(tensor):
    return tensor.dtype == torch.float64 and torch.equal(
        torch.nan_to_num(tensor), torch.nan_to_num(tensor.to(torch.float32).to(torch.float64))
    )


def case(name, body, inputs, fn, params=None, state=None, mode="eval", grad=True, frozen=(), steps=None):
    """Runs `fn(*inputs[, params][, state])` and records the case.

    inputs: name -> tensor, in order; params and state: path -> tensor; frozen: f32 inputs without a gradient.
    """
    params, state = params or {}, {path: value.clone() for path, value in (state or {}).items()}
    for value in [*inputs.values(), *params.values(), *state.values()]:
        assert value.dtype != torch.float64 or is_f32(value), name
    record = {
        "name": name,
        "body": body,
        "mode": mode,
        "inputs": [pack(value, name=key) for key, value in inputs.items()],
        "params": {path: pack(value, dtype=False) for path, value in params.items()},
        "state": {path: pack(value) for path, value in state.items()},
    }
    if not grad:
        record["grad"] = False

    leaf = lambda value: value.clone().requires_grad_(grad) if value.dtype == torch.float64 else value
    live_inputs = {key: leaf(value) if key not in frozen else value for key, value in inputs.items()}
    live_params = {path: leaf(value) for path, value in params.items()}
    run = lambda values: fn(*values, *([live_params] if params else []), *([state] if state else []))
    if steps:
        record["steps"] = [flat(step) for step in steps]
        for step in steps[:-1]:
            run([step])
    outputs = run(live_inputs.values())

    several = isinstance(outputs, tuple)
    outputs = outputs if several else (outputs,)
    names = [f"out{i}" for i in range(len(outputs))] if several else ["out"]
    record["outputs"] = [pack(value, name=key) for key, value in zip(names, outputs)]
    if grad:
        floats = [value for value in outputs if value.dtype == torch.float64]
        cotangents = [rand(*value.shape) for value in floats]
        leaves = [v for v in [*live_inputs.values(), *live_params.values()] if v.requires_grad]
        pairs = [(v, c) for v, c in zip(floats, cotangents) if v.requires_grad]
        found = torch.autograd.grad(
            [v for v, _ in pairs], leaves, [c for _, c in pairs], allow_unused=True, materialize_grads=True
        ) if pairs else [torch.zeros_like(v) for v in leaves]
        of = {id(leaf): value for leaf, value in zip(leaves, found)}
        assert all(torch.isfinite(value).all() for value in found), f"{CURRENT} {name}: a gradient is not finite"
        record["cotangents"] = [pack(value, dtype=False) for value in cotangents]
        record["grad_inputs"] = {
            key: pack(of[id(v)], dtype=False) for key, v in live_inputs.items() if v.requires_grad
        }
        record["grad_params"] = {path: pack(of[id(v)], dtype=False) for path, v in live_params.items()}
    if mode == "train":
        # Statistics, and parameters that the run itself has changed.
        changed = {path: value for path, value in live_params.items() if not torch.equal(value, params[path])}
        if state or changed:
            record["state_after"] = {path: pack(value) for path, value in (state | changed).items()}
    CURRENT.append(record)


def write(name, head, cases):
    """One key a line in each case: a change shows as the lines it touches."""
    lines = [f'{{{json.dumps(key)}: {json.dumps(value)},' if i == 0 else f'{json.dumps(key)}: {json.dumps(value)},'
             for i, (key, value) in enumerate(head.items())]
    blocks = []
    for one in cases:
        rows = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in one.items()]
        blocks.append("{\n" + ",\n".join(rows) + "\n}")
    text = "\n".join(lines) + '\n"cases": [\n' + ",\n".join(blocks) + "\n]}\n"
    json.loads(text)
    (HERE / f"{name}.json").write_text(text, encoding="utf-8")
    assert len(text) < 60_000, f"{name}.json has {len(text)} bytes"
    print(f"{name}.json: {len(cases)} cases, {len(text)} bytes")


# ---------------------------------------------------------------------------------------------- formulas


def gelu(x, form="exact"):
    if form == "sigmoid":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="tanh" if form == "tanh" else "none")


def rmsnorm(x, weight=None, eps=1e-5, axes=1, offset=0.0):
    over = tuple(range(-axes, 0))
    y = x / torch.sqrt((x * x).mean(over, keepdim=True) + eps)
    return y if weight is None else y * (offset + weight)


def layernorm(x, weight=None, bias=None, eps=1e-5, axes=1):
    return F.layer_norm(x, x.shape[x.dim() - axes:], weight, bias, eps)


def dyt(x, alpha, weight, bias):
    return weight * torch.tanh(alpha * x) + bias


def rope(x, base=10000.0, pairing="half", dims=None, offset=0):
    """Turns pair i of `x [.., seq, d]` at position p by the angle p * base^(-2i/dims)."""
    dims = dims or x.shape[-1]
    turned, rest = x[..., :dims], x[..., dims:]
    positions = torch.arange(offset, offset + x.shape[-2], dtype=torch.float64)
    angle = positions[:, None] * base ** (-torch.arange(0, dims, 2, dtype=torch.float64) / dims)
    cos, sin = angle.cos(), angle.sin()
    if pairing == "half":
        a, b = turned[..., : dims // 2], turned[..., dims // 2:]
        turned = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    else:
        a, b = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    return torch.cat([turned, rest], -1)


def attend(q, k, v, mask=None, bias=None, causal=False, scale=None, softcap=None, alibi=False, window=None):
    """Scaled dot-product attention -> (y, weights). mask is true where one may look."""
    heads, groups = q.shape[1], q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    n, m = scores.shape[-2:]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if alibi:
        slopes = 2.0 ** (-8 * (torch.arange(heads) + 1) / heads)
        scores = scores - slopes[:, None, None] * (torch.arange(n)[:, None] - torch.arange(m)).abs()
    if bias is not None:
        scores = scores + bias
    may = torch.ones(n, m, dtype=torch.bool)
    if causal:
        may = may.tril()
    if window is not None:
        may = may & ((torch.arange(n)[:, None] - torch.arange(m)).abs() < window)
    if mask is not None:
        may = may & mask
    may = may.expand(scores.shape)
    any_ = may.any(-1, keepdim=True)
    scores = torch.where(may, scores, -math.inf)
    weights = torch.softmax(torch.where(any_, scores, 0.0), -1)
    weights = torch.where(any_, weights, 0.0)
    return weights @ v, weights


def sdpa(*operands, **options):
    return attend(*operands, **options)[0]


def attention(x, p, heads, kv_heads=None, head_dim=None, memory=None, value=None, mask=None, turn=None, norm=None, path="attention",
              add_bias_kv=False, add_zero_attn=False, **options):
    """Multi-head attention over parameters named as in PyTorch -> (y, weights [B, h, q, k])."""
    d, kv_heads = x.shape[-1], kv_heads or heads
    e = head_dim or d // heads
    sizes = [heads * e, kv_heads * e, kv_heads * e]
    p = {name.removeprefix(path + "."): v for name, v in p.items()}
    if "in_proj_weight" in p:
        weights = p["in_proj_weight"].split(sizes)
    else:
        weights = [p[f"{which}_proj_weight"] for which in "qkv"]
    if "in_proj_bias" in p:
        biases = p["in_proj_bias"].split(sizes)
    else:
        biases = [p.get(f"{which}_proj_bias") for which in "qkv"]
    memory = x if memory is None else memory
    sources = [x, memory, memory if value is None else value]
    q, k, v = (F.linear(s, w, b) for s, w, b in zip(sources, weights, biases))
    if add_bias_kv:
        k = torch.cat([k, p["bias_k"].expand(k.shape[0], 1, -1)], 1)
        v = torch.cat([v, p["bias_v"].expand(v.shape[0], 1, -1)], 1)
    q, k, v = (t.unflatten(-1, (-1, e)).transpose(1, 2) for t in (q, k, v))
    if add_zero_attn:
        k, v = (torch.cat([t, torch.zeros_like(t[:, :, :1])], 2) for t in (k, v))
    if norm:
        q, k = norm(q, p, "q_norm"), norm(k, p, "k_norm")
    if turn:
        q, k = turn(q), turn(k)
    if mask is not None and mask.dim() == 2:
        mask = mask[:, None, None, :]
    elif mask is not None and mask.dim() == 3:
        mask = mask[:, None]
    y, w = attend(q, k, v, mask=mask, **options)
    return F.linear(y.transpose(1, 2).flatten(2), p["out_proj.weight"], p.get("out_proj.bias")), w


def cross_entropy(x, target, axis=-1, **options):
    """PyTorch has the classes on axis 1 (0 for rank 1); here they are on `axis`, by default the last."""
    x = x.movedim(axis, 0 if x.dim() == 1 else 1)
    if target.dtype == torch.float64:
        target = target.movedim(axis, 0 if target.dim() == 1 else 1)
    return F.cross_entropy(x, target, **options)


def nll(x, target, axis=-1, **options):
    return F.nll_loss(x.movedim(axis, 0 if x.dim() == 1 else 1), target, **options)


def accuracy(x, target, axis=-1, ignore_index=-100):
    kept = target != ignore_index
    right = torch.as_tensor(np.argmax(x.numpy(), axis)) == target  # numpy: the first of equals
    return (right & kept).sum() / kept.sum()


# ---------------------------------------------------------------------------------------------- elementwise

WIDE = [-1e4, -60.0, -10.0, -3.5, -1.0, -0.25, -1e-3, -1e-30, 0.0, 1e-30, 1e-3, 0.25, 1.0, 3.5, 10.0, 60.0, 1e4]


def activations():
    kinds = {
        "gelu": [("gelu", gelu), ('gelu(form = "tanh")', lambda x: gelu(x, "tanh")),
                 ('gelu(form = "sigmoid")', lambda x: gelu(x, "sigmoid")), ('gelu("exact")', gelu)],
        "relu": [("relu", F.relu)],
        "silu": [("silu", F.silu)],
        "tanh": [("tanh", torch.tanh)],
        "sigmoid": [("sigmoid", torch.sigmoid)],
    }
    for op, forms in kinds.items():
        begin(op)
        for body, fn in forms:
            case(f"{body}: random", body, {"x": rand(3, 7, scale=2)}, fn)
            case(f"{body}: zero, tiny and large values", body, {"x": f32(WIDE)}, fn)
            case(f"{body}: values whose square leaves f32", body, {"x": f32([-1e30, -1e25, 1e25, 1e30])}, fn)
        body, fn = forms[0]
        case("one element", body, {"x": rand(1)}, fn)
        case("scalar", body, {"x": f32(-1.25)}, fn)
        case("empty batch", body, {"x": rand(0, 5)}, fn)
        case("three axes, prime sizes", body, {"x": rand(2, 3, 5)}, fn)
        case("not-a-number stays; the infinities", body, {"x": f32([math.nan, math.inf, 1.0])}, fn, grad=False)
    begin("relu")
    case("the kink: gradient 0 at 0 and at -0", "relu", {"x": f32([0.0, -0.0, 1e-38, -1e-38])}, F.relu)


def simple_functions():
    kinds = {
        "neg": (torch.neg, rand, [0.0, -0.0, 1e30, -3.0], None),
        "exp": (torch.exp, rand, [-80.0, -1.0, 0.0, 1.0, 80.0], [1000.0, -1000.0, math.inf, -math.inf, math.nan]),
        "log": (torch.log, positive, [1e-30, 0.5, 1.0, 2.0, 1e30], [0.0, -1.0, math.inf, math.nan]),
        "sqrt": (torch.sqrt, positive, [1e-30, 0.25, 1.0, 2.0, 1e30], [0.0, -1.0, math.inf, math.nan]),
        "square": (torch.square, rand, [0.0, -3.0, 1e-10, 1e15], [math.inf, -math.inf, math.nan]),
        "abs": (torch.abs, rand, [0.0, -0.0, -3.0, 1e30, -1e30], [math.inf, -math.inf, math.nan]),
    }
    for op, (fn, draw, corners, outside) in kinds.items():
        begin(op)
        case("random", op, {"x": draw(3, 5)}, fn)
        case("corners", op, {"x": f32(corners)}, fn)
        case("scalar", op, {"x": draw()}, fn)
        case("empty", op, {"x": draw(2, 0)}, fn)
        if outside:
            case("outside the domain or the range", op, {"x": f32(outside)}, fn, grad=False)
    begin("neg")
    case("the sign before a value", "y = -x", {"x": rand(2, 3)}, torch.neg)
    case("the sign before a sum", "y = -(x + 1)", {"x": rand(2, 3)}, lambda x: -(x + 1))


def arithmetic():
    for op, sign, fn in [("add", "+", torch.add), ("sub", "-", torch.sub), ("mul", "*", torch.mul), ("div", "/", torch.div)]:
        begin(op)
        second = positive if op == "div" else rand
        infix, tuple_ = f"a {sign} b", f"(a, b) |> {op}"
        case("infix, equal shapes", infix, {"a": rand(2, 3), "b": second(2, 3)}, fn)
        case("as an operator over a tuple", tuple_, {"a": rand(3, 1, 2), "b": second(3, 1, 2)}, fn)
        case("leading axes missing on the right", infix, {"a": rand(2, 3, 5), "b": second(3, 5)}, fn)
        case("leading axes missing on the left", infix, {"a": rand(5), "b": second(2, 3, 5)}, fn)
        case("a scalar on the right", infix, {"a": rand(2, 3), "b": second()}, fn)
        case("a number on the right", f"x {sign} 2.5", {"x": rand(2, 3)}, lambda x: fn(x, torch.tensor(2.5)))
        case("a number on the left", f"3 {sign} x", {"x": second(2, 3)}, lambda x: fn(torch.tensor(3.0), x))
        case("a number as attribute", f"{op}(0.5)", {"x": rand(7)}, lambda x: fn(x, torch.tensor(0.5)))
        case("a value with itself", f"x {sign} x", {"x": second(2, 2)}, lambda x: fn(x, x))
        case("empty batch", infix, {"a": rand(0, 3), "b": second(3)}, fn)
    begin("add")
    case("three operands", "(a, b, c) |> add", {"a": rand(2, 3), "b": rand(2, 3), "c": rand(2, 3)}, lambda a, b, c: a + b + c)
    begin("mul")
    case("three operands", "(a, b, c) |> mul", {"a": rand(2, 3), "b": rand(2, 3), "c": rand(2, 3)}, lambda a, b, c: a * b * c)
    begin("div")
    a, b = f32([7.0, -7.0, 7.0, -7.0, 0.0, 6.0]), f32([2.0, 2.0, -2.0, -2.0, 3.0, 3.0])
    for how in ("floor", "trunc"):
        case(f"rounding {how}", f'(a, b) |> div(rounding = "{how}")', {"a": a, "b": b},
             lambda a, b: torch.div(a, b, rounding_mode=how))
    case("by zero", "a / b", {"a": f32([1.0, -1.0, 0.0]), "b": f32([0.0, 0.0, 0.0])}, torch.div, grad=False)


def more_functions():
    nan = [math.inf, -math.inf, math.nan]
    kinds = {
        "rsqrt": (torch.rsqrt, positive, [1e-20, 0.25, 1.0, 4.0, 1e30], [0.0, -1.0] + nan),
        "reciprocal": (torch.reciprocal, positive, [1e-15, -4.0, 1.0, 1e15], [0.0, -0.0] + nan),
        "sin": (torch.sin, rand, [0.0, -0.0, 3.0, -50.0, 1000.0, 1e5, 1e-20], nan),
        "cos": (torch.cos, rand, [0.0, -0.0, 3.0, -50.0, 1000.0, 1e5, 1e-20], nan),
        "sign": (torch.sign, rand, [0.0, -0.0, 3.0, -1e-30], nan[:2]),
        "floor": (torch.floor, rand, [0.5, -0.5, 2.0, -2.0, 1e10, -0.0], nan),
    }
    for op, (fn, draw, corners, outside) in kinds.items():
        begin(op)
        case("random", op, {"x": draw(3, 5)}, fn)
        case("corners", op, {"x": f32(corners)}, fn)
        case("scalar", op, {"x": draw()}, fn)
        case("empty", op, {"x": draw(2, 0)}, fn)
        case("not-a-number and the infinities", op, {"x": f32(outside)}, fn, grad=False)
    begin("remainder")
    x = f32([7.0, -7.0, 7.0, -7.0, 0.0, 6.0, 5.5])
    y = f32([4.0, 4.0, -4.0, -4.0, 3.0, 3.5, 0.75])
    # torch's own gradient of the divisor is -floor(a / b) too.
    case("infix, every pair of signs", "a % b", {"a": x, "b": y}, torch.remainder)
    case("as an operator over a tuple", "(a, b) |> remainder", {"a": rand(2, 3), "b": positive(2, 3)}, torch.remainder)
    case("leading axes missing on the right", "a % b", {"a": rand(2, 3), "b": positive(3)}, torch.remainder)
    case("a number on the right", "x % 0.75", {"x": rand(2, 3)}, lambda x: torch.remainder(x, 0.75))
    case("empty", "a % b", {"a": rand(0, 3), "b": positive(3)}, torch.remainder)
    begin("identity")
    case("a value", "identity", {"x": rand(2, 3)}, lambda x: x * 1.0)
    case("integers", "identity", {"x": ids(9, 2, 3)}, lambda x: x + 0, grad=False)
    begin("detach")
    case("no gradient flows through", "detach", {"x": rand(2, 3)}, lambda x: x.detach() + 0.0 * x)
    case("one of two ways", "y = x * (x |> detach)", {"x": rand(2, 3)}, lambda x: x * x.detach())
    begin("cast")
    whole = f32([0.0, 1.0, -3.0, 2.5, -2.5, 1e9])
    case("integers to floats", 'cast("f32")', {"x": ids(9, 2, 3)}, lambda x: x.to(torch.float64), grad=False)
    case("floats to integers: towards 0", 'cast("i64")', {"x": whole}, lambda x: x.to(torch.int64), grad=False)
    case("floats to bools and back", 'cast("bool"); cast("f32")', {"x": whole}, lambda x: (x != 0).to(torch.float64), grad=False)
    case("bools to integers", 'cast("i64")', {"x": yes([[1, 0], [0, 1]])}, lambda x: x.to(torch.int64), grad=False)
    case("floats to floats", 'cast("f32")', {"x": rand(2, 3)}, lambda x: x * 1.0)
    begin("stack")
    three = lambda *shape: {"a": rand(*shape), "b": rand(*shape), "c": rand(*shape)}
    case("a new first axis", "(a, b, c) |> stack", three(2, 3), lambda *parts: torch.stack(parts))
    case("a new last axis", "(a, b, c) |> stack(-1)", three(2, 3), lambda *parts: torch.stack(parts, -1))
    case("in the middle", "(a, b, c) |> stack(axis = 1)", three(2, 2), lambda *parts: torch.stack(parts, 1))
    case("scalars", "(a, b, c) |> stack", three(), lambda *parts: torch.stack(parts))
    case("empty", "(a, b, c) |> stack", three(0, 2), lambda *parts: torch.stack(parts))
    case("integers", "(a, b) |> stack", {"a": ids(9, 3), "b": ids(9, 3)}, lambda *parts: torch.stack(parts), grad=False)
    begin("next")
    follow = lambda x: torch.cat([x[..., 1:], torch.full_like(x[..., :1], -100)], -1)
    case("rows", "next", {"x": ids(50, 2, 5)}, follow, grad=False)
    case("rank 1", "next", {"x": ids(50, 4)}, follow, grad=False)
    case("one position", "next", {"x": ids(50, 3, 1)}, follow, grad=False)


def gates():
    begin("relu6")
    case("random", "relu6", {"x": rand(3, 7, scale=6)}, F.relu6)
    case("the kinks: gradient 0 at 0 and at 6", "relu6", {"x": f32([0.0, -0.0, 6.0, 1e-38, 5.75, 1e30, -1e30])}, F.relu6)
    case("scalar", "relu6", {"x": f32(7.5)}, F.relu6)
    case("empty batch", "relu6", {"x": rand(0, 5)}, F.relu6)
    case("not-a-number stays; the infinities", "relu6", {"x": f32([math.nan, math.inf, -math.inf])}, F.relu6, grad=False)
    begin("hardtanh")
    case("random", "hardtanh", {"x": rand(3, 7)}, F.hardtanh)
    case("the kinks: gradient 0 at both limits", "hardtanh", {"x": f32([-1.0, 1.0, 0.0, -1.25, 0.75])}, F.hardtanh)
    case("other limits", "hardtanh(-0.5, 2)", {"x": rand(2, 3, 5, scale=2)}, lambda x: F.hardtanh(x, -0.5, 2.0))
    case("one limit by name", "hardtanh(max = 0)", {"x": rand(5)}, lambda x: F.hardtanh(x, -1.0, 0.0))
    case("empty batch", "hardtanh", {"x": rand(0, 5)}, F.hardtanh)
    case("not-a-number stays; the infinities", "hardtanh", {"x": f32([math.nan, math.inf, -math.inf])}, F.hardtanh, grad=False)
    kinds = {"glu": F.glu, "geglu": gated(gelu), "swiglu": gated(F.silu), "reglu": gated(F.relu)}
    for op, fn in kinds.items():
        begin(op)
        case("rows", op, {"x": rand(3, 8)}, fn)
        case("axis 1 of 3", f"{op}(axis = 1)", {"x": rand(2, 6, 3)}, lambda x: fn(x, 1))
        case("axis 0", f"{op}(0)", {"x": rand(4, 3)}, lambda x: fn(x, 0))
        case("rank 1, one element a half", op, {"x": rand(2)}, fn)
        case("large values", op, {"x": f32([[100.0, -100.0, 2.0, -3.0], [0.5, 1.0, 100.0, -100.0]])}, fn)
        case("empty batch", op, {"x": rand(0, 4)}, fn)


def gated(act):
    """The first half through `act`, times the second."""
    def fn(x, axis=-1):
        gate, value = x.chunk(2, axis)
        return act(gate) * value
    return fn


def comparisons():
    nan = f32([math.nan, math.inf, -math.inf, 0.0])
    large = i64([2**24 + 1, 2**40 + 1, -5])
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        begin(op)
        fn, both = getattr(torch, op), f"(a, b) |> {op}"
        few = lambda *shape: f32(RNG.integers(-1, 2, shape))
        case("equal shapes", both, {"a": few(3, 4), "b": few(3, 4)}, fn, grad=False)
        case("leading axes missing on the right", both, {"a": few(2, 3, 2), "b": few(3, 2)}, fn, grad=False)
        case("leading axes missing on the left", both, {"a": few(2), "b": few(3, 2)}, fn, grad=False)
        case("with a number", f"{op}(1)", {"x": few(3, 4)}, lambda x: fn(x, 1.0), grad=False)
        case("integers", both, {"a": ids(3, 2, 3), "b": ids(3, 2, 3)}, fn, grad=False)
        case("integers that f32 does not hold", both, {"a": large, "b": i64([2**24, 2**40, -5])}, fn, grad=False)
        case("integers and a number", f"{op}(2)", {"x": ids(4, 5)}, lambda x: fn(x, 2), grad=False)
        case("not-a-number and the infinities", both, {"a": nan, "b": nan}, fn, grad=False)
        case("empty", both, {"a": rand(0, 2), "b": rand(0, 2)}, fn, grad=False)
    four, other = yes([[1, 1, 0, 0], [1, 0, 1, 0]]), yes([[1, 0, 1, 0], [0, 0, 1, 1]])
    for op in ("and", "or", "xor"):
        begin(f"logical_{op}")
        fn, both = getattr(torch, f"logical_{op}"), f"(a, b) |> logical_{op}"
        case("every pair", both, {"a": four, "b": other}, fn, grad=False)
        case("leading axes missing on the right", both, {"a": four, "b": other[0]}, fn, grad=False)
        case("leading axes missing on the left", both, {"a": four[1], "b": other}, fn, grad=False)
        case("empty", both, {"a": four[:0], "b": other[:0]}, fn, grad=False)
    begin("logical_not")
    case("both", "logical_not", {"x": four}, torch.logical_not, grad=False)
    case("twice", "logical_not |> logical_not", {"x": four}, lambda x: x.clone(), grad=False)
    case("scalar", "logical_not", {"x": yes(True)}, torch.logical_not, grad=False)
    case("empty", "logical_not", {"x": four[:0]}, torch.logical_not, grad=False)
    begin("where")
    choose = "(cond, a, b) |> where"
    case("equal shapes", choose, {"cond": four, "a": rand(2, 4), "b": rand(2, 4)}, torch.where)
    case("leading axes missing in the condition", choose, {"cond": four[0], "a": rand(2, 4), "b": rand(2, 4)}, torch.where)
    case("leading axes missing in a value", choose, {"cond": four, "a": rand(4), "b": rand()}, torch.where)
    case("integers", choose, {"cond": four, "a": ids(9, 2, 4), "b": ids(9, 2, 4)}, torch.where, grad=False)
    case("the value not chosen may be anything", choose, {"cond": yes([1, 0]), "a": f32([1.0, math.nan]), "b": f32([math.inf, 2.0])}, torch.where)
    case("of a comparison", "(x |> gt(0), x, x * 0.1) |> where", {"x": rand(3, 5)}, lambda x: torch.where(x > 0, x, x * 0.1))
    case("empty", choose, {"cond": four[:0], "a": rand(0, 4), "b": rand(0, 4)}, torch.where)
    begin("masked_fill")
    fill = "(x, mask = mask) |> masked_fill"
    case("rows", f"{fill}(-9)", {"x": rand(2, 4), "mask": four}, lambda x, m: x.masked_fill(m, -9.0))
    case("a mask without the leading axis", f"{fill}(0.5)", {"x": rand(3, 2, 4), "mask": four}, lambda x, m: x.masked_fill(m, 0.5))
    case("minus infinity before a softmax", f"{fill}(-inf); softmax", {"x": rand(2, 4), "mask": four},
         lambda x, m: x.masked_fill(m, -math.inf).softmax(-1))
    case("integers", f"{fill}(-100)", {"x": ids(9, 2, 4), "mask": four}, lambda x, m: x.masked_fill(m, -100), grad=False)
    case("empty", f"{fill}(1)", {"x": rand(0, 4), "mask": four[:0]}, lambda x, m: x.masked_fill(m, 1.0))


# ---------------------------------------------------------------------------------------------- randomness


def mix(x):
    """The end of MurmurHash3."""
    x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCD % 2**64
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53 % 2**64
    return x ^ (x >> 33)


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [q >> 32 ^ c[1] ^ k[0], q % 2**32, p >> 32 ^ c[3] ^ k[1], p % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def words(path, purpose, n, seed, step=0):
    """The words that the layer at a path draws: one an element (see src/kernels/random.rs)."""
    key = 0xCBF29CE484222325
    for byte in path.encode():
        key = (key ^ byte) * 0x100000001B3 % 2**64
    high = mix((mix(mix(key) ^ mix(purpose)) + step) % 2**64)
    blocks = (philox([b, 0, high % 2**32, high >> 32], [seed % 2**32, seed >> 32]) for b in range((n + 3) // 4))
    return [word for block in blocks for word in block][:n + n % 2]


def uniform(path, *shape, seed=1):
    n = math.prod(shape)
    return torch.tensor([(w >> 8) / 2**24 for w in words(path, 2, n, seed)][:n]).reshape(shape)


def normal(path, *shape, seed=1):
    """Box and Muller 1958."""
    n = math.prod(shape)
    w = words(path, 3, n, seed)
    pairs = ((math.sqrt(-2 * math.log((a + 0.5) / 2**32)), 2 * math.pi * b / 2**32) for a, b in zip(w[0::2], w[1::2]))
    values = [x for r, angle in pairs for x in (r * math.cos(angle), r * math.sin(angle))]
    return torch.tensor(values[:n]).reshape(shape)


def random_sources():
    assert philox([0, 0, 0, 0], [0, 0]) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # Random123's kat_vectors
    assert philox([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0]) == [
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    for op, draw in (("randn", normal), ("rand", uniform)):
        begin(op)
        case("a shape, named", f"n = {op}([2, 3])\nreturn (x, n)", {"x": rand(2)}, lambda x: (x * 1.0, draw("n", 2, 3)))
        case("not named", f"x + {op}([3])", {"x": rand(2, 3)}, lambda x: x + draw(op, 3))
        case("two draws", f"a = {op}([5])\nb = {op}([5])\nx * a + b", {"x": rand(5)}, lambda x: x * draw("a", 5) + draw("b", 5))
        case("more than one block", f"x + {op}([11])", {"x": rand(11)}, lambda x: x + draw(op, 11))
        case("in training", f"x + {op}([7])", {"x": rand(7)}, lambda x: x + draw(op, 7), mode="train")
        case("a scalar", f"x * {op}([])", {"x": rand(3)}, lambda x: x * draw(op))


# ---------------------------------------------------------------------------------------------- parts


def pieces():
    def rows(op, cases):
        begin(op)
        for name, body, shape, fn in cases:
            case(name, body, {"x": rand(*shape)}, fn)

    rows("select", [
        ("axis 1", "select(1, 0)", (2, 3, 4), lambda x: x[:, 0]),
        ("the last axis, from the end", "select(-1, -2)", (2, 3, 4), lambda x: x[..., -2]),
        ("axis 0", "select(axis = 0, index = 2)", (3, 2), lambda x: x[2]),
        ("rank 1: a scalar", "select(0, 1)", (3,), lambda x: x[1]),
        ("an axis of one", "select(1, 0)", (2, 1), lambda x: x[:, 0]),
        ("empty batch", "select(1, 1)", (0, 2), lambda x: x[:, 1]),
    ])
    rows("slice", [
        ("from, to", "slice(1, 1, 3)", (2, 4), lambda x: x[:, 1:3]),
        ("from", "slice(0, from = 2)", (5, 2), lambda x: x[2:]),
        ("to, from the end", "slice(-1, to = -1)", (2, 3), lambda x: x[:, :-1]),
        ("both from the end", "slice(1, -3, -1)", (2, 5), lambda x: x[:, -3:-1]),
        ("a step that leaves a rest", "slice(1, step = 2)", (2, 5), lambda x: x[:, ::2]),
        ("a step that leaves none", "slice(1, from = 1, step = 3)", (2, 7), lambda x: x[:, 1::3]),
        ("a step on the first of three axes", "slice(0, 0, 5, 3)", (6, 2, 3), lambda x: x[0:5:3]),
        ("all", "slice(0)", (2, 3), lambda x: x[:]),
        ("nothing", "slice(1, 2, 2)", (2, 3), lambda x: x[:, 2:2]),
        ("empty batch", "slice(1, 1)", (0, 3), lambda x: x[:, 1:]),
    ])
    rows("narrow", [
        ("in the middle", "narrow(1, 1, 2)", (2, 4), lambda x: x.narrow(1, 1, 2)),
        ("from the end", "narrow(-1, -3, 2)", (2, 5), lambda x: x.narrow(-1, 2, 2)),
        ("axis 0", "narrow(axis = 0, start = 0, length = 2)", (3, 2), lambda x: x.narrow(0, 0, 2)),
        ("all of it", "narrow(0, 0, 3)", (3, 2), lambda x: x.narrow(0, 0, 3)),
        ("empty batch", "narrow(1, 1, 1)", (0, 3), lambda x: x.narrow(1, 1, 1)),
    ])
    rows("split", [
        ("equal parts", "(a, b) = x |> split(2)\nreturn (a, b)", (3, 4), lambda x: x.split(2, -1)),
        ("the last is smaller", "(a, b, c) = x |> split(2)\nreturn (a, b, c)", (2, 5), lambda x: x.split(2, -1)),
        ("by a list, on axis 0", "(a, b) = x |> split([1, 3], axis = 0)\nreturn (a, b)", (4, 2), lambda x: x.split([1, 3], 0)),
        ("one of them alone", "(_, b, _) = x |> split([1, 2, 1], 1)\nb", (2, 4, 3), lambda x: x[:, 1:3]),
        ("each to its own", "(a, b) = x |> split(2)\n(a |> exp) * b", (3, 4), lambda x: x[:, :2].exp() * x[:, 2:]),
        ("one part", "split(9)", (2, 3), lambda x: x * 1.0),
        ("empty batch", "(a, b) = x |> split([1, 2])\nreturn (a, b)", (0, 3), lambda x: x.split([1, 2], -1)),
    ])
    rows("chunk", [
        ("two", "(a, b) = x |> chunk(2)\nreturn (a, b)", (3, 4), lambda x: x.chunk(2, -1)),
        ("three, on axis 1", "(a, b, c) = x |> chunk(3, axis = 1)\nreturn (a, b, c)", (2, 6, 2), lambda x: x.chunk(3, 1)),
        ("and back", "chunk(2, 0); concat(axis = 1)", (4, 2), lambda x: torch.cat(x.chunk(2, 0), 1)),
        ("one", "chunk(1)", (2, 3), lambda x: x * 1.0),
        ("empty batch", "(a, b) = x |> chunk(2)\nreturn (a, b)", (0, 4), lambda x: x.chunk(2, -1)),
    ])
    rows("pad", [
        ("every spatial axis", "pad(1)", (1, 2, 2, 3), lambda x: F.pad(x, (1, 1, 1, 1))),
        ("one spatial axis", "pad(2)", (2, 1, 3), lambda x: F.pad(x, (2, 2))),
        ("a pair an axis, in axis order", "pad([[1, 0], [2, 3]])", (1, 1, 2, 2), lambda x: F.pad(x, (2, 3, 1, 0))),
        ("the last axis of a matrix", "pad([[1, 2]])", (2, 3), lambda x: F.pad(x, (1, 2))),
        ("all axes", "pad([[1, 1], [0, 1], [2, 0]], value = 0.5)", (2, 2, 2), lambda x: F.pad(x, (2, 0, 0, 1, 1, 1), value=0.5)),
        ("another value", 'pad(1, mode = "constant", value = -7)', (1, 1, 2, 2), lambda x: F.pad(x, (1, 1, 1, 1), value=-7.0)),
        ("a crop", "pad(-1)", (1, 2, 4, 5), lambda x: F.pad(x, (-1, -1, -1, -1))),
        ("a crop on one side, a border on the other", "pad([[-1, 2], [0, -2]])", (1, 1, 3, 4), lambda x: F.pad(x, (0, -2, -1, 2))),
        ("nothing", "pad(0)", (1, 2, 3), lambda x: x * 1.0),
        ("empty batch", "pad(1)", (0, 1, 2), lambda x: F.pad(x, (1, 1))),
    ])


# ---------------------------------------------------------------------------------------------- along an axis


def softmaxes():
    for op, fn in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax)]:
        begin(op)
        last = lambda x: fn(x, -1)
        case("rows", op, {"x": rand(3, 5)}, last)
        case("axis 0", f"{op}(axis = 0)", {"x": rand(3, 5)}, lambda x: fn(x, 0))
        case("axis 1 of 3", f"{op}(1)", {"x": rand(2, 3, 4)}, lambda x: fn(x, 1))
        case("axis -2 of 4", f"{op}(axis = -2)", {"x": rand(2, 2, 3, 2)}, lambda x: fn(x, -2))
        case("extreme logits", op, {"x": f32([[1e4, -1e4, 0.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]])}, last)
        case("a large offset changes nothing", op, {"x": eighths(2, 8, mean=1e4)}, last)
        case("some entries are -inf", op, {"x": f32([[-math.inf, 1.0, 2.0], [0.5, -math.inf, -math.inf]])}, last)
        case("an axis of one", op, {"x": rand(4, 1)}, last)
        case("rank 1", op, {"x": rand(7)}, last)
        case("one row of a prime size", op, {"x": rand(1, 31)}, last)
        case("empty batch", op, {"x": rand(0, 4)}, last)


def reductions():
    for op, fn in [("sum", torch.sum), ("mean", torch.mean)]:
        begin(op)
        case("all axes", op, {"x": rand(2, 3, 5)}, lambda x: fn(x))
        case("all axes, kept", f"{op}(keep = true)", {"x": rand(2, 3)}, lambda x: fn(x, (0, 1), keepdim=True))
        case("axis 0", f"{op}(0)", {"x": rand(3, 4)}, lambda x: fn(x, 0))
        case("last axis, kept", f"{op}(axis = -1, keep = true)", {"x": rand(3, 4)}, lambda x: fn(x, -1, keepdim=True))
        case("two axes without brackets", f"{op}(1, 2)", {"x": rand(2, 3, 5)}, lambda x: fn(x, (1, 2)))
        case("two axes as a list", f"{op}(axis = [0, -1])", {"x": rand(2, 3, 5)}, lambda x: fn(x, (0, 2)))
        case("two axes, kept", f"{op}(axis = [0, 2], keep = true)", {"x": rand(2, 3, 5)}, lambda x: fn(x, (0, 2), keepdim=True))
        case("an axis of one", f"{op}(1)", {"x": rand(3, 1)}, lambda x: fn(x, 1))
        case("rank 1", op, {"x": rand(13)}, lambda x: fn(x))
        case("a large offset", f"{op}(1)", {"x": eighths(2, 16, mean=1e4)}, lambda x: fn(x, 1))
        case("empty batch, other axis", f"{op}(1)", {"x": rand(0, 3)}, lambda x: fn(x, 1))
        case("over a tuple: elementwise", f"(a, b, c) |> {op}", {"a": rand(2, 3), "b": rand(2, 3), "c": rand(2, 3)},
             lambda a, b, c: fn(torch.stack([a, b, c]), 0))
    begin("sum")
    case("over nothing", "sum(0)", {"x": rand(0, 3)}, lambda x: x.sum(0))
    case("integers", "sum(1)", {"x": ids(9, 2, 3)}, lambda x: x.sum(1), grad=False)


# ---------------------------------------------------------------------------------------------- norms


def norms():
    begin("rmsnorm")
    w = lambda *s: {"rmsnorm.weight": rand(*s, shift=1)}
    fn = lambda x, p: rmsnorm(x, p["rmsnorm.weight"])
    case("rows", "rmsnorm", {"x": rand(3, 5)}, fn, w(5))
    case("three axes", "rmsnorm", {"x": rand(2, 3, 4)}, fn, w(4))
    case("rank 1", "rmsnorm", {"x": rand(7)}, fn, w(7))
    case("shape given", "rmsnorm(4)", {"x": rand(2, 4)}, fn, w(4))
    case("large eps", "rmsnorm(eps = 0.1)", {"x": rand(3, 5, scale=0.25)}, lambda x, p: rmsnorm(x, p["rmsnorm.weight"], eps=0.1), w(5))
    case("without gain", "rmsnorm(affine = false)", {"x": rand(3, 5)}, rmsnorm)
    case("over two axes", "rmsnorm(axes = 2)", {"x": rand(2, 3, 4)}, lambda x, p: rmsnorm(x, p["rmsnorm.weight"], axes=2), w(3, 4))
    case("two axes by shape", "rmsnorm([3, 4])", {"x": rand(2, 3, 4)}, lambda x, p: rmsnorm(x, p["rmsnorm.weight"], axes=2), w(3, 4))
    case("gain 1 + weight", "rmsnorm(offset = 1)", {"x": rand(3, 5)}, lambda x, p: rmsnorm(x, p["rmsnorm.weight"], offset=1.0),
         {"rmsnorm.weight": rand(5, scale=0.25)})
    case("large mean", "rmsnorm", {"x": eighths(2, 8, mean=1e4)}, fn, w(8))
    case("a row of zeros", "rmsnorm", {"x": f32([[0.0] * 4, [1.0, -1.0, 2.0, 0.0]])}, fn, w(4))
    case("tiny values, below eps", "rmsnorm", {"x": f32([[1e-4, -2e-4, 3e-4], [1e-20, 0.0, -1e-20]])}, fn, w(3))
    case("one element a row", "rmsnorm", {"x": rand(3, 1)}, fn, w(1))
    case("empty batch", "rmsnorm", {"x": rand(0, 4)}, fn, w(4))

    begin("layernorm")
    wb = lambda *s: {"layernorm.weight": rand(*s, shift=1), "layernorm.bias": rand(*s)}
    ln = lambda **o: lambda x, p: layernorm(x, p["layernorm.weight"], p.get("layernorm.bias"), **o)
    case("rows", "layernorm", {"x": rand(3, 5)}, ln(), wb(5))
    case("three axes", "layernorm", {"x": rand(2, 3, 4)}, ln(), wb(4))
    case("rank 1", "layernorm", {"x": rand(7)}, ln(), wb(7))
    case("shape given", "layernorm(4)", {"x": rand(2, 4)}, ln(), wb(4))
    case("over two axes", "layernorm(axes = 2)", {"x": rand(2, 3, 4)}, ln(axes=2), wb(3, 4))
    case("two axes by shape", "layernorm([3, 4])", {"x": rand(2, 3, 4)}, ln(axes=2), wb(3, 4))
    case("without gain and bias", "layernorm(affine = false)", {"x": rand(3, 5)}, layernorm)
    case("without bias", "layernorm(bias = false)", {"x": rand(3, 5)}, ln(), {"layernorm.weight": rand(5, shift=1)})
    case("large eps", "layernorm(eps = 0.1)", {"x": rand(3, 5, scale=0.25)}, ln(eps=0.1), wb(5))
    case("large mean", "layernorm", {"x": eighths(2, 8, mean=1e4)}, ln(), wb(8))
    case("a constant row", "layernorm", {"x": f32([[3.0] * 4, [0.0] * 4])}, ln(), wb(4))
    case("one element a row", "layernorm", {"x": rand(3, 1)}, ln(), wb(1))
    case("empty batch", "layernorm", {"x": rand(0, 4)}, ln(), wb(4))

    begin("dyt")
    p = lambda alpha, d: {"dyt.alpha": f32([alpha]), "dyt.weight": rand(d, shift=1), "dyt.bias": rand(d)}
    fn = lambda x, p: dyt(x, p["dyt.alpha"], p["dyt.weight"], p["dyt.bias"])
    case("rows", "dyt", {"x": rand(3, 5)}, fn, p(0.5, 5))
    case("another first alpha", "dyt(alpha = 2)", {"x": rand(3, 5)}, fn, p(2.0, 5))
    case("three axes, negative alpha", "dyt", {"x": rand(2, 3, 4)}, fn, p(-0.75, 4))
    case("saturated", "dyt(1)", {"x": f32([[1e4, -1e4, 0.0, 50.0]])}, fn, p(1.0, 4))
    case("rank 1, alpha 0", "dyt", {"x": rand(7)}, fn, p(0.0, 7))
    case("one element", "dyt", {"x": rand(1, 1)}, fn, p(0.5, 1))
    case("empty batch", "dyt", {"x": rand(0, 4)}, fn, p(0.5, 4))

    begin("l2norm")
    case("rows", "l2norm", {"x": rand(3, 5)}, lambda x: F.normalize(x, dim=-1))
    case("axis 0", "l2norm(axis = 0)", {"x": rand(3, 5)}, lambda x: F.normalize(x, dim=0))
    case("axis 1 of 3", "l2norm(1)", {"x": rand(2, 3, 4)}, lambda x: F.normalize(x, dim=1))
    case("rows below and above a large eps", "l2norm(eps = 2)", {"x": f32([[0.5, -0.25, 1.0], [3.0, 4.0, -1.0]])},
         lambda x: F.normalize(x, dim=-1, eps=2.0))
    case("a row of zeros", "l2norm", {"x": f32([[0.0, 0.0], [3.0, 4.0]])}, lambda x: F.normalize(x, dim=-1), grad=False)
    case("large values", "l2norm", {"x": eighths(2, 4, mean=1e4)}, lambda x: F.normalize(x, dim=-1))
    case("rank 1, one element", "l2norm", {"x": f32([-2.0])}, lambda x: F.normalize(x, dim=-1))
    case("empty batch", "l2norm", {"x": rand(0, 3)}, lambda x: F.normalize(x, dim=-1))


def batchnorms():
    begin("batchnorm")

    def affine(c):
        return {"batchnorm.weight": rand(c, shift=1), "batchnorm.bias": rand(c)}

    def running(c, count=0, fresh=True):
        return {
            "batchnorm.running_mean": torch.zeros(c) if fresh else rand(c),
            "batchnorm.running_var": torch.ones(c) if fresh else positive(c),
            "batchnorm.num_batches_tracked": i64(count),
        }

    def fn(train, eps=1e-5, update=0.1):
        def run(x, *rest):
            p = next((d for d in rest if "batchnorm.weight" in d), {})
            s = next((d for d in rest if "batchnorm.running_mean" in d), None)
            factor = update
            if train and s:
                s["batchnorm.num_batches_tracked"] += 1
                if update == "average":
                    factor = 1.0 / s["batchnorm.num_batches_tracked"].item()
            if s:
                mean, var = s["batchnorm.running_mean"], s["batchnorm.running_var"]
            else:
                mean = var = None
            return F.batch_norm(x, mean, var, p.get("batchnorm.weight"), p.get("batchnorm.bias"), train or s is None,
                                0.0 if factor == "average" else factor, eps)
        return run

    case("train, rank 2", "batchnorm", {"x": rand(5, 3)}, fn(True), affine(3), running(3), "train")
    case("train, rank 4", "batchnorm", {"x": rand(2, 3, 2, 3)}, fn(True), affine(3), running(3), "train")
    case("train, rank 3", "batchnorm", {"x": rand(2, 3, 5)}, fn(True), affine(3), running(3), "train")
    case("train, goes on from earlier statistics", "batchnorm", {"x": rand(7, 2)}, fn(True), affine(2), running(2, 11, False), "train")
    case("eval, rank 2", "batchnorm", {"x": rand(4, 3)}, fn(False), affine(3), running(3, 5, False))
    case("eval, rank 4", "batchnorm", {"x": rand(2, 3, 2, 2)}, fn(False), affine(3), running(3, 5, False))
    case("eval, one sample", "batchnorm", {"x": rand(1, 3)}, fn(False), affine(3), running(3, 5, False))
    case("eval, empty batch", "batchnorm", {"x": rand(0, 3)}, fn(False), affine(3), running(3, 5, False))
    steps = [rand(4, 3, scale=s, shift=m) for s, m in ((1, 0), (2, 1), (0.5, -3))]
    case("train, three steps", "batchnorm", {"x": steps[-1]}, fn(True), affine(3), running(3), "train", steps=steps)
    steps = [rand(2, 2, 3, shift=m) for m in (0, 1, -3)]
    case("train, three steps, average of all", 'batchnorm(update = "average")', {"x": steps[-1]}, fn(True, update="average"),
         affine(2), running(2), "train", steps=steps)
    case("train, average goes on after 4", 'batchnorm(update = "average")', {"x": rand(3, 2)}, fn(True, update="average"),
         affine(2), running(2, 4, False), "train")
    case("train, pinned, large eps and update", "batchnorm(3, eps = 0.1, update = 0.5)", {"x": rand(5, 3)},
         fn(True, eps=0.1, update=0.5), affine(3), running(3, 1, False), "train")
    case("eval, large eps", "batchnorm(eps = 0.1)", {"x": rand(5, 3)}, fn(False, eps=0.1), affine(3), running(3, 1, False))
    case("train, without gain and bias", "batchnorm(affine = false)", {"x": rand(5, 3)}, fn(True), {}, running(3), "train")
    case("eval, without gain and bias", "batchnorm(affine = false)", {"x": rand(5, 3)}, fn(False), {}, running(3, 2, False))
    case("train, without bias", "batchnorm(bias = false)", {"x": rand(5, 3)}, fn(True), {"batchnorm.weight": rand(3, shift=1)},
         running(3), "train")
    case("train, without state", "batchnorm(track = false)", {"x": rand(5, 3)}, fn(True), affine(3), {}, "train")
    case("eval, without state: the batch's statistics", "batchnorm(track = false)", {"x": rand(5, 3)}, fn(False), affine(3))
    case("train, large mean", "batchnorm", {"x": eighths(8, 2, mean=1e4)}, fn(True), affine(2), running(2), "train")
    case("train, a constant channel", "batchnorm", {"x": torch.cat([torch.full((4, 1), 2.0), rand(4, 1)], 1)}, fn(True),
         affine(2), running(2), "train")
    case("train, one sample with positions", "batchnorm", {"x": rand(1, 2, 2, 2)}, fn(True), affine(2), running(2), "train")


# ---------------------------------------------------------------------------------------------- linear algebra


def products():
    shapes = [
        ("matrices", (2, 3), (3, 5)),
        ("one batch axis", (2, 3, 4), (2, 4, 2)),
        ("batch on the left only", (2, 3, 4), (4, 2)),
        ("batch on the right only", (3, 4), (2, 4, 2)),
        ("batch axes broadcast from 1", (2, 1, 2, 3), (3, 3, 2)),
        ("two batch axes", (2, 2, 1, 3), (2, 2, 3, 2)),
        ("rank 1 on the left", (3,), (3, 5)),
        ("rank 1 on the left, batch on the right", (3,), (2, 3, 2)),
        ("one element", (1, 1), (1, 1)),
        ("prime sizes", (7, 11), (11, 5)),
        ("no rows", (0, 3), (3, 2)),
        ("nothing to sum over", (2, 0), (0, 3)),
    ]
    begin("matmul")
    for name, a, b in shapes:
        case(name, "(a, b) |> matmul", {"a": rand(*a), "b": rand(*b)}, torch.matmul)
    case("rank 1 on the right", "(a, b) |> matmul", {"a": rand(2, 3), "b": rand(3)}, torch.matmul)
    case("rank 1 on the right, batch on the left", "(a, b) |> matmul", {"a": rand(2, 2, 3), "b": rand(3)}, torch.matmul)
    case("two of rank 1", "(a, b) |> matmul", {"a": rand(5), "b": rand(5)}, torch.matmul)
    case("a value with itself", "(x, x) |> matmul", {"x": rand(3, 3)}, lambda x: x @ x)
    begin("matmul_nt")
    for name, a, b in shapes:
        b = (*b[:-2], b[-1], b[-2])
        case(name, "(a, b) |> matmul_nt", {"a": rand(*a), "b": rand(*b)}, lambda a, b: torch.matmul(a, b.transpose(-1, -2)))
    case("a value with itself", "(x, x) |> matmul_nt", {"x": rand(3, 4)}, lambda x: x @ x.T)


def linears():
    begin("linear")
    wb = lambda i, o: {"linear.weight": rand(o, i), "linear.bias": rand(o)}
    fn = lambda x, p: F.linear(x, p["linear.weight"], p.get("linear.bias"))
    case("rows", "linear(4)", {"x": rand(3, 5)}, fn, wb(5, 4))
    case("without bias", "linear(4, bias = false)", {"x": rand(3, 5)}, fn, {"linear.weight": rand(4, 5)})
    case("pinned", "linear(3 -> 2)", {"x": rand(2, 3)}, fn, wb(3, 2))
    case("two leading axes", "linear(4)", {"x": rand(2, 3, 5)}, fn, wb(5, 4))
    case("three leading axes", "linear(3)", {"x": rand(2, 2, 3, 2)}, fn, wb(2, 3))
    case("no leading axis", "linear(4)", {"x": rand(3)}, fn, wb(3, 4))
    case("one row, one input, one output", "linear(1)", {"x": rand(1, 1)}, fn, wb(1, 1))
    case("prime sizes", "linear(11)", {"x": rand(5, 13)}, fn, wb(13, 11))
    case("empty batch", "linear(4)", {"x": rand(0, 3)}, fn, wb(3, 4))
    case("two factors", "linear(4, rank = 2)", {"x": rand(3, 5)},
         lambda x, p: F.linear(F.linear(x, p["linear.down.weight"]), p["linear.up.weight"], p["linear.up.bias"]),
         {"linear.down.weight": rand(2, 5), "linear.up.weight": rand(4, 2), "linear.up.bias": rand(4)})
    case("two layers", "linear(4); relu; linear(2)", {"x": rand(3, 5)},
         lambda x, p: F.linear(F.linear(x, p["linear.weight"], p["linear.bias"]).relu(), p["linear_2.weight"], p["linear_2.bias"]),
         wb(5, 4) | {"linear_2.weight": rand(2, 4), "linear_2.bias": rand(2)})
    case("one layer used twice", "layer f = linear(3)\nx |> f |> tanh |> f", {"x": rand(2, 3)},
         lambda x, p: F.linear(F.linear(x, p["f.weight"], p["f.bias"]).tanh(), p["f.weight"], p["f.bias"]),
         {"f.weight": rand(3, 3), "f.bias": rand(3)})


def embeddings():
    begin("embedding")
    w = lambda v, d: {"embedding.weight": rand(v, d)}
    fn = lambda **o: lambda ids, p: F.embedding(ids, p["embedding.weight"], **o)
    case("rank 1", "embedding(7, 4)", {"ids": i64([3, 0, 6])}, fn(), w(7, 4))
    case("rank 2, repeated ids", "embedding(5, 3)", {"ids": i64([[1, 1, 4], [1, 0, 4]])}, fn(), w(5, 3))
    case("scalar", "embedding(5, 3)", {"ids": i64(2)}, fn(), w(5, 3))
    case("padding row: no gradient", "embedding(5, 3, padding_index = 0)", {"ids": i64([[1, 0, 4], [0, 0, 2]])}, fn(padding_idx=0), w(5, 3))
    case("padding row from the end", "embedding(5, 3, padding_index = -1)", {"ids": i64([4, 1, 4])}, fn(padding_idx=4), w(5, 3))
    case("gradient divided by frequency", "embedding(5, 3, scale_grad_by_freq = true)", {"ids": i64([1, 1, 4, 1])},
         fn(scale_grad_by_freq=True), w(5, 3))
    case("another first value", "embedding(3, 2, init = normal(0.02))", {"ids": i64([2, 2])}, fn(), w(3, 2))
    case("one row, one column", "embedding(1, 1)", {"ids": i64([0, 0, 0])}, fn(), w(1, 1))
    case("no ids", "embedding(4, 3)", {"ids": ids(4, 0)}, fn(), w(4, 3))

    begin("sinusoidal")
    def waves(p, d, base=10000.0):
        angle = p.to(torch.float64)[..., None] / base ** (torch.arange(0, d, 2) / d)
        return torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)
    case("positions", "sinusoidal(6)", {"p": torch.arange(5)}, lambda p: waves(p, 6), grad=False)
    case("far away", "sinusoidal(4)", {"p": i64([0, 511, 99_999])}, lambda p: waves(p, 4), grad=False)
    case("rows of positions", "sinusoidal(8)", {"p": ids(50, 2, 3)}, lambda p: waves(p, 8), grad=False)
    case("another base", "sinusoidal(4, base = 100)", {"p": torch.arange(7)}, lambda p: waves(p, 4, 100.0), grad=False)
    case("a scalar, one pair", "sinusoidal(2)", {"p": i64(3)}, lambda p: waves(p, 2), grad=False)
    case("of floats", "sinusoidal(4)", {"t": rand(3, 2)}, lambda t: waves(t, 4))
    case("added to a value", "x + (range(4) |> sinusoidal(6))", {"x": rand(2, 4, 6)}, lambda x: x + waves(torch.arange(4), 6))

    begin("unembed")
    case("tied: ids in, logits out", "layer e = embedding(7, 4)\nids |> e\nunembed(e)", {"ids": i64([[3, 0, 6], [3, 3, 1]])},
         lambda ids, p: F.embedding(ids, p["e.weight"]) @ p["e.weight"].T, {"e.weight": rand(7, 4)})
    case("with something between", "layer e = embedding(5, 3)\nids |> e |> tanh |> unembed(e)", {"ids": i64([4, 0, 4])},
         lambda ids, p: F.embedding(ids, p["e.weight"]).tanh() @ p["e.weight"].T, {"e.weight": rand(5, 3)})
    case("of a value", "layer e = embedding(5, 3)\nx |> unembed(e)", {"x": rand(2, 3)},
         lambda x, p: x @ p["e.weight"].T, {"e.weight": rand(5, 3)})
    case("with bias", "layer e = embedding(5, 3)\nx |> unembed(e, bias = true)", {"x": rand(2, 2, 3)},
         lambda x, p: x @ p["e.weight"].T + p["unembed.bias"], {"e.weight": rand(5, 3), "unembed.bias": rand(5)})
    case("rank 1", "layer e = embedding(5, 3)\nx |> unembed(e)", {"x": rand(3)},
         lambda x, p: x @ p["e.weight"].T, {"e.weight": rand(5, 3)})
    case("the padding row still gets its gradient as an output", "layer e = embedding(4, 3, padding_index = 0)\nids |> e\nunembed(e)",
         {"ids": i64([0, 2, 2])}, lambda ids, p: F.embedding(ids, p["e.weight"], padding_idx=0) @ p["e.weight"].T, {"e.weight": rand(4, 3)})
    case("no rows", "layer e = embedding(5, 3)\nx |> unembed(e)", {"x": rand(0, 3)}, lambda x, p: x @ p["e.weight"].T, {"e.weight": rand(5, 3)})


def sources():
    begin("range")
    case("from 0", "r = range(5)\nreturn (x, r)", {"x": rand(2)}, lambda x: (x * 1.0, torch.arange(5)))
    case("from, to", "r = range(2, 6)\nreturn (x, r)", {"x": rand(2)}, lambda x: (x * 1.0, torch.arange(2, 6)))
    case("with a step", "r = range(1, 10, step = 4)\nreturn (x, r)", {"x": rand(2)}, lambda x: (x * 1.0, torch.arange(1, 10, 4)))
    case("backwards", "r = range(5, 0, step = -2)\nreturn (x, r)", {"x": rand(2)}, lambda x: (x * 1.0, torch.arange(5, 0, -2)))
    case("learned positions", "x + (range(4) |> embedding(6, 3))", {"x": rand(2, 4, 3)},
         lambda x, p: x + p["embedding.weight"][:4], {"embedding.weight": rand(6, 3)})
    case("one", "r = range(1)\nreturn (x, r)", {"x": rand(2)}, lambda x: (x * 1.0, torch.arange(1)))

    begin("parameter")
    case("a vector, named", "g = parameter([3])\nx * g", {"x": rand(2, 3)}, lambda x, p: x * p["g"], {"g": rand(3)})
    case("declared, with a first value", "layer g = parameter([3], init = constant(0.1))\nx * g", {"x": rand(2, 3)},
         lambda x, p: x * p["g"], {"g": rand(3)})
    case("a scalar", "t = parameter([])\nx / t", {"x": rand(2, 3)}, lambda x, p: x / p["t"], {"t": f32(1.75)})
    case("not named", "x + parameter([2, 3], init = normal(0.02))", {"x": rand(4, 2, 3)}, lambda x, p: x + p["parameter"],
         {"parameter": rand(2, 3)})
    case("used twice", "g = parameter([3])\n(x * g) + g", {"x": rand(2, 3)}, lambda x, p: x * p["g"] + p["g"], {"g": rand(3)})
    case("a class token", "cls = parameter([1, 1, 3])\nc = cls |> expand([2, -1, -1])\n(c, x) |> concat(axis = 1)", {"x": rand(2, 2, 3)},
         lambda x, p: torch.cat([p["cls"].expand(2, -1, -1), x], 1), {"cls": rand(1, 1, 3)})


# ---------------------------------------------------------------------------------------------- vision


def convolutions():
    begin("conv")
    wb = lambda o, c, *k: {"conv.weight": rand(o, c, *k), "conv.bias": rand(o)}
    fn = lambda **o: lambda x, p: F.conv2d(x, p["conv.weight"], p.get("conv.bias"), **o)
    case("plain", "conv(3, 2)", {"x": rand(2, 2, 4, 3)}, fn(), wb(3, 2, 2, 2))
    case("pinned, 1 by 1", "conv(3 -> 2, 1)", {"x": rand(2, 3, 2, 3)}, fn(), wb(2, 3, 1, 1))
    case("pad", "conv(2, 3, pad = 1)", {"x": rand(1, 2, 3, 4)}, fn(padding=1), wb(2, 2, 3, 3))
    case("stride that leaves a rest", "conv(2, 3, stride = 2)", {"x": rand(1, 2, 6, 5)}, fn(stride=2), wb(2, 2, 3, 3))
    case("stride and pad", "conv(2, 3, stride = 2, pad = 1)", {"x": rand(1, 1, 5, 4)}, fn(stride=2, padding=1), wb(2, 1, 3, 3))
    case("dilation", "conv(2, 2, dilation = 2)", {"x": rand(1, 2, 5, 4)}, fn(dilation=2), wb(2, 2, 2, 2))
    case("stride, pad and dilation, one an axis", "conv(2, [3, 2], stride = [2, 1], pad = [1, 2], dilation = [1, 3])",
         {"x": rand(1, 2, 5, 4)}, fn(stride=(2, 1), padding=(1, 2), dilation=(1, 3)), wb(2, 2, 3, 2))
    case("groups", "conv(4, 2, groups = 2)", {"x": rand(2, 4, 3, 3)}, fn(groups=2), wb(4, 2, 2, 2))
    case("depthwise", "conv(3, 3, pad = 1, groups = 3)", {"x": rand(1, 3, 4, 3)}, fn(padding=1, groups=3), wb(3, 1, 3, 3))
    case("depthwise, two filters a channel", "conv(4, 2, groups = 2, bias = false)", {"x": rand(1, 2, 3, 3)}, fn(groups=2),
         {"conv.weight": rand(4, 1, 2, 2)})
    case("without bias, non-square", "conv(2, [1, 3], bias = false)", {"x": rand(2, 2, 2, 4)}, fn(), {"conv.weight": rand(2, 2, 1, 3)})
    case("same, odd kernel", 'conv(2, 3, pad = "same")', {"x": rand(1, 2, 3, 4)}, fn(padding="same"), wb(2, 2, 3, 3))
    same = lambda x, p: F.conv2d(F.pad(x, (0, 1, 1, 2)), p["conv.weight"], p["conv.bias"])
    case("same, even kernel: the odd one at the end", 'conv(2, [4, 2], pad = "same")', {"x": rand(1, 1, 4, 3)}, same, wb(2, 1, 4, 2))
    case("same, dilated", 'conv(1, 3, pad = "same", dilation = 2)', {"x": rand(1, 1, 4, 5)}, fn(padding="same", dilation=2), wb(1, 1, 3, 3))
    case("valid", 'conv(2, 2, pad = "valid")', {"x": rand(1, 1, 3, 3)}, fn(), wb(2, 1, 2, 2))
    for mode in ("reflect", "replicate", "circular"):
        def padded(x, p, mode=mode):
            return F.conv2d(F.pad(x, (2, 2, 1, 1), mode=mode), p["conv.weight"], p["conv.bias"])
        case(f"pad mode {mode}", f'conv(2, [3, 2], pad = [1, 2], pad_mode = "{mode}")', {"x": rand(1, 1, 3, 4)}, padded, wb(2, 1, 3, 2))
    case("kernel as large as the image", "conv(3, 3)", {"x": rand(2, 1, 3, 3)}, fn(), wb(3, 1, 3, 3))
    case("one element", "conv(1, 1)", {"x": rand(1, 1, 1, 1)}, fn(), wb(1, 1, 1, 1))
    case("stride larger than the kernel", "conv(1, 1, stride = 3)", {"x": rand(1, 2, 5, 4)}, fn(stride=3), wb(1, 2, 1, 1))
    case("empty batch", "conv(2, 2)", {"x": rand(0, 2, 3, 3)}, fn(), wb(2, 2, 2, 2))

    begin("conv_1d_3d")
    fn1 = lambda **o: lambda x, p: F.conv1d(x, p["conv.weight"], p.get("conv.bias"), **o)
    fn3 = lambda **o: lambda x, p: F.conv3d(x, p["conv.weight"], p.get("conv.bias"), **o)
    case("one axis", "conv(3, 2)", {"x": rand(2, 2, 5)}, fn1(), wb(3, 2, 2))
    case("one axis, stride, pad, dilation", "conv(2, 3, stride = 2, pad = 2, dilation = 2)", {"x": rand(1, 3, 7)},
         fn1(stride=2, padding=2, dilation=2), wb(2, 3, 3))
    case("one axis, depthwise, same", 'conv(3, 4, pad = "same", groups = 3)', {"x": rand(2, 3, 5)},
         lambda x, p: F.conv1d(F.pad(x, (1, 2)), p["conv.weight"], p["conv.bias"], groups=3), wb(3, 1, 4))
    case("one axis, causal", 'conv(2, 3, pad = "causal", dilation = 2)', {"x": rand(1, 2, 6)},
         lambda x, p: F.conv1d(F.pad(x, (4, 0)), p["conv.weight"], p["conv.bias"], dilation=2), wb(2, 2, 3))
    case("one axis, without bias", "conv(2, 1, bias = false)", {"x": rand(2, 3, 2)}, fn1(), {"conv.weight": rand(2, 3, 1)})
    case("three axes", "conv(2, 2)", {"x": rand(1, 2, 3, 2, 3)}, fn3(), wb(2, 2, 2, 2, 2))
    case("three axes, one setting an axis", "conv(2, [1, 2, 3], stride = [1, 2, 1], pad = [0, 1, 1], groups = 2)", {"x": rand(1, 2, 2, 3, 3)},
         fn3(stride=(1, 2, 1), padding=(0, 1, 1), groups=2), wb(2, 1, 1, 2, 3))
    case("three axes, dilation", "conv(1, 2, dilation = 2, bias = false)", {"x": rand(1, 1, 3, 4, 3)}, fn3(dilation=2),
         {"conv.weight": rand(1, 1, 2, 2, 2)})


def transposed():
    begin("conv_transpose")
    wb = lambda c, o, *k: {"conv_transpose.weight": rand(c, o, *k), "conv_transpose.bias": rand(o)}
    def fn(f=F.conv_transpose2d, **o):
        return lambda x, p: f(x, p["conv_transpose.weight"], p.get("conv_transpose.bias"), **o)
    case("plain", "conv_transpose(3, 2)", {"x": rand(2, 2, 3, 4)}, fn(), wb(2, 3, 2, 2))
    case("pinned, stride 2", "conv_transpose(2 -> 1, 2, stride = 2)", {"x": rand(1, 2, 2, 3)}, fn(stride=2), wb(2, 1, 2, 2))
    case("overlapping windows", "conv_transpose(2, 3, stride = 2)", {"x": rand(1, 1, 3, 2)}, fn(stride=2), wb(1, 2, 3, 3))
    case("pad and output_pad", "conv_transpose(2, 3, stride = 2, pad = 1, output_pad = 1)", {"x": rand(1, 2, 3, 2)},
         fn(stride=2, padding=1, output_padding=1), wb(2, 2, 3, 3))
    case("one setting an axis", "conv_transpose(1, [3, 2], stride = [2, 3], pad = [1, 0], output_pad = [0, 2], dilation = [1, 2])",
         {"x": rand(1, 2, 3, 2)}, fn(stride=(2, 3), padding=(1, 0), output_padding=(0, 2), dilation=(1, 2)), wb(2, 1, 3, 2))
    case("output_pad beyond the stride, under the dilation", "conv_transpose(1, 2, dilation = 3, output_pad = 2)",
         {"x": rand(1, 1, 3, 4)}, fn(dilation=3, output_padding=2), wb(1, 1, 2, 2))
    case("dilation", "conv_transpose(2, 2, dilation = 2)", {"x": rand(1, 2, 3, 2)}, fn(dilation=2), wb(2, 2, 2, 2))
    w = {"conv_transpose.weight": rand(4, 3, 2, 2), "conv_transpose.bias": rand(6)}
    case("groups", "conv_transpose(6, 2, groups = 2)", {"x": rand(2, 4, 2, 2)}, fn(groups=2), w)
    w = {"conv_transpose.weight": rand(3, 1, 2, 2)}
    case("depthwise, without bias", "conv_transpose(3, 2, stride = 2, groups = 3, bias = false)", {"x": rand(1, 3, 2, 3)},
         fn(stride=2, groups=3), w)
    case("stride larger than the kernel", "conv_transpose(1, 1, stride = 3)", {"x": rand(1, 2, 2, 3)}, fn(stride=3), wb(2, 1, 1, 1))
    case("one axis", "conv_transpose(2, 4, stride = 2, pad = 1)", {"x": rand(2, 3, 4)},
         fn(F.conv_transpose1d, stride=2, padding=1), wb(3, 2, 4))
    case("three axes", "conv_transpose(1, 2, stride = [1, 2, 2])", {"x": rand(1, 2, 2, 2, 2)},
         fn(F.conv_transpose3d, stride=(1, 2, 2)), wb(2, 1, 2, 2, 2))
    case("one element", "conv_transpose(1, 1)", {"x": rand(1, 1, 1, 1)}, fn(), wb(1, 1, 1, 1))
    case("empty batch", "conv_transpose(2, 2)", {"x": rand(0, 2, 2, 2)}, fn(), wb(2, 2, 2, 2))


def poolings():
    def both(x, call, pool, **options):
        return f"(y, indices) = x |> {call}\nreturn (y, indices)", {"x": x}, lambda x: pool(x, return_indices=True, **options)

    begin("maxpool")
    mp = F.max_pool2d
    case("y alone", "maxpool(2)", {"x": rand(2, 2, 4, 4)}, lambda x: mp(x, 2))
    case("with indices", *both(rand(1, 2, 4, 6), "maxpool(2)", mp, kernel_size=2))
    case("a rest is dropped", *both(rand(1, 2, 5, 7), "maxpool([2, 3])", mp, kernel_size=(2, 3)))
    case("stride 1: overlapping windows", *both(rand(1, 1, 4, 4), "maxpool(3, stride = 1)", mp, kernel_size=3, stride=1))
    case("pad, stride", *both(rand(1, 2, 5, 4), "maxpool(3, stride = 2, pad = 1)", mp, kernel_size=3, stride=2, padding=1))
    case("pad never wins: all negative", *both(f32(-rand(1, 1, 3, 3).abs() - 5), "maxpool(2, stride = 1, pad = 1)", mp, kernel_size=2, stride=1, padding=1))
    case("dilation", *both(rand(1, 1, 5, 5), "maxpool(2, stride = 1, dilation = 2)", mp, kernel_size=2, stride=1, dilation=2))
    case("ceil", *both(rand(1, 2, 5, 4), "maxpool(2, ceil_mode = true)", mp, kernel_size=2, ceil_mode=True))
    case("ceil: no window starts in the right pad", *both(rand(1, 1, 4, 5), "maxpool(3, stride = 3, pad = 1, ceil_mode = true)", mp,
                                                          kernel_size=3, stride=3, padding=1, ceil_mode=True))
    case("one setting an axis", *both(rand(1, 1, 6, 5), "maxpool([3, 2], stride = [1, 2], pad = [1, 0], dilation = [1, 2])", mp,
                                      kernel_size=(3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2)))
    case("ties go to the first", *both(f32([[[[1, 1, 2, 0], [1, 1, 2, 2], [0, 3, 4, 4], [3, 3, 4, 4]]]]), "maxpool(2)", mp, kernel_size=2))
    case("ties under overlapping windows", *both(torch.zeros(1, 1, 3, 3), "maxpool(2, stride = 1)", mp, kernel_size=2, stride=1))
    case("0 to 15", *both(torch.arange(16.0).reshape(1, 1, 4, 4), "maxpool(2)", mp, kernel_size=2))
    body, inputs, fn = both(f32([[[[1, math.nan, 2, 3], [4, 5, -math.inf, 6]]]]), "maxpool(2)", mp, kernel_size=2)
    case("not-a-number wins", body, inputs, fn, grad=False)
    case("one element", *both(rand(1, 1, 1, 1), "maxpool(1)", mp, kernel_size=1))
    case("empty batch", "maxpool(2)", {"x": rand(0, 2, 4, 4)}, lambda x: mp(x, 2))

    begin("avgpool")
    ap = F.avg_pool2d
    pool = lambda **o: lambda x: ap(x, **o)
    case("plain", "avgpool(2)", {"x": rand(2, 2, 4, 4)}, pool(kernel_size=2))
    case("a rest is dropped", "avgpool([2, 3])", {"x": rand(1, 2, 5, 7)}, pool(kernel_size=(2, 3)))
    case("stride 1", "avgpool(3, stride = 1)", {"x": rand(1, 1, 4, 5)}, pool(kernel_size=3, stride=1))
    case("pad counts", "avgpool(3, stride = 2, pad = 1)", {"x": rand(1, 2, 5, 4)}, pool(kernel_size=3, stride=2, padding=1))
    case("pad does not count", "avgpool(3, stride = 2, pad = 1, count_include_pad = false)", {"x": rand(1, 2, 5, 4)},
         pool(kernel_size=3, stride=2, padding=1, count_include_pad=False))
    case("ceil", "avgpool(2, ceil_mode = true)", {"x": rand(1, 1, 5, 3)}, pool(kernel_size=2, ceil_mode=True))
    case("ceil and pad, counted", "avgpool(3, stride = 2, pad = 1, ceil_mode = true)", {"x": rand(1, 1, 4, 6)},
         pool(kernel_size=3, stride=2, padding=1, ceil_mode=True))
    case("ceil and pad, not counted", "avgpool(3, stride = 2, pad = 1, ceil_mode = true, count_include_pad = false)", {"x": rand(1, 1, 4, 6)},
         pool(kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False))
    case("ceil: no window starts in the right pad", "avgpool(3, stride = 3, pad = 1, ceil_mode = true)", {"x": rand(1, 1, 4, 5)},
         pool(kernel_size=3, stride=3, padding=1, ceil_mode=True))
    case("another divisor", "avgpool(2, divisor_override = 3)", {"x": rand(1, 1, 4, 4)}, pool(kernel_size=2, divisor_override=3))
    case("another divisor, with pad", "avgpool(2, pad = 1, divisor_override = 5)", {"x": rand(1, 1, 3, 4)},
         pool(kernel_size=2, padding=1, divisor_override=5))
    case("one setting an axis", "avgpool([3, 2], stride = [1, 2], pad = [1, 0])", {"x": rand(1, 1, 4, 5)},
         pool(kernel_size=(3, 2), stride=(1, 2), padding=(1, 0)))
    case("one element", "avgpool(1)", {"x": rand(1, 1, 1, 1)}, pool(kernel_size=1))
    case("empty batch", "avgpool(2)", {"x": rand(0, 2, 4, 4)}, pool(kernel_size=2))

    begin("avgpool_global")
    case("two axes", "avgpool_global", {"x": rand(2, 3, 4, 3)}, lambda x: x.mean((2, 3)))
    case("two axes, kept", "avgpool_global(keep = true)", {"x": rand(2, 3, 2, 3)}, lambda x: x.mean((2, 3), keepdim=True))
    case("one axis", "avgpool_global", {"x": rand(2, 3, 5)}, lambda x: x.mean(2))
    case("three axes, kept", "avgpool_global(true)", {"x": rand(1, 2, 2, 3, 2)}, lambda x: x.mean((2, 3, 4), keepdim=True))
    case("one position", "avgpool_global", {"x": rand(2, 3, 1, 1)}, lambda x: x.mean((2, 3)))
    case("empty batch", "avgpool_global", {"x": rand(0, 3, 2, 2)}, lambda x: x.mean((2, 3)))

    begin("pool_1d_3d")
    case("maxpool, one axis", *both(rand(2, 2, 7), "maxpool(3, stride = 2, pad = 1)", F.max_pool1d, kernel_size=3, stride=2, padding=1))
    case("maxpool, one axis, ceil, dilation", *both(rand(1, 2, 8), "maxpool(2, dilation = 2, ceil_mode = true)", F.max_pool1d,
                                                    kernel_size=2, dilation=2, ceil_mode=True))
    case("maxpool, three axes", *both(rand(1, 2, 4, 2, 4), "maxpool(2)", F.max_pool3d, kernel_size=2))
    case("maxpool, three axes, one setting an axis", *both(rand(1, 1, 3, 4, 3), "maxpool([1, 2, 3], stride = [1, 2, 1], pad = [0, 1, 1])",
                                                           F.max_pool3d, kernel_size=(1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1)))
    case("avgpool, one axis", "avgpool(3, stride = 2, pad = 1, count_include_pad = false)", {"x": rand(2, 2, 7)},
         lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False))
    case("avgpool, one axis, ceil", "avgpool(2, ceil_mode = true)", {"x": rand(2, 2, 5)}, lambda x: F.avg_pool1d(x, 2, ceil_mode=True))
    case("avgpool, three axes", "avgpool(2, stride = 1, pad = 1)", {"x": rand(1, 1, 2, 3, 2)}, lambda x: F.avg_pool3d(x, 2, 1, 1))
    case("avgpool, three axes, another divisor", "avgpool([1, 2, 2], divisor_override = 7)", {"x": rand(1, 2, 2, 4, 2)},
         lambda x: F.avg_pool3d(x, (1, 2, 2), divisor_override=7))


# ---------------------------------------------------------------------------------------------- attention


def attentions():
    begin("rope")
    case("half", "rope", {"x": rand(2, 5, 4)}, rope)
    case("interleaved", 'rope(pairing = "interleaved")', {"x": rand(2, 5, 4)}, lambda x: rope(x, pairing="interleaved"))
    case("heads", "rope", {"x": rand(2, 2, 3, 6)}, rope)
    case("offset", "rope(offset = 7)", {"x": rand(3, 4)}, lambda x: rope(x, offset=7))
    case("another base", "rope(base = 100)", {"x": rand(5, 6)}, lambda x: rope(x, base=100.0))
    case("the first dims only, half", "rope(dims = 4)", {"x": rand(2, 3, 7)}, lambda x: rope(x, dims=4))
    case("the first dims only, interleaved", 'rope(pairing = "interleaved", dims = 4, offset = 2, base = 50)', {"x": rand(2, 3, 6)},
         lambda x: rope(x, 50.0, "interleaved", 4, 2))
    case("one position, one pair", "rope", {"x": rand(1, 2)}, rope)
    case("empty batch", "rope", {"x": rand(0, 3, 4)}, rope)

    begin("sdpa")
    qkv = lambda b=1, h=2, n=3, m=4, e=3, f=None, hk=None: {
        "q": rand(b, h, n, e), "k": rand(b, hk or h, m, e), "v": rand(b, hk or h, m, f or e)}
    extra = lambda key, **o: lambda q, k, v, z: sdpa(q, k, v, **{key: z}, **o)
    case("plain", "(q, k, v) |> sdpa", qkv(b=2), sdpa)
    case("causal", "(q, k, v) |> sdpa(causal = true)", qkv(n=4, m=4), lambda *o: sdpa(*o, causal=True))
    case("causal, more keys than queries", "(q, k, v) |> sdpa(causal = true)", qkv(n=2, m=4), lambda *o: sdpa(*o, causal=True))
    case("causal, more queries than keys", "(q, k, v) |> sdpa(causal = true)", qkv(n=4, m=2), lambda *o: sdpa(*o, causal=True))
    case("values of another width", "(q, k, v) |> sdpa", qkv(f=5), sdpa)
    case("another scale", "(q, k, v) |> sdpa(scale = 0.3)", qkv(), lambda *o: sdpa(*o, scale=0.3))
    case("grouped keys", "(q, k, v) |> sdpa", qkv(h=4, hk=2), sdpa)
    case("one key head for all", "(q, k, v) |> sdpa(causal = true)", qkv(h=3, hk=1, n=3, m=3), lambda *o: sdpa(*o, causal=True))
    case("dropout rests in eval", "(q, k, v) |> sdpa(dropout = 0.5)", qkv(), sdpa)
    big = {key: value * 64 for key, value in qkv(e=4).items()}
    case("large scores", "(q, k, v) |> sdpa", big, sdpa)
    case("one of everything", "(q, k, v) |> sdpa", qkv(1, 1, 1, 1, 1), sdpa)
    case("empty batch", "(q, k, v) |> sdpa", qkv(b=0), sdpa)

    begin("sdpa_masks")
    m34 = yes([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]])
    case("mask [q, k]", "(q, k, v, mask = mask) |> sdpa", qkv(b=2) | {"mask": m34}, extra("mask"))
    case("mask [h, q, k]", "(q, k, v, mask = mask) |> sdpa", qkv() | {"mask": torch.stack([m34, m34.flip(1)])}, extra("mask"))
    four = torch.stack([torch.stack([m34, m34.flip(1)]), torch.stack([m34.flip(0), m34 | m34.flip(1)])])
    case("mask [B, h, q, k]", "(q, k, v, mask = mask) |> sdpa", qkv(b=2) | {"mask": four}, extra("mask"))
    case("mask and causal", "(q, k, v, mask = mask) |> sdpa(causal = true)", qkv() | {"mask": m34}, extra("mask", causal=True))
    blind = yes([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 0, 1]])
    case("a row that may look at nothing gives 0", "(q, k, v, mask = mask) |> sdpa", qkv() | {"mask": blind}, extra("mask"))
    case("bias [q, k]", "(q, k, v, bias = b) |> sdpa", qkv(b=2) | {"b": rand(3, 4)}, extra("bias"))
    case("bias [B, h, q, k]", "(q, k, v, bias = b) |> sdpa", qkv(b=2) | {"b": rand(2, 2, 3, 4)}, extra("bias"))
    case("mask and bias", "(q, k, v, mask = mask, bias = b) |> sdpa", qkv() | {"mask": m34, "b": rand(2, 3, 4)},
         lambda q, k, v, m, b: sdpa(q, k, v, mask=m, bias=b))

    begin("sdpa_more")
    case("softcap", "(q, k, v) |> sdpa(softcap = 0.75)", qkv(), lambda *o: sdpa(*o, softcap=0.75))
    case("softcap, causal", "(q, k, v) |> sdpa(causal = true, softcap = 2)", qkv(n=4), lambda *o: sdpa(*o, softcap=2.0, causal=True))
    case("alibi", "(q, k, v) |> sdpa(alibi = true)", qkv(n=4, h=4, e=2), lambda *o: sdpa(*o, alibi=True))
    case("alibi, causal", "(q, k, v) |> sdpa(causal = true, alibi = true)", qkv(n=4), lambda *o: sdpa(*o, alibi=True, causal=True))

    def joined(d, bias=True):
        p = {"attention.in_proj_weight": rand(3 * d, d, scale=0.5)}
        if bias:
            p["attention.in_proj_bias"] = rand(3 * d)
        return p | out(d, d, bias)

    def apart(d, q, kv, dk=None, dv=None, bias=True):
        p = {f"attention.{which}_proj_weight": rand(rows, columns, scale=0.5)
             for which, rows, columns in (("q", q, d), ("k", kv, dk or d), ("v", kv, dv or dk or d))}
        if bias:
            p["attention.in_proj_bias"] = rand(q + 2 * kv)
        return p | out(d, q, bias)

    def out(d, inner, bias=True):
        p = {"attention.out_proj.weight": rand(d, inner, scale=0.5)}
        return p | ({"attention.out_proj.bias": rand(d)} if bias else {})

    self_ = lambda heads, **o: lambda x, p: attention(x, p, heads, **o)[0]
    masked = lambda heads, **o: lambda x, m, p: attention(x, p, heads, mask=m, **o)[0]
    cross = lambda heads, **o: lambda x, m, p: attention(x, p, heads, memory=m, **o)[0]

    begin("attention")
    case("two heads", "attention(2)", {"x": rand(2, 3, 4)}, self_(2), joined(4))
    case("one head", "attention(1)", {"x": rand(1, 3, 3)}, self_(1), joined(3))
    case("y and the weights of every head", "(y, weights) = x |> attention(2)\nreturn (y, weights)", {"x": rand(1, 3, 4)},
         lambda x, p: attention(x, p, 2), joined(4))
    case("causal", "attention(2, causal = true)", {"x": rand(1, 4, 4)}, self_(2, causal=True), joined(4))
    case("without bias", "attention(2, bias = false)", {"x": rand(1, 3, 4)}, self_(2), joined(4, bias=False))
    case("without bias but for the output's", "attention(2, bias = false, out_bias = true)", {"x": rand(1, 3, 4)}, self_(2),
         joined(4, bias=False) | {"attention.out_proj.bias": rand(4)})
    case("another scale", "attention(2, scale = 0.3)", {"x": rand(1, 3, 4)}, self_(2, scale=0.3), joined(4))
    case("dropout rests in eval", "attention(2, dropout = 0.5)", {"x": rand(1, 3, 4)}, self_(2), joined(4))
    case("one position", "attention(2, causal = true)", {"x": rand(2, 1, 4)}, self_(2, causal=True), joined(4))
    case("empty batch", "attention(2)", {"x": rand(0, 3, 4)}, self_(2), joined(4))

    begin("attention_heads")
    case("grouped queries", "attention(4, kv_heads = 2, causal = true)", {"x": rand(1, 3, 8)}, self_(4, kv_heads=2, causal=True), apart(8, 8, 4))
    case("one key head, without bias", "attention(2, kv_heads = 1, bias = false)", {"x": rand(2, 3, 4)}, self_(2, kv_heads=1),
         apart(4, 4, 2, bias=False))
    case("another head size", "attention(2, head_dim = 3)", {"x": rand(1, 3, 4)}, self_(2, head_dim=3), apart(4, 6, 6))
    case("rope", "attention(1, rope = rope)", {"x": rand(2, 4, 4)}, self_(1, turn=rope), joined(4))
    case("rope with another base, causal, grouped", "attention(2, kv_heads = 1, head_dim = 4, causal = true, rope = rope(base = 100))",
         {"x": rand(1, 3, 4)}, self_(2, kv_heads=1, head_dim=4, causal=True, turn=lambda t: rope(t, 100.0)), apart(4, 8, 4))

    begin("attention_masks")
    case("mask [B, k]: padding", "(x, mask = mask) |> attention(2)", {"x": rand(2, 4, 4), "mask": yes([[1, 1, 1, 0], [1, 0, 1, 0]])},
         masked(2), joined(4))
    case("mask [B, q, k]", "(x, mask = mask) |> attention(2)",
         {"x": rand(2, 3, 4), "mask": yes([[[1, 0, 0], [1, 1, 0], [0, 1, 1]], [[0, 1, 1], [1, 1, 1], [1, 0, 0]]])}, masked(2), joined(4))
    case("mask [B, h, q, k]", "(x, mask = mask) |> attention(2)",
         {"x": rand(1, 2, 4), "mask": yes([[[[1, 0], [1, 1]], [[1, 1], [0, 1]]]])}, masked(2), joined(4))
    case("a sample whose keys are all padding: the output's bias", "(x, mask = mask) |> attention(2)",
         {"x": rand(2, 2, 4), "mask": yes([[0, 0], [1, 1]])}, masked(2), joined(4))
    case("mask and causal", "(x, mask = mask) |> attention(2, causal = true)", {"x": rand(1, 4, 4), "mask": yes([[1, 1, 0, 1]])},
         masked(2, causal=True), joined(4))
    case("bias on the scores", "(x, bias = b) |> attention(2)", {"x": rand(1, 3, 4), "b": rand(2, 3, 3)},
         lambda x, b, p: attention(x, p, 2, bias=b)[0], joined(4))

    begin("attention_memory")
    case("memory", "(x, memory) |> attention(2)", {"x": rand(2, 2, 4), "memory": rand(2, 3, 4)}, cross(2), joined(4))
    case("memory with a mask", "(x, memory, mask = mask) |> attention(2)",
         {"x": rand(2, 2, 4), "memory": rand(2, 3, 4), "mask": yes([[1, 1, 0], [0, 1, 1]])},
         lambda x, m, k, p: attention(x, p, 2, memory=m, mask=k)[0], joined(4))
    case("memory of another width", "(x, memory) |> attention(2)", {"x": rand(1, 2, 4), "memory": rand(1, 3, 5)}, cross(2), apart(4, 4, 4, 5))

    begin("attention_more")
    case("memory and values of their own widths", "(x, memory, value) |> attention(2)",
         {"x": rand(1, 2, 4), "memory": rand(1, 3, 5), "value": rand(1, 3, 2)},
         lambda x, m, v, p: attention(x, p, 2, memory=m, value=v)[0], apart(4, 4, 4, 5, 2))
    p = apart(4, 4, 4, bias=False) | {"attention.q_proj_bias": rand(4), "attention.v_proj_bias": rand(4), "attention.out_proj.bias": rand(4)}
    case("bias for q and v only", "attention(2, bias = [true, false, true], out_bias = true)", {"x": rand(1, 3, 4)}, self_(2), p)
    p = joined(4) | {"attention.bias_k": rand(1, 1, 4), "attention.bias_v": rand(1, 1, 4)}
    case("a learned key and value more", "attention(2, add_bias_kv = true)", {"x": rand(2, 3, 4)}, self_(2, add_bias_kv=True), p)
    case("a zero key and value more", "attention(2, add_zero_attn = true)", {"x": rand(2, 3, 4)}, self_(2, add_zero_attn=True), joined(4))
    case("softcap", "attention(2, softcap = 0.5)", {"x": rand(1, 3, 4)}, self_(2, softcap=0.5), joined(4))
    case("alibi", "attention(2, causal = true, alibi = true)", {"x": rand(1, 4, 4)}, self_(2, causal=True, alibi=True), joined(4))


def binary_losses():
    begin("bce_with_logits")
    plain, bce = "(logits, target) |> bce_with_logits", F.binary_cross_entropy_with_logits
    share = lambda *shape: f32(RNG.integers(0, 9, shape) / 8)
    two = lambda *shape: {"logits": rand(*shape, scale=2), "target": share(*shape)}
    case("mean", plain, two(3, 4), bce)
    case("sum", f'{plain}(reduction = "sum")', two(3, 4), lambda z, t: bce(z, t, reduction="sum"))
    case("none", f'{plain}(reduction = "none")', two(2, 3), lambda z, t: bce(z, t, reduction="none"))
    case("weights", "(logits, target, weight = w) |> bce_with_logits", two(2, 3) | {"w": positive(2, 3)},
         lambda z, t, w: bce(z, t, weight=w), frozen=("w",))
    case("a weight a column", "(logits, target, weight = w) |> bce_with_logits", two(2, 3) | {"w": positive(3)},
         lambda z, t, w: bce(z, t, weight=w), frozen=("w",))
    case("the yes count more", "(logits, target, pos_weight = p) |> bce_with_logits", two(2, 3) | {"p": positive(3)},
         lambda z, t, p: bce(z, t, pos_weight=p), frozen=("p",))
    case("both weights, sum", '(logits, target, weight = w, pos_weight = p) |> bce_with_logits(reduction = "sum")',
         two(2, 3) | {"w": positive(2, 3), "p": positive(3)}, lambda z, t, w, p: bce(z, t, w, pos_weight=p, reduction="sum"),
         frozen=("w", "p"))
    case("extreme logits", plain, {"logits": f32([1e4, -1e4, 1e4, -1e4, 0.0, -0.0]), "target": f32([1, 1, 0, 0, 1, 0.5])}, bce)
    case("scalar", plain, {"logits": f32(0.75), "target": f32(1.0)}, bce)
    case("empty, sum", f'{plain}(reduction = "sum")', two(0, 3), lambda z, t: bce(z, t, reduction="sum"))


# ---------------------------------------------------------------------------------------------- shape


def shapes():
    begin("concat")
    cat = lambda axis: lambda *v: torch.cat(v, axis)
    case("axis 1", "(a, b) |> concat(axis = 1)", {"a": rand(2, 3), "b": rand(2, 4)}, cat(1))
    case("axis 0", "(a, b) |> concat(0)", {"a": rand(1, 3), "b": rand(2, 3)}, cat(0))
    case("three, axis -1", "(a, b, c) |> concat(axis = -1)", {"a": rand(2, 1, 3), "b": rand(2, 1, 1), "c": rand(2, 1, 2)}, cat(-1))
    case("middle axis of 3", "(a, b) |> concat(axis = 1)", {"a": rand(2, 1, 3), "b": rand(2, 2, 3)}, cat(1))
    case("a value with itself", "(x, x) |> concat(axis = 0)", {"x": rand(2, 2)}, lambda x: torch.cat([x, x]))
    case("one part is empty", "(a, b) |> concat(axis = 0)", {"a": rand(0, 3), "b": rand(2, 3)}, cat(0))
    case("integers", "(a, b) |> concat(axis = 0)", {"a": ids(9, 2), "b": ids(9, 3)}, cat(0), grad=False)

    def moves(op, rows):
        begin(op)
        for name, body, shape, fn in rows:
            case(name, body, {"x": rand(*shape)}, fn)

    moves("flatten", [
        ("default: all but the first", "flatten", (2, 3, 4), lambda x: x.flatten(1)),
        ("from 0", "flatten(from = 0)", (2, 3, 2), lambda x: x.flatten(0)),
        ("from, to", "flatten(1, 2)", (2, 3, 2, 2), lambda x: x.flatten(1, 2)),
        ("to from the end", "flatten(from = 0, to = -2)", (2, 3, 2), lambda x: x.flatten(0, -2)),
        ("scalar", "flatten(from = 0)", (), lambda x: x.flatten()),
        ("nothing to do", "flatten", (2, 3), lambda x: x.flatten(1)),
        ("of a permuted value", "permute(0, 2, 1); flatten", (2, 3, 4), lambda x: x.permute(0, 2, 1).flatten(1)),
        ("empty batch", "flatten", (0, 3, 2), lambda x: x.flatten(1)),
    ])
    moves("reshape", [
        ("list", "reshape([3, 4])", (2, 6), lambda x: x.reshape(3, 4)),
        ("without brackets", "reshape(2, 2, 3)", (4, 3), lambda x: x.reshape(2, 2, 3)),
        ("one inferred", "reshape(2, -1)", (4, 3), lambda x: x.reshape(2, -1)),
        ("to one axis", "reshape(-1)", (2, 3, 2), lambda x: x.reshape(-1)),
        ("one element to a scalar", "reshape([])", (1, 1), lambda x: x.reshape(())),
        ("scalar to rank 3", "reshape(1, 1, 1)", (), lambda x: x.reshape(1, 1, 1)),
        ("of a transposed value: copies", "transpose; reshape(3, 4)", (3, 4), lambda x: x.T.reshape(3, 4)),
        ("empty", "reshape(0, 6)", (0, 2, 3), lambda x: x.reshape(0, 6)),
    ])
    moves("permute", [
        ("without brackets", "permute(0, 2, 1)", (2, 3, 4), lambda x: x.permute(0, 2, 1)),
        ("list", "permute([2, 0, 1])", (2, 3, 4), lambda x: x.permute(2, 0, 1)),
        ("negative axes", "permute(-1, 0, -2)", (2, 3, 4), lambda x: x.permute(-1, 0, -2)),
        ("four axes", "permute(0, 3, 1, 2)", (1, 2, 3, 2), lambda x: x.permute(0, 3, 1, 2)),
        ("identity", "permute(0, 1)", (2, 3), lambda x: x.permute(0, 1)),
        ("twice", "permute(1, 2, 0); permute(1, 2, 0)", (2, 3, 2), lambda x: x.permute(1, 2, 0).permute(1, 2, 0)),
        ("then a sum over the first axis", "permute(1, 0); sum(0)", (2, 3), lambda x: x.permute(1, 0).sum(0)),
        ("empty", "permute(1, 0)", (0, 3), lambda x: x.permute(1, 0)),
    ])
    moves("transpose", [
        ("default: the last two", "transpose", (2, 3, 4), lambda x: x.transpose(-2, -1)),
        ("two axes", "transpose(0, 2)", (2, 3, 4), lambda x: x.transpose(0, 2)),
        ("by name", "transpose(a = 0, b = -1)", (2, 3, 2, 3), lambda x: x.transpose(0, -1)),
        ("an axis with itself", "transpose(1, 1)", (2, 3), lambda x: x),
        ("then softmax", "transpose; softmax", (2, 3), lambda x: x.T.softmax(-1)),
        ("empty", "transpose", (0, 3), lambda x: x.T),
    ])
    moves("squeeze", [
        ("one axis", "squeeze(1)", (2, 1, 3), lambda x: x.squeeze(1)),
        ("from the end", "squeeze(-1)", (2, 3, 1), lambda x: x.squeeze(-1)),
        ("several", "squeeze(axis = [0, 2])", (1, 3, 1), lambda x: x.squeeze((0, 2))),
        ("without brackets", "squeeze(0, -1)", (1, 2, 1, 1), lambda x: x.squeeze((0, -1))),
        ("to a scalar", "squeeze(0)", (1,), lambda x: x.squeeze(0)),
        ("empty", "squeeze(1)", (0, 1), lambda x: x.squeeze(1)),
    ])
    moves("unsqueeze", [
        ("in front", "unsqueeze(0)", (2, 3), lambda x: x.unsqueeze(0)),
        ("in the middle", "unsqueeze(axis = 1)", (2, 3), lambda x: x.unsqueeze(1)),
        ("at the end", "unsqueeze(-1)", (2, 3), lambda x: x.unsqueeze(-1)),
        ("before the last", "unsqueeze(-2)", (2, 3), lambda x: x.unsqueeze(-2)),
        ("scalar", "unsqueeze(0)", (), lambda x: x.unsqueeze(0)),
        ("empty", "unsqueeze(1)", (0, 3), lambda x: x.unsqueeze(1)),
    ])
    moves("expand", [
        ("from 1", "expand([4, -1])", (1, 3), lambda x: x.expand(4, -1)),
        ("without brackets, new leading axis", "expand(2, 3, 2)", (3, 2), lambda x: x.expand(2, 3, 2)),
        ("new leading axis, the rest kept", "expand(2, -1, -1)", (3, 2), lambda x: x.expand(2, -1, -1)),
        ("axes behind", "expand([..., 2, 3])", (2, 2), lambda x: x[..., None, None].expand(2, 2, 2, 3)),
        ("a middle axis", "expand([2, 5, 3])", (2, 1, 3), lambda x: x.expand(2, 5, 3)),
        ("scalar", "expand([2, 3])", (), lambda x: x.expand(2, 3)),
        ("then used: the gradient sums", "expand([3, 4]); square", (1, 4), lambda x: x.expand(3, 4).square()),
        ("axes behind, empty batch", "expand([..., 2])", (0, 3), lambda x: x[..., None].expand(0, 3, 2)),
    ])
    for op, body, fn in [("flatten", "flatten", lambda x: x.flatten(1)), ("reshape", "reshape(-1)", lambda x: x.reshape(-1)),
                         ("permute", "permute(1, 0)", lambda x: x.T), ("transpose", "transpose", lambda x: x.T),
                         ("expand", "expand([2, -1, -1])", lambda x: x.expand(2, -1, -1))]:
        begin(op)
        case("integers", body, {"x": i64([[1, 2, 3], [4, 5, 6]])}, fn, grad=False)


# ---------------------------------------------------------------------------------------------- losses


def losses():
    begin("cross_entropy")
    ce = lambda **o: lambda x, t, *w: cross_entropy(x, t, **o, **({"weight": w[0]} if w else {}))
    call = "(x, target) |> cross_entropy"
    weights = [0.5, 1.0, 2.0, 0.25]
    w = f32(weights)
    logits = lambda *s: rand(*s, scale=2)

    case("rows", call, {"x": logits(3, 5), "target": i64([4, 0, 2])}, ce())
    case("classes last, two leading axes", call, {"x": logits(2, 3, 4), "target": ids(4, 2, 3)}, ce())
    case("rank 1", call, {"x": logits(5), "target": i64(3)}, ce())
    for how in ("none", "sum", "mean"):
        case(f"reduction {how}", f'{call}(reduction = "{how}")', {"x": logits(3, 4), "target": ids(4, 3)}, ce(reduction=how))
    case("classes on axis 1", f"{call}(axis = 1)", {"x": logits(2, 4, 3), "target": ids(4, 2, 3)}, ce(axis=1))
    case("classes on axis 1, none", f'{call}(axis = 1, reduction = "none")', {"x": logits(2, 3, 2, 2), "target": ids(3, 2, 2, 2)},
         ce(axis=1, reduction="none"))
    some = i64([1, -100, 3, -100, 0])
    case("ignored by default: -100", call, {"x": logits(5, 4), "target": some}, ce())
    case("ignore index", f"{call}(ignore_index = 2)", {"x": logits(4, 4), "target": i64([2, 1, 2, 3])}, ce(ignore_index=2))
    case("ignore index, none: 0", f'{call}(ignore_index = 0, reduction = "none")', {"x": logits(3, 4), "target": i64([0, 1, 0])},
         ce(ignore_index=0, reduction="none"))
    case("all ignored, sum: 0", f'{call}(reduction = "sum")', {"x": logits(2, 3), "target": i64([-100, -100])}, ce(reduction="sum"))
    case("label smoothing", f"{call}(label_smoothing = 0.1)", {"x": logits(3, 4), "target": ids(4, 3)}, ce(label_smoothing=0.1))
    case("label smoothing 1, ignored rows", f"{call}(label_smoothing = 1)", {"x": logits(5, 4), "target": some}, ce(label_smoothing=1.0))
    case("label smoothing, none, axis 1", f'{call}(axis = 1, label_smoothing = 0.3, reduction = "none")',
         {"x": logits(2, 3, 2), "target": ids(3, 2, 2)}, ce(axis=1, label_smoothing=0.3, reduction="none"))
    for how in ("mean", "sum", "none"):
        case(f"class weights, {how}", f'{call}(weight = {weights}, reduction = "{how}")', {"x": logits(5, 4), "target": some},
             ce(weight=w, reduction=how))
    case("class weights as an operand", "(x, target, w) |> cross_entropy", {"x": logits(3, 4), "target": i64([3, 3, 0]), "w": w}, ce(),
         frozen=("w",))
    case("class weights by name, label smoothing", "(x, target, weight = w) |> cross_entropy(label_smoothing = 0.2)",
         {"x": logits(5, 4), "target": some, "w": w}, ce(label_smoothing=0.2), frozen=("w",))
    case("extreme logits", call, {"x": f32([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4]]), "target": i64([1, 1, 2])}, ce())
    case("extreme logits, none, smoothing", f'{call}(reduction = "none", label_smoothing = 0.1)',
         {"x": f32([[1e4, -1e4], [-1e4, -1e4]]), "target": i64([0, 1])}, ce(reduction="none", label_smoothing=0.1))
    case("one class", call, {"x": logits(2, 1), "target": i64([0, 0])}, ce())
    case("one row", call, {"x": logits(1, 7), "target": i64([6])}, ce())
    case("no rows, sum", f'{call}(reduction = "sum")', {"x": logits(0, 3), "target": ids(3, 0)}, ce(reduction="sum"))

    def chances(*shape, axis=-1):
        return f32(torch.softmax(rand(*shape), axis))

    case("probabilities", call, {"x": logits(3, 4), "target": chances(3, 4)}, ce())
    case("probabilities, two leading axes, none", f'{call}(reduction = "none")', {"x": logits(2, 2, 3), "target": chances(2, 2, 3)},
         ce(reduction="none"))
    case("probabilities, mean over rows", call, {"x": logits(2, 2, 3), "target": chances(2, 2, 3)}, ce())
    case("probabilities on axis 1, sum", f'{call}(axis = 1, reduction = "sum")', {"x": logits(2, 3, 2), "target": chances(2, 3, 2, axis=1)},
         ce(axis=1, reduction="sum"))
    case("probabilities, smoothing, class weights", f"{call}(weight = {weights}, label_smoothing = 0.1)",
         {"x": logits(3, 4), "target": chances(3, 4)}, ce(weight=w, label_smoothing=0.1))
    case("probabilities, rank 1", call, {"x": logits(4), "target": chances(4)}, ce())

    begin("nll")
    logp = lambda *s, axis=-1: f32(torch.log_softmax(rand(*s), axis))
    fn = lambda **o: lambda x, t, *w: nll(x, t, **o, **({"weight": w[0]} if w else {}))
    call = "(x, target) |> nll"
    case("rows", call, {"x": logp(3, 5), "target": i64([4, 0, 2])}, fn())
    case("classes last, two leading axes", call, {"x": logp(2, 3, 4), "target": ids(4, 2, 3)}, fn())
    case("rank 1", call, {"x": logp(5), "target": i64(3)}, fn())
    for how in ("none", "sum"):
        case(f"reduction {how}", f'{call}(reduction = "{how}")', {"x": logp(3, 4), "target": ids(4, 3)}, fn(reduction=how))
    case("classes on axis 1", f"{call}(axis = 1)", {"x": logp(2, 4, 3, axis=1), "target": ids(4, 2, 3)}, fn(axis=1))
    case("ignored by default: -100", call, {"x": logp(5, 4), "target": some}, fn())
    case("ignore index, none: 0", f'{call}(ignore_index = 2, reduction = "none")', {"x": logp(3, 4), "target": i64([2, 1, 2])},
         fn(ignore_index=2, reduction="none"))
    case("class weights", f"{call}(weight = {weights})", {"x": logp(5, 4), "target": some}, fn(weight=w))
    case("class weights as an operand, none", '(x, target, weight = w) |> nll(reduction = "none")',
         {"x": logp(3, 4), "target": i64([3, 3, 0]), "w": w}, fn(reduction="none"), frozen=("w",))
    case("no rows, sum", f'{call}(reduction = "sum")', {"x": rand(0, 3), "target": ids(3, 0)}, fn(reduction="sum"))

    begin("mse")
    for how in ("mean", "sum", "none"):
        case(f"reduction {how}", f'(a, b) |> mse(reduction = "{how}")', {"a": rand(2, 3), "b": rand(2, 3)},
             lambda a, b: F.mse_loss(a, b, reduction=how))
    mse = lambda a, b: F.mse_loss(a, b)
    case("default: mean", "(a, b) |> mse", {"a": rand(2, 3, 2), "b": rand(2, 3, 2)}, mse)
    case("equal values: 0", "(a, b) |> mse", {"a": f32([1.5, -2.0]), "b": f32([1.5, -2.0])}, mse)
    case("large values", "(a, b) |> mse", {"a": f32([1e4, -1e4]), "b": f32([-1e4, -1e4])}, mse)
    case("scalars", "(a, b) |> mse", {"a": rand(), "b": rand()}, mse)
    case("no rows, sum", '(a, b) |> mse(reduction = "sum")', {"a": rand(0, 3), "b": rand(0, 3)},
         lambda a, b: F.mse_loss(a, b, reduction="sum"))

    begin("accuracy")
    call = "(x, target) |> accuracy"
    x = f32([[0.1, 0.9, 0.0], [2.0, -1.0, 1.0], [0.0, 1.0, 3.0], [5.0, 4.0, 3.0]])
    case("rows", call, {"x": x, "target": i64([1, 0, 2, 2])}, accuracy, grad=False)
    case("all right", call, {"x": x, "target": i64([1, 0, 2, 0])}, accuracy, grad=False)
    case("none right", call, {"x": x, "target": i64([0, 1, 0, 1])}, accuracy, grad=False)
    case("ties go to the first", call, {"x": f32([[1, 1, 0], [0, 2, 2], [0, 0, 0]]), "target": i64([0, 2, 0])}, accuracy, grad=False)
    case("ignored by default: -100", call, {"x": x, "target": i64([1, -100, 0, -100])}, accuracy, grad=False)
    case("ignore index", f"{call}(ignore_index = 2)", {"x": x, "target": i64([1, 1, 2, 2])},
         lambda x, t: accuracy(x, t, ignore_index=2), grad=False)
    case("classes on axis 1", f"{call}(axis = 1)", {"x": rand(2, 3, 4), "target": ids(3, 2, 4)}, lambda x, t: accuracy(x, t, axis=1), grad=False)
    case("two leading axes", call, {"x": rand(2, 5, 3), "target": ids(3, 2, 5)}, accuracy, grad=False)
    case("rank 1", call, {"x": rand(4), "target": i64(1)}, accuracy, grad=False)


# ---------------------------------------------------------------------------------------------- dropout, residual


def residuals():
    begin("residual")
    lin = lambda x, p, path="linear": F.linear(x, p[f"{path}.weight"], p.get(f"{path}.bias"))
    wb = lambda i, o, path="linear": {f"{path}.weight": rand(o, i, scale=0.5), f"{path}.bias": rand(o)}
    norm = lambda d, bias=True, path="norm": {f"{path}.weight": rand(d, shift=1)} | ({f"{path}.bias": rand(d)} if bias else {})
    rms = lambda x, p, path="norm": rmsnorm(x, p[f"{path}.weight"])
    ln = lambda x, p, path="norm": layernorm(x, p[f"{path}.weight"], p[f"{path}.bias"])

    case("plain", "residual { linear(4) }", {"x": rand(3, 4)}, lambda x, p: x + lin(x, p), wb(4, 4))
    case("pre rmsnorm", "residual pre rmsnorm { linear(6) }", {"x": rand(2, 6)}, lambda x, p: x + lin(rms(x, p), p), norm(6, False) | wb(6, 6))
    case("pre layernorm, three axes", "residual pre layernorm { linear(8); gelu; linear(4) }", {"x": rand(2, 2, 4)},
         lambda x, p: x + lin(gelu(lin(ln(x, p), p)), p, "linear_2"), norm(4) | wb(4, 8) | wb(8, 4, "linear_2"))
    case("post layernorm", "residual post layernorm { linear(6) }", {"x": rand(2, 6)}, lambda x, p: ln(x + lin(x, p), p), norm(6) | wb(6, 6))
    case("post rmsnorm with an eps", "residual post rmsnorm(eps = 0.1) { linear(4); tanh }", {"x": rand(3, 4)},
         lambda x, p: rmsnorm(x + lin(x, p).tanh(), p["norm.weight"], eps=0.1), norm(4, False) | wb(4, 4))
    case("deep layernorm", "residual deep(alpha = 2.5, beta = 0.5) layernorm { linear(6) }", {"x": rand(2, 6)},
         lambda x, p: ln(2.5 * x + lin(x, p), p), norm(6) | wb(6, 6))
    case("deep rmsnorm", "residual deep(alpha = 1.25, beta = 0.75) rmsnorm { linear(4); relu; linear(4) }", {"x": rand(3, 4)},
         lambda x, p: rms(1.25 * x + lin(lin(x, p).relu(), p, "linear_2"), p), norm(4, False) | wb(4, 4) | wb(4, 4, "linear_2"))
    case("pre dyt", "residual pre dyt { linear(4); dropout(0.5) }", {"x": rand(3, 4)},
         lambda x, p: x + lin(dyt(x, p["norm.alpha"], p["norm.weight"], p["norm.bias"]), p),
         {"norm.alpha": f32([0.5])} | norm(4) | wb(4, 4))
    case("projection on the skip", "residual { linear(4); relu } skip { linear(4, bias = false) }", {"x": rand(3, 5)},
         lambda x, p: lin(x, p, "linear_2") + lin(x, p).relu(), wb(5, 4) | {"linear_2.weight": rand(4, 5)})
    case("named projection on the skip", "residual { linear(2) } skip { proj = linear(2) }", {"x": rand(3, 5)},
         lambda x, p: lin(x, p, "proj") + lin(x, p), wb(5, 2) | wb(5, 2, "proj"))
    case("two in a row", "residual pre rmsnorm { linear(4) }\nresidual pre rmsnorm { linear(4) }", {"x": rand(2, 4)},
         lambda x, p: (y := x + lin(rms(x, p), p)) + lin(rms(y, p, "norm_2"), p, "linear_2"),
         norm(4, False) | wb(4, 4) | norm(4, False, "norm_2") | wb(4, 4, "linear_2"))

    def repeated(x, p):
        for i in range(2):
            x = x + lin(rms(x, p, f"h.{i}.norm"), p, f"h.{i}.linear")
        return x

    params = {}
    for i in range(2):
        params |= norm(4, False, f"h.{i}.norm") | wb(4, 4, f"h.{i}.linear")
    case("repeated", "h = repeat 2 { residual pre rmsnorm { linear(4) } }", {"x": rand(2, 4)}, repeated, params)
    case("named", "r = residual pre rmsnorm { up = linear(8); silu; down = linear(4) }", {"x": rand(2, 4)},
         lambda x, p: x + lin(F.silu(lin(rms(x, p, "r.norm"), p, "r.up")), p, "r.down"),
         norm(4, False, "r.norm") | wb(4, 8, "r.up") | wb(8, 4, "r.down"))

    def basic(x, p, s):
        y = F.conv2d(x, p["conv.weight"], padding=1)
        s["batchnorm.num_batches_tracked"] += 1
        y = F.batch_norm(y, s["batchnorm.running_mean"], s["batchnorm.running_var"], p["batchnorm.weight"], p["batchnorm.bias"], True)
        return (x + y).relu()

    case("convolution and batchnorm, train", "residual { conv(2, 3, pad = 1, bias = false); batchnorm }\nrelu", {"x": rand(2, 2, 3, 3)}, basic,
         {"conv.weight": rand(2, 2, 3, 3, scale=0.5), "batchnorm.weight": rand(2, shift=1), "batchnorm.bias": rand(2)},
         {"batchnorm.running_mean": torch.zeros(2), "batchnorm.running_var": torch.ones(2), "batchnorm.num_batches_tracked": i64(0)}, "train")
    case("nested", "residual { linear(3); residual { linear(3); tanh } }", {"x": rand(2, 3)},
         lambda x, p: x + (y := lin(x, p)) + lin(y, p, "linear_2").tanh(), wb(3, 3) | wb(3, 3, "linear_2"))


# ---------------------------------------------------------------------------------------------- optimizers


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, arXiv:2302.06675, Algorithm 2: PyTorch has none."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(lr * (torch.sign(b1 * m + (1 - b1) * p.grad) + group["weight_decay"] * p))
                self.state[p]["m"] = b2 * m + (1 - b2) * p.grad


def optimizers():
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop,
            "adagrad": torch.optim.Adagrad, "adadelta": torch.optim.Adadelta, "nadam": torch.optim.NAdam, "radam": torch.optim.RAdam,
            "adamax": torch.optim.Adamax, "lion": Lion, "rprop": torch.optim.Rprop, "asgd": torch.optim.ASGD}
    # PyTorch's words where they differ
    torch_words = {"initial_accumulator": "initial_accumulator_value"}
    settings = {
        "sgd": [
            dict(lr=0.1), dict(lr=0.1, momentum=0.9), dict(lr=0.1, momentum=0.9, dampening=0.5),
            dict(lr=0.1, momentum=0.9, nesterov=True), dict(lr=0.1, weight_decay=0.05),
            dict(lr=0.1, momentum=0.8, weight_decay=0.05), dict(lr=0.1, momentum=0.8, weight_decay=0.05, nesterov=True),
            dict(lr=0.1, maximize=True), dict(lr=0.1, momentum=0.9, dampening=0.25, weight_decay=0.05, maximize=True),
        ],
        "adam": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, eps=0.1), dict(lr=0.01, weight_decay=0.1),
            dict(lr=0.01, amsgrad=True), dict(lr=0.01, maximize=True), dict(lr=0.01, betas=[0.8, 0.5], weight_decay=0.1, amsgrad=True),
            dict(lr=0.01, betas=[0.0, 0.9]),
        ],
        "adamw": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, eps=0.1), dict(lr=0.01, weight_decay=0.0),
            dict(lr=0.01, weight_decay=0.5), dict(lr=0.01, amsgrad=True), dict(lr=0.01, weight_decay=0.25, maximize=True),
            dict(lr=0.01, betas=[0.8, 0.5], weight_decay=0.1, amsgrad=True),
        ],
        "rmsprop": [
            dict(), dict(lr=0.1), dict(lr=0.1, alpha=0.5), dict(lr=0.1, eps=0.25), dict(lr=0.1, weight_decay=0.05),
            dict(lr=0.1, momentum=0.9), dict(lr=0.1, centered=True), dict(lr=0.05, alpha=0.75, momentum=0.5, centered=True, weight_decay=0.1),
        ],
        "adagrad": [
            dict(), dict(lr=0.1), dict(lr=0.1, lr_decay=0.25), dict(lr=0.1, weight_decay=0.05), dict(lr=0.1, initial_accumulator=0.5),
            dict(lr=0.1, lr_decay=0.125, weight_decay=0.1, initial_accumulator=2.0, eps=0.1),
        ],
        "adadelta": [
            dict(), dict(lr=0.5), dict(rho=0.5), dict(eps=0.01), dict(weight_decay=0.1), dict(lr=2.0, rho=0.75, eps=1e-3, weight_decay=0.05),
        ],
        "nadam": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, eps=0.1), dict(lr=0.01, weight_decay=0.1),
            dict(lr=0.01, momentum_decay=0.5), dict(lr=0.01, betas=[0.8, 0.5], momentum_decay=0.0, weight_decay=0.05),
        ],
        "radam": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, betas=[0.9, 0.5]), dict(lr=0.01, eps=0.1),
            dict(lr=0.01, weight_decay=0.1), dict(lr=0.01, betas=[0.8, 0.95], weight_decay=0.05),
        ],
        "adamax": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, eps=0.1), dict(lr=0.01, weight_decay=0.1),
        ],
        "lion": [
            dict(), dict(lr=0.01), dict(lr=0.01, betas=[0.5, 0.75]), dict(lr=0.01, weight_decay=0.5),
            dict(lr=0.1, betas=[0.95, 0.98], weight_decay=0.125),
        ],
        "rprop": [
            dict(), dict(lr=0.1), dict(lr=0.1, etas=[0.25, 1.5]), dict(lr=0.1, step_sizes=[0.0625, 0.125]),
            dict(lr=1.0, etas=[0.75, 2.0], step_sizes=[0.01, 3.0]),
        ],
        "asgd": [
            dict(), dict(lr=0.1), dict(lr=0.1, lambd=0.25), dict(lr=0.1, lambd=0.5, alpha=0.5), dict(lr=0.1, weight_decay=0.1),
            dict(lr=0.1, lambd=0.125, alpha=1.0, t0=2.0, weight_decay=0.05),
        ],
    }
    say = lambda v: json.dumps(v)
    for name, rows in settings.items():
        begin(f"optim_{name}")
        for index, options in enumerate(rows):
            call = f"{name}({', '.join(f'{k} = {say(v)}' for k, v in (options | ({} if name == 'rprop' else {'decay': 'all'})).items())})"
            options = {torch_words.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in options.items()}
            if name == "sgd":
                options.setdefault("lr", 1e-3)
            first = rand(5)
            # the sizes vary by a factor of 8, so that amsgrad's maximum and the second moment matter
            grads = [rand(5, scale=s) for s in (1, 4, 0.5, 1, 0.5)]
            grads[0][2] = 0.0  # a gradient that is 0 at first
            for g in grads:
                g[4] = 0.0  # and one that always is
            param = torch.nn.Parameter(first.clone())
            optimizer = make[name]([param], **options)
            after = []
            for g in grads:
                param.grad = g.clone()
                optimizer.step()
                after.append(flat(param))
            CURRENT.append({"call": call, "param": pack(first, dtype=False), "grads": [flat(g) for g in grads], "after": after})


# ---------------------------------------------------------------------------------------------- schedules


def cosine(t, b, steps, low=0.0, periodic=False):
    if t >= steps and not periodic:
        return low
    return low + (b - low) * (1 + math.cos(math.pi * t / steps)) / 2


def linear_factor(t, b, start, end, steps):
    return b * (end if t >= steps else start + (end - start) * t / steps)


def warmup(t, b, steps):
    return b * (t + 1) / steps if t < steps else b


def step(t, b, size, gamma=0.1):
    return b * gamma ** (t // size)


def constant(t, b, factor=1.0, steps=0):
    return b * factor if t < steps else b


def chain(*parts):
    """(steps, schedule), …, schedule: each starts its own clock when the one before is over."""
    def run(t, b):
        for length, part in parts[:-1]:
            if t < length:
                return part(t, b)
            t -= length
        return parts[-1](t, b)
    return run


def schedules():
    rows = {
        "constant": [
            ("constant", 1.0, constant),
            ("constant", 0.003, constant),
            ("constant(0.25, 4)", 2.0, lambda t, b: constant(t, b, 0.25, 4)),
            ("constant(factor = 0.5, steps = 3)", 0.1, lambda t, b: constant(t, b, 0.5, 3)),
            ("constant(0.5, 3) |> step(4)", 1.0, chain((3, lambda t, b: constant(t, b, 0.5, 3)), lambda t, b: step(t, b, 4))),
        ],
        "warmup": [
            ("warmup(10)", 1.0, lambda t, b: warmup(t, b, 10)),
            ("warmup(1)", 0.5, lambda t, b: warmup(t, b, 1)),
            ("warmup(4)", 3e-4, lambda t, b: warmup(t, b, 4)),
            ("warmup(3) |> cosine(5)", 1.0, chain((3, lambda t, b: warmup(t, b, 3)), lambda t, b: cosine(t, b, 5))),
            ("warmup(3) |> constant", 0.1, chain((3, lambda t, b: warmup(t, b, 3)), constant)),
            ("warmup(4) |> step(3, gamma = 0.5)", 2.0, chain((4, lambda t, b: warmup(t, b, 4)), lambda t, b: step(t, b, 3, 0.5))),
            ("warmup(2) |> constant(1, 3) |> cosine(6, min = 0.01)", 0.1,
             chain((2, lambda t, b: warmup(t, b, 2)), (3, constant), lambda t, b: cosine(t, b, 6, 0.01))),
        ],
        "cosine": [
            ("cosine(10)", 1.0, lambda t, b: cosine(t, b, 10)),
            ("cosine(10, min = 0.1)", 1.0, lambda t, b: cosine(t, b, 10, 0.1)),
            ("cosine(5, min = 1e-5)", 3e-4, lambda t, b: cosine(t, b, 5, 1e-5)),
            ("cosine(4, periodic = true)", 1.0, lambda t, b: cosine(t, b, 4, periodic=True)),
            ("cosine(5, min = 0.1, periodic = true)", 0.5, lambda t, b: cosine(t, b, 5, 0.1, True)),
            ("cosine(1)", 1.0, lambda t, b: cosine(t, b, 1)),
            ("cosine(4) |> cosine(6, min = 0.2)", 1.0, chain((4, lambda t, b: cosine(t, b, 4)), lambda t, b: cosine(t, b, 6, 0.2))),
        ],
        "linear": [
            ("linear(from = 0.1, steps = 8)", 1.0, lambda t, b: linear_factor(t, b, 0.1, 1.0, 8)),
            ("linear(from = 1, to = 0, steps = 10)", 0.1, lambda t, b: linear_factor(t, b, 1.0, 0.0, 10)),
            ("linear(1, 0.25, 6)", 2.0, lambda t, b: linear_factor(t, b, 1.0, 0.25, 6)),
            ("linear(from = 0, to = 1, steps = 1)", 1.0, lambda t, b: linear_factor(t, b, 0.0, 1.0, 1)),
            ("warmup(4) |> linear(1, 0, 8)", 3e-4, chain((4, lambda t, b: warmup(t, b, 4)), lambda t, b: linear_factor(t, b, 1.0, 0.0, 8))),
            ("linear(0.5, 1, 5) |> cosine(5)", 1.0, chain((5, lambda t, b: linear_factor(t, b, 0.5, 1.0, 5)), lambda t, b: cosine(t, b, 5))),
        ],
        "step": [
            ("step(3)", 1.0, lambda t, b: step(t, b, 3)),
            ("step(5, gamma = 0.5)", 0.1, lambda t, b: step(t, b, 5, 0.5)),
            ("step(1, 0.9)", 1.0, lambda t, b: step(t, b, 1, 0.9)),
            ("step(size = 20)", 0.25, lambda t, b: step(t, b, 20)),
            ("step(4, gamma = 1)", 1.0, lambda t, b: step(t, b, 4, 1.0)),
        ],
    }
    for name, cases in rows.items():
        begin(f"schedule_{name}")
        for call, base, fn in cases:
            CURRENT.append({"call": call, "base": base, "lr": [float(fn(t, base)) for t in range(16)]})
    torch_schedules()


def torch_schedules():
    """The others, run by torch.optim.lr_scheduler itself; Noam's from its paper."""
    from torch.optim import lr_scheduler as s
    cyclic = lambda o, low, high, up, down, **more: s.CyclicLR(o, low, high, up, down, cycle_momentum=False, **more)
    rows = {
        "multistep": [
            ("multistep([5, 10])", 1.0, lambda o: s.MultiStepLR(o, [5, 10])),
            ("multistep([1, 3, 3], gamma = 0.5)", 0.1, lambda o: s.MultiStepLR(o, [1, 3, 3], gamma=0.5)),
            ("multistep([0, 2])", 1.0, lambda o: s.MultiStepLR(o, [0, 2])),
        ],
        "exponential": [
            ("exponential(0.5)", 2.0, lambda o: s.ExponentialLR(o, 0.5)),
            ("exponential(gamma = 0.95)", 3e-4, lambda o: s.ExponentialLR(o, 0.95)),
        ],
        "polynomial": [
            ("polynomial(10)", 1.0, lambda o: s.PolynomialLR(o, 10)),
            ("polynomial(4, power = 2)", 0.1, lambda o: s.PolynomialLR(o, 4, power=2.0)),
            ("polynomial(12, power = 0.5)", 1.0, lambda o: s.PolynomialLR(o, 12, power=0.5)),
        ],
        "cosine_restarts": [
            ("cosine_restarts(4)", 1.0, lambda o: s.CosineAnnealingWarmRestarts(o, 4)),
            ("cosine_restarts(2, mult = 2, min = 0.1)", 1.0, lambda o: s.CosineAnnealingWarmRestarts(o, 2, T_mult=2, eta_min=0.1)),
        ],
        "one_cycle": [
            ("one_cycle(0.1, 16)", 1.0, lambda o: s.OneCycleLR(o, 0.1, total_steps=16)),
            ("one_cycle(1, 16, pct_start = 0.5, anneal = \"linear\", div = 10, final_div = 100)", 1.0,
             lambda o: s.OneCycleLR(o, 1.0, total_steps=16, pct_start=0.5, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0)),
            ("one_cycle(0.1, 16, three_phase = true)", 1.0, lambda o: s.OneCycleLR(o, 0.1, total_steps=16, three_phase=True)),
        ],
        "cyclic": [
            ("cyclic(0.1, 1, 2, 3)", 1.0, lambda o: cyclic(o, 0.1, 1.0, 2, 3)),
            ("cyclic(0.1, 1, 3)", 1.0, lambda o: cyclic(o, 0.1, 1.0, 3, 3)),
            ("cyclic(0.1, 1, 2, 3, mode = \"triangular2\")", 1.0, lambda o: cyclic(o, 0.1, 1.0, 2, 3, mode="triangular2")),
            ("cyclic(0.1, 1, 2, 3, mode = \"exp_range\", gamma = 0.9)", 1.0, lambda o: cyclic(o, 0.1, 1.0, 2, 3, mode="exp_range", gamma=0.9)),
        ],
    }
    for name, cases in rows.items():
        begin(f"schedule_{name}")
        for call, base, make in cases:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
            schedule, rates = make(optimizer), []
            for t in range(16):
                rates.append(float(optimizer.param_groups[0]["lr"]))
                optimizer.step()
                if t < 15:
                    schedule.step()
            CURRENT.append({"call": call, "base": base, "lr": rates})
    begin("schedule_noam")
    for call, base, d, up in [("noam(64, 4)", 1.0, 64, 4), ("noam(512, warmup = 10)", 2.0, 512, 10)]:
        CURRENT.append({"call": call, "base": base, "lr": [base * d**-0.5 * min((t + 1) ** -0.5, (t + 1) * up**-1.5) for t in range(16)]})
    plateaus()


def plateaus():
    """ReduceLROnPlateau over a list of measurements: the rate of each tick."""
    begin("schedule_plateau")
    bad = [3.0, 2.0, 2.0, 1.9999, 2.0, 1.5, 1.5, 1.5, 1.6, 1.5, 1.5, 1.5, 1.5, 1.4, 1.4, 1.4]
    for call, base, words in [
        ("plateau(patience = 2)", 1.0, dict(patience=2)),
        ("plateau(factor = 0.5, patience = 1)", 0.1, dict(factor=0.5, patience=1)),
        ("plateau(factor = 0.5, patience = 0, cooldown = 2)", 1.0, dict(factor=0.5, patience=0, cooldown=2)),
        ("plateau(factor = 0.1, patience = 0, min = 0.02)", 1.0, dict(factor=0.1, patience=0, min_lr=0.02)),
        ("plateau(factor = 0.5, patience = 1, mode = \"max\")", 1.0, dict(factor=0.5, patience=1, mode="max")),
        ("plateau(factor = 0.5, patience = 1, threshold = 0.3)", 1.0, dict(factor=0.5, patience=1, threshold=0.3)),
    ]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
        schedule, rates = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **words), []
        for loss in bad:
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step(loss)
        CURRENT.append({"call": call, "base": base, "losses": bad, "lr": rates})


# ---------------------------------------------------------------------------------------------- checks


def check():
    """The formulas of this file against others, written or implemented independently."""
    begin("check")
    close = lambda a, b, what: np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-12, atol=1e-12, err_msg=what)

    # activations: from the definitions, and the golden numbers of the project
    for v in (-2.5, -0.3, 0.0, 0.7, 4.0):
        x = torch.tensor(v)
        close(gelu(x), v * 0.5 * (1 + math.erf(v / math.sqrt(2))), "gelu exact")
        close(gelu(x, "tanh"), 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))), "gelu tanh")
        close(gelu(x, "sigmoid"), v / (1 + math.exp(-1.702 * v)), "gelu sigmoid")
    for fn, at, y, dy in [(gelu, 1, 0.8413447461, 1.0833154706), (lambda x: gelu(x, "tanh"), 1, 0.8411919906, 1.0829640838),
                          (torch.sigmoid, -1, 0.2689414214, 0.1966119332), (F.silu, -1, -0.2689414214, 0.0723294881),
                          (torch.tanh, -1, -0.7615941560, 0.4199743416)]:
        x = torch.tensor(float(at), requires_grad=True)
        out = fn(x)
        assert abs(out.item() - y) < 1e-9 and abs(torch.autograd.grad(out, x)[0].item() - dy) < 1e-9

    # norms, dyt: numpy
    x, w, b = rand(3, 5), rand(5), rand(5)
    X, W, B = x.numpy(), w.numpy(), b.numpy()
    close(rmsnorm(x, w), X / np.sqrt((X**2).mean(-1, keepdims=True) + 1e-5) * W, "rmsnorm")
    close(rmsnorm(x, w), F.rms_norm(x, (5,), w, 1e-5), "rmsnorm against torch")
    close(layernorm(x, w, b), (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5) * W + B, "layernorm")
    close(dyt(x, f32([0.5]), w, b), W * np.tanh(0.5 * X) + B, "dyt")
    mean, var = torch.zeros(5), torch.ones(5)
    y = F.batch_norm(x, mean, var, w, b, True, 0.1, 1e-5)
    close(y, (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5) * W + B, "batchnorm")
    close(mean, 0.1 * X.mean(0), "running mean")
    close(var, 0.9 + 0.1 * X.var(0, ddof=1), "running variance is the unbiased one")

    # convolution, poolings: loops
    x, k = rand(1, 2, 5, 4), rand(4, 1, 3, 2)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (2, 2)))
    y = np.zeros((1, 4, 3, 5))
    for o in range(4):
        for i in range(3):
            for j in range(5):
                y[0, o, i, j] = (padded[0, o // 2, 2 * i:2 * i + 3, j:j + 4:3] * k.numpy()[o, 0]).sum()
    close(F.conv2d(x, k, stride=(2, 1), padding=(1, 2), dilation=(1, 3), groups=2), y, "conv")
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert F.max_pool2d(x, 2, return_indices=True)[1].flatten().tolist() == [5, 7, 13, 15]
    warnings.filterwarnings("ignore", message="Using padding='same'")
    # torch's own "same" puts the odd one at the end too
    x, k = rand(1, 1, 4, 3), rand(2, 1, 4, 2)
    close(F.conv2d(F.pad(x, (0, 1, 1, 2)), k), F.conv2d(x, k, padding="same"), "same")

    # rope: complex numbers, and it depends on differences of positions only
    x = rand(5, 6)
    turns = np.exp(1j * np.outer(np.arange(2, 7), 50.0 ** (-np.arange(0, 6, 2) / 6)))
    z = (x.numpy()[:, :3] + 1j * x.numpy()[:, 3:]) * turns
    close(rope(x, 50.0, offset=2), np.concatenate([z.real, z.imag], -1), "rope half")
    z = (x.numpy()[:, 0::2] + 1j * x.numpy()[:, 1::2]) * turns
    close(rope(x, 50.0, "interleaved", offset=2), np.stack([z.real, z.imag], -1).reshape(5, 6), "rope interleaved")
    q, k = rand(1, 6), rand(1, 6)
    close((rope(q, offset=9) * rope(k, offset=5)).sum(), (rope(q, offset=4) * rope(k)).sum(), "rope is relative")

    # attention: torch's function and module
    q, k, v = rand(2, 4, 3, 5), rand(2, 2, 4, 5), rand(2, 2, 4, 6)
    mask = yes([[1, 0, 1, 1], [0, 1, 0, 0], [1, 1, 1, 1]])
    close(sdpa(q, k, v, mask=mask), F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True), "sdpa")
    close(sdpa(q, k, v, causal=True, scale=0.3),
          F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3, enable_gqa=True), "sdpa causal")
    for options in ({}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 5, "vdim": 3}):
        module = torch.nn.MultiheadAttention(4, 2, batch_first=True, **options)
        for p in module.parameters():
            p.data = rand(*p.shape)
        own = {f"attention.{name}": p for name, p in module.named_parameters()}
        x, memory, value = rand(2, 3, 4), rand(2, 5, options.get("kdim", 4)), rand(2, 5, options.get("vdim", 4))
        keep = None if "add_bias_kv" in options or "add_zero_attn" in options else yes([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0]])
        y, weights = module(x, memory, value, key_padding_mask=None if keep is None else ~keep, average_attn_weights=False)
        switches = {key: on for key, on in options.items() if key.startswith("add")}
        mine = attention(x, own, 2, memory=memory, value=value, mask=keep, **switches)
        close(mine[0].detach(), y.detach(), f"attention {options}")
        close(mine[1].detach(), weights.detach(), f"attention weights {options}")

    # losses: from the definition
    x, t, w = rand(2, 3, 4), i64([[1, -100, 3], [0, 0, 2]]), f32([0.5, 1.0, 2.0, 0.25])
    logp = (x - x.exp().sum(-1, keepdim=True).log()).numpy()
    total = weight = 0.0
    for i in range(2):
        for j in range(3):
            if (c := t[i, j].item()) >= 0:
                total -= 0.9 * w[c].item() * logp[i, j, c] + 0.1 / 4 * (w.numpy() * logp[i, j]).sum()
                weight += w[c].item()
    close(cross_entropy(x, t, weight=w, label_smoothing=0.1), total / weight, "cross entropy")
    p = torch.softmax(rand(2, 3, 4), -1)
    close(cross_entropy(x, p), -(p.numpy() * logp).sum() / 6, "cross entropy of probabilities")

    # schedules: torch's
    from torch.optim import lr_scheduler as torch_schedule

    def torch_lr(make, base):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
        schedule = make(optimizer)
        rates = []
        for _ in range(16):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return rates

    ours = {one["call"]: one for name, cases in FILES.items() if name.startswith("schedule") for one in cases}
    s = torch_schedule
    for call, make in {
        "cosine(4, periodic = true)": lambda o: s.CosineAnnealingLR(o, 4),
        "cosine(5, min = 0.1, periodic = true)": lambda o: s.CosineAnnealingLR(o, 5, 0.1),
        "linear(from = 0.1, steps = 8)": lambda o: s.LinearLR(o, 0.1, 1.0, 8),
        "linear(1, 0.25, 6)": lambda o: s.LinearLR(o, 1.0, 0.25, 6),
        "step(3)": lambda o: s.StepLR(o, 3),
        "step(5, gamma = 0.5)": lambda o: s.StepLR(o, 5, 0.5),
        "constant(0.25, 4)": lambda o: s.ConstantLR(o, 0.25, 4),
        "warmup(10)": lambda o: s.LinearLR(o, 0.1, 1.0, 9),
    }.items():
        np.testing.assert_allclose(ours[call]["lr"], torch_lr(make, ours[call]["base"]), rtol=1e-9, atol=1e-12, err_msg=call)

    # optimizers: one written out (AdamW with amsgrad)
    one = next(c for c in FILES["optim_adamw"] if "[0.8, 0.5]" in c["call"])
    x, m, v, top = np.array(one["param"]["data"]), 0.0, 0.0, 0.0
    for n, g in enumerate(one["grads"], 1):
        g = np.array(g)
        m, v = 0.8 * m + 0.2 * g, 0.5 * v + 0.5 * g * g
        top = np.maximum(top, v)
        x = x * (1 - 0.01 * 0.1) - 0.01 * (m / (1 - 0.8**n)) / (np.sqrt(top / (1 - 0.5**n)) + 1e-8)
        close(one["after"][n - 1], x, "adamw, amsgrad")
    one = next(c for c in FILES["optim_sgd"] if "0.25" in c["call"])
    x, buffer = np.array(one["param"]["data"]), None
    for n, g in enumerate(one["grads"]):
        g = -np.array(g) + 0.05 * x
        buffer = g if buffer is None else 0.9 * buffer + 0.75 * g
        x = x - 0.1 * buffer
        close(one["after"][n], x, "sgd")
    del FILES["check"]


def main():
    for part in (activations, simple_functions, arithmetic, more_functions, softmaxes, reductions, norms, batchnorms, products, linears, embeddings,
                 sources, convolutions, transposed, gates, comparisons, random_sources, pieces, binary_losses, poolings, attentions, shapes, losses, residuals, optimizers, schedules):
        part()
    check()
    for name, cases in sorted(FILES.items()):
        kind, _, rest = name.partition("_")
        if kind == "optim":
            head = {"optimizer": rest, "torch": VERSION}
        elif kind == "schedule":
            head = {"schedule": rest}
        else:
            head = {"operator": name, "torch": VERSION}
        assert len({(c.get("name", c.get("call")), c.get("base")) for c in cases}) == len(cases), f"{name}: names of cases repeat"
        write(name, head, cases)
    print(f"{len(FILES)} files, {sum(map(len, FILES.values()))} cases")


if __name__ == "__main__":
    main()
