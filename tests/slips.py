#!/usr/bin/env python3
"""Seeded slips: are the laws awake?

Each slip is one small mistake in a gradient, a shape rule, a kernel or a pass: a sign, a missing half, a wrong axis, no
sum over broadcast axes. A copy of the sources is built once with all of them, each behind a switch; then the laws of
`tests/ops.rs` run with none (they must hold) and with each alone (at least one must fail). Not part of the ordinary run:

    python3 tests/slips.py            # a build, then a few seconds a slip
    python3 tests/slips.py sign       # only those whose name has this in it

A slip names a text that stands exactly once in its file, and what stands there instead.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

SLIPS = [
    # Gradients as formulas.
    ("sign: the gradient of b in a - b", "ops/arithmetic.rs", "cx.when(1, || -cx.dy())]", "cx.when(1, || cx.dy())]"),
    ("missing half: the gradient of sqrt", "ops/arithmetic.rs", "cx.dy() * 0.5 / cx.y(0)", "cx.dy() / cx.y(0)"),
    ("swapped operands: the gradient of a * b", "ops/arithmetic.rs", "cx.when(1, || cx.dy() * cx.x(0))", "cx.when(1, || cx.dy() * cx.x(1))"),
    ("sign: the gradient of the divisor", "ops/arithmetic.rs", "cx.when(1, || -(cx.dy() * cx.y(0) / cx.x(1)))", "cx.when(1, || cx.dy() * cx.y(0) / cx.x(1))"),
    ("missing factor: the gradient of square", "ops/arithmetic.rs", "cx.dy() * cx.x(0) * 2.0", "cx.dy() * cx.x(0)"),
    ("missing square: the gradient of tanh", "ops/activation.rs", "cx.dy() * (1.0 - cx.y(0) * cx.y(0))", "cx.dy() * (1.0 - cx.y(0))"),
    ("swapped operands: the gradient of softmax", "ops/reduce.rs", "cx.y(0).with(cx.dy(), &SOFTMAX_GRAD, &[])", "cx.dy().with(cx.y(0), &SOFTMAX_GRAD, &[])"),
    ("forgotten: the gradient of linear's bias", "ops/linear.rs", "cx.when(2, || rows().sum(&[0], false))", "None"),
    ("forgotten: the gradient of a convolution's bias", "ops/conv.rs", "cx.when(2, || dy.sum(&axes, false))", "None"),
    ("exchanged: layer norm's gradients of gain and bias", "ops/norm.rs", "vec![dx, part(0), part(1)]", "vec![dx, part(1), part(0)]"),
    ("sign: rope turns on instead of back", "ops/embedding.rs", "let back = !cx.attrs.flag(\"inverse\");", "let back = cx.attrs.flag(\"inverse\");"),
    ("not inverted: the gradient of permute", "ops/movement.rs", "inverse(&cx.attrs.ints(\"axes\").unwrap_or_default())", "cx.attrs.ints(\"axes\").unwrap_or_default().iter().map(|&axis| axis as usize).collect::<Vec<_>>()"),
    ("exchanged: the gradients of a concat's parts", "ops/movement.rs", "split(cx.dy(), axis, &sizes).into_iter().map(Some).collect()", "split(cx.dy(), axis, &sizes).into_iter().rev().map(Some).collect()"),
    ("sign: the gradient of -x", "ops/arithmetic.rs", "vec![Some(-cx.dy())]),\n    ..map_op(\"neg\"", "vec![Some(cx.dy())]),\n    ..map_op(\"neg\""),
    ("times for divided by: the gradient of log", "ops/arithmetic.rs", "vec![Some(cx.dy() / cx.x(0))]", "vec![Some(cx.dy() * cx.x(0))]"),
    ("x for y: the gradient of exp", "ops/arithmetic.rs", "vec![Some(cx.dy() * cx.y(0))]", "vec![Some(cx.dy() * cx.x(0))]"),
    ("x for y: the gradient of log_softmax", "ops/reduce.rs", "cx.y(0).with(cx.dy(), &LOG_SOFTMAX_GRAD, &[])", "cx.x(0).with(cx.dy(), &LOG_SOFTMAX_GRAD, &[])"),
    ("the function for its derivative: silu", "ops/activation.rs", "chain(cx, &SILU_DERIVATIVE)", "chain(cx, &SILU)"),
    ("the other form's derivative: gelu", "ops/activation.rs", "chain(cx, &GELU_TANH_DERIVATIVE)", "chain(cx, &GELU_EXACT_DERIVATIVE)"),
    ("exchanged: batch norm's gradients of gain and bias", "ops/norm.rs", "vec![cx.when(0, dx), None, None, cx.when(3, || sums[1]), cx.when(4, || sums[0])]", "vec![cx.when(0, dx), None, None, cx.when(3, || sums[0]), cx.when(4, || sums[1])]"),
    ("row 0 never learns: embedding", "ops/embedding.rs", "cx.attrs.int(\"padding_index\").unwrap_or(-1)", "cx.attrs.int(\"padding_index\").unwrap_or(0)"),
    # Reverse mode itself.
    ("no sum: broadcast axes", "passes/autodiff.rs", "grad.sum(&axes, false)", "grad"),
    ("wrong axis: the sum over broadcast axes", "passes/autodiff.rs", "let axes: Vec<usize> = (0..missing).collect();", "let axes: Vec<usize> = (0..missing).map(|axis| grad.rank() - 1 - axis).collect();"),
    ("lost: one gradient of a value that is used twice", "passes/autodiff.rs", "Some(sum) => *sum = *sum + grad,", "Some(sum) => *sum = grad,"),
    # Expansions.
    ("wrong scale: attention by e, not by its root", "ops/attention.rs", "1.0 / e.sqrt()", "1.0 / e"),
    ("wrong axis: a mask of three axes", "ops/attention.rs", "(3, true) => vec![0, 2, 3],", "(3, true) => vec![1, 2, 3],"),
    ("biased: batch norm's running variance", "ops/norm.rs", "let unbiased = new.1 * (n / (n - 1.0));", "let unbiased = new.1 * (n / n);"),
    ("exchanged: weights of old and new running statistics", "ops/norm.rs", "old * (1.0 - update) + new * update", "old * update + new * (1.0 - update)"),
    ("exchanged: gain and bias of dyt", "ops/norm.rs", "(cx.x(0) * alpha).op(&super::activation::TANH) * param(\"weight\") + param(\"bias\")", "(cx.x(0) * alpha).op(&super::activation::TANH) * param(\"bias\") + param(\"weight\")"),
    ("wrong count: a mean divides by everything", "ops/expr.rs", "let count: Vec<Dim> = axes.iter().map(|&axis| dims[axis]).collect();", "let count: Vec<Dim> = dims.clone();"),
    ("inverted: count_include_pad", "ops/pool.rs", "i32::from(cx.attrs.flag(\"count_include_pad\"))", "i32::from(!cx.attrs.flag(\"count_include_pad\"))"),
    ("half: low rank counts one product", "ops/linear.rs", "table.scale(product, 2)", "table.scale(product, 1)"),
    ("forgotten: deep norm's alpha", "ops/arithmetic.rs", "let skip = if alpha == 1.0 { cx.x(0) } else { cx.x(0) * alpha };", "let skip = cx.x(0);"),
    ("twice: the squares of l2norm", "ops/norm.rs", "at_least(squares, eps * eps)", "at_least(squares * 2.0, eps * eps)"),
    # Shape rules.
    ("off by one: the windows of a convolution", "ops/conv.rs", "Ok(cx.shapes.dims.add(steps, Dims::ONE))", "Ok(steps)"),
    ("wrong end: the odd element of pad = same", "ops/conv.rs", "(reach(i) / 2, reach(i) - reach(i) / 2)", "(reach(i) - reach(i) / 2, reach(i) / 2)"),
    ("too many: a window in the padding behind", "ops/pool.rs", "if pad + stride <= reach + 1 {", "if true {"),
    ("off by one: the parts of a split", "ops/movement.rs", "sizes[..cx.index].iter().sum()", "sizes[..cx.index].iter().map(|n| n - 1).sum()"),
    # Kernels.
    ("not divided: label smoothing", "kernels/loss.rs", "let (keep, spread) = (T::of(1.0 - smoothing), T::of(smoothing / n as f64));", "let (keep, spread) = (T::of(1.0 - smoothing), T::of(smoothing));"),
    ("sign: the label's part of cross entropy's gradient", "kernels/loss.rs", "*dz.add(target) += -k;", "*dz.add(target) += k;"),
    ("forgotten: the mean term of rms norm's gradient", "kernels/norm.rs", "map([x, w, dy], dx, n, |[x, w, dy]| (-(x * rstd)).mul_add(c, (offset + w) * dy) * rstd);", "map([x, w, dy], dx, n, |[_, w, dy]| (offset + w) * dy * rstd);"),
    ("not scaled: what dropout leaves", "kernels/random.rs", "let scale = T::of(1.0 / (1.0 - p));", "let scale = T::of(1.0 + 0.0 * p);"),
    ("not corrected: adam's first moment", "kernels/update.rs", "T::of(-(lr / (1.0 - power(b1, t))))", "T::of(-lr)"),
    # Plans.
    ("exchanged: number and value of a flipped operand", "passes/plan/build.rs", "args.insert(usize::from(!step.attrs.flag(\"flip\")), Reg::Const(value));", "args.insert(usize::from(step.attrs.flag(\"flip\")), Reg::Const(value));"),
    ("by share: a row is cut by what its batch holds", "ops/norm.rs", "args.nums[0] = cx.attrs.float(\"eps\").unwrap_or(1e-5);", "args.nums[0] = cx.attrs.float(\"eps\").unwrap_or(1e-5) * cx.ins[0].as_ref().map_or(1.0, |x| x.rows() as f64);"),
]

SWITCH = """//! Which seeded slip acts.

