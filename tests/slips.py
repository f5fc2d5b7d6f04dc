#!/usr/bin/env python3
"""Twenty-six slips in gradients and shape rules, each caught by the reference vectors.

    python3 tests/slips.py            (from the repository's root; a few minutes)

Every slip is one replacement in one operator. They are put into a copy of the tree all at once, the vectors of `tests/ops`
run there, and for each slip the operator that it spoils must be among the faults. Exit code 0: all are caught. A target
folder to build in may be given by CARGO_TARGET_DIR.
"""
import re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# (file, what stands there, the slip, the vector file that must have a fault, in words)
SLIPS = [
    ("activation", "cx.dy() * (1.0 - cx.y(0) * cx.y(0))", "cx.dy() * (1.0 + cx.y(0) * cx.y(0))", "tanh", "a sign"),
    ("activation", "cx.dy() * (cx.y(0) * (1.0 - cx.y(0)))", "cx.dy() * cx.y(0)", "sigmoid", "a missing factor"),
    ("activation", "chain(cx, &SILU_DERIVATIVE)", "chain(cx, &SILU)", "silu", "the function for its derivative"),
    ("activation", "chain(cx, &GELU_TANH_DERIVATIVE)", "chain(cx, &GELU_EXACT_DERIVATIVE)", "gelu", "the other form's derivative"),
    ("arithmetic", "vec![Some(-cx.dy())]),\n    ..map_op(\"neg\"", "vec![Some(cx.dy())]),\n    ..map_op(\"neg\"", "neg", "a sign"),
    ("arithmetic", "cx.dy() * cx.x(0) * 2.0", "cx.dy() * cx.x(0)", "square", "a missing 2"),
    ("arithmetic", "cx.dy() * 0.5 / cx.y(0)", "cx.dy() / cx.y(0)", "sqrt", "a missing half"),
    ("arithmetic", "vec![Some(cx.dy() / cx.x(0))]", "vec![Some(cx.dy() * cx.x(0))]", "log", "times for divided by"),
    ("arithmetic", "vec![Some(cx.dy() * cx.y(0))]", "vec![Some(cx.dy() * cx.x(0))]", "exp", "x for y"),
    ("arithmetic", "cx.when(0, || cx.dy() * cx.x(1)), cx.when(1, || cx.dy() * cx.x(0))", "cx.when(0, || cx.dy() * cx.x(1)), cx.when(1, || -(cx.dy() * cx.x(0)))", "mul", "a sign of the second operand"),
    ("arithmetic", "cx.when(1, || -(cx.dy() * cx.y(0) / cx.x(1)))", "cx.when(1, || cx.dy() * cx.y(0) / cx.x(1))", "div", "a sign"),
    ("arithmetic", "let skip = if alpha == 1.0 { cx.x(0) } else { cx.x(0) * alpha };", "let skip = cx.x(0);", "residual", "deep norm's alpha forgotten"),
    ("reduce", "vec![Some(cx.y(0).with(cx.dy(), &SOFTMAX_GRAD, &[]))]", "vec![Some(cx.x(0).with(cx.dy(), &SOFTMAX_GRAD, &[]))]", "softmax", "x for y"),
    ("reduce", "vec![Some(cx.y(0).with(cx.dy(), &LOG_SOFTMAX_GRAD, &[]))]", "vec![Some(cx.x(0).with(cx.dy(), &LOG_SOFTMAX_GRAD, &[]))]", "log_softmax", "x for y"),
    ("linear", "cx.when(2, || rows().sum(&[0], false))", "cx.when(2, || rows().sum(&[0], false) * 0.5)", "linear", "half a bias gradient"),
    ("linear", "cx.when(1, || a.t().with(cx.dy(), &MATMUL_2, &[]))", "cx.when(1, || -a.t().with(cx.dy(), &MATMUL_2, &[]))", "matmul", "a sign of the second operand"),
    ("conv", "cx.when(2, || dy.sum(&axes, false))", "cx.when(2, || dy.sum(&axes, false) * 2.0)", "conv", "a bias gradient twice"),
    ("norm", "vec![dx, part(0), part(1)]", "vec![dx, part(0).map(|w| w * 2.0), part(1)]", "layernorm", "a gain's gradient twice"),
    ("norm", "cx.when(3, || sums[1]), cx.when(4, || sums[0])", "cx.when(3, || sums[0]), cx.when(4, || sums[1])", "batchnorm", "gain and bias exchanged"),
    ("norm", "* param(\"weight\") + param(\"bias\")", "* param(\"bias\") + param(\"weight\")", "dyt", "gain and bias exchanged"),
    ("norm", "at_least(squares, eps * eps)", "at_least(squares * 2.0, eps * eps)", "l2norm", "a sum twice"),
    ("embedding", "let back = !cx.attrs.flag(\"inverse\");", "let back = cx.attrs.flag(\"inverse\");", "rope", "turned forward on the way back"),
    ("embedding", "cx.attrs.int(\"padding_index\").unwrap_or(-1)", "cx.attrs.int(\"padding_index\").unwrap_or(0)", "embedding", "row 0 never learns"),
    ("attention", "1.0 / e.sqrt()", "1.0 / e", "sdpa", "the root forgotten"),
    ("pool", "i32::from(cx.attrs.flag(\"count_include_pad\"))", "i32::from(!cx.attrs.flag(\"count_include_pad\"))", "avgpool", "padding counted the other way"),
    ("loss", "args.nums[0] = cx.attrs.float(\"label_smoothing\").unwrap_or(0.0);", "args.nums[0] = 0.0;", "cross_entropy", "no smoothing"),
]


def main():
    copy = Path(tempfile.mkdtemp(prefix="slips-")) / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("target", ".git", "runs"))
    for name, old, new, *_ in SLIPS:
        path = copy / "src/ops" / f"{name}.rs"
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{name}.rs has {text.count(old)} times: {old}")
        path.write_text(text.replace(old, new))
    run = subprocess.run(
        ["cargo", "test", "--test", "ops", "operators_give_what_pytorch_gives"], cwd=copy, capture_output=True, text=True
    )
    told = run.stdout + run.stderr
    faults = [line for line in told.splitlines() if re.match(r"\w+ \[", line)]
    missed = 0
    for name, _, _, vectors, words in SLIPS:
        own = [line for line in faults if re.match(rf"{vectors}(_\w+)? \[", line)]
        missed += not own
        print(f"{'caught' if own else 'MISSED':7} {vectors:14} {words}: {own[0][:110] if own else told[-300:]}")
    print(f"{len(SLIPS) - missed} of {len(SLIPS)} slips are caught")
    shutil.rmtree(copy.parent, ignore_errors=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