use std::sync::OnceLock;

/// Whether this one does.
pub fn on(number: u32) -> bool {
    static CHOSEN: OnceLock<u32> = OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("WYTHE_SLIP").ok().and_then(|word| word.parse().ok()).unwrap_or(0)) == number
}
"""


def switched(number, old, new):
    """Old and new behind a switch; whole statements keep their ends."""
    on = f"crate::slip::on({number})"
    if let := re.fullmatch(r"let (.+?) = (.+);", old):
        other = re.fullmatch(r"let (.+?) = (.+);", new)
        return f"let {let[1]} = if {on} {{ {other[2]} }} else {{ {let[2]} }};"
    if old.endswith(";"):
        return f"if {on} {{ {new} }} else {{ {old} }}"
    if arm := re.fullmatch(r"(.+?) => (.+),", old):
        other = re.fullmatch(r"(.+?) => (.+),", new)
        return f"{arm[1]} => if {on} {{ {other[2]} }} else {{ {arm[2]} }},"
    if condition := re.fullmatch(r"if (.+) \{", old):
        other = re.fullmatch(r"if (.+) \{", new)
        return f"if ({on} && ({other[1]})) || (!{on} && ({condition[1]})) {{"
    if "\n" in old:
        tail = os.path.commonprefix([old[::-1], new[::-1]])[::-1]
        tail = tail[tail.index("\n") - 2:]  # from the end of the formula on
        return f"{switched(number, old[:-len(tail)], new[:-len(tail)])}{tail}"
    end = "]" if old.endswith("]") and old.count("[") < old.count("]") else ""
    if end:
        return f"{switched(number, old[:-1], new[:-1])}{end}"
    return f"(if {on} {{ {new} }} else {{ {old} }})"


def seed(copy):
    for number, (name, file, old, new) in enumerate(SLIPS, 1):
        path = copy / "src" / file
        text = path.read_text()
        assert text.count(old) == 1, f"{name}: stands {text.count(old)} times in {file}: {old}"
        path.write_text(text.replace(old, switched(number, old, new)))
    (copy / "src/slip.rs").write_text(SWITCH)
    lib = copy / "src/lib.rs"
    lib.write_text(re.sub(r"^pub mod syntax;", "pub mod slip;\npub mod syntax;", lib.read_text(), flags=re.M))


def build(copy):
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    command = ["cargo", "test", "--test", "ops", "--no-run"]
    made = subprocess.run(command, cwd=copy, env=os.environ | {"CARGO_TARGET_DIR": target}, capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(made.stderr)
    found = re.search(r"Executable tests/ops\.rs \((.+)\)", made.stderr)
    return str((copy / found[1]) if not found[1].startswith("/") else found[1])


def run(binary, copy, number):
    """The tests that fail with this slip."""
    env = os.environ | {"WYTHE_SLIP": str(number), "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run([binary], cwd=copy, env=env, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return ["(no end in 300 s)"]
    failed = sorted(set(re.findall(r"^test (\S+) \.\.\. FAILED", done.stdout, re.M)))
    return failed or ([] if done.returncode == 0 else [f"(ended with {done.returncode})"])


def main():
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="slips-") as folder:
        copy = pathlib.Path(folder) / "wythe"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("target", ".git"))
        seed(copy)
        binary = build(copy)
        if broken := run(binary, copy, 0):
            sys.exit(f"without any slip these fail: {broken}")
        tried, missed = 0, []
        for number, (name, *_) in enumerate(SLIPS, 1):
            if wanted and not any(word in name for word in wanted):
                continue
            caught = run(binary, copy, number)
            tried += 1
            print(f"{number:2} {name}: {', '.join(caught) if caught else 'NOT CAUGHT'}", flush=True)
            if not caught:
                missed.append(name)
        print(f"{tried} slips, {len(missed)} not caught")
        sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
