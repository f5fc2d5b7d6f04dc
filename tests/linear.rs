//! The cost of a check is linear in the text.
//!
//! Work is counted, not timed: the bytes that a check allocates are the same on every machine and in every run. What
//! allocates nothing shows in the thread's own processor time, coarsely: where it is long enough to say anything.
//! Four times the text may take a little more than four times the work; anything quadratic takes sixteen times as much.
//! `WYTHE_LINES=5000 cargo test --release --test linear` looks at longer texts, where time shows, too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use wythe::elaborate::Request;
use wythe::pipeline::check;
use wythe::syntax::format;
use wythe::text::Source;

/// A name, and what is done with a text.
type Work<'a> = (&'static str, &'a dyn Fn(&str));

/// Counts the bytes that this thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + layout.size() as u64));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Nanoseconds of this thread's own processor time.
fn own_time() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Bytes and nanoseconds of some work.
fn cost(work: impl Fn()) -> (u64, u64) {
    let (bytes, time) = (ASKED.get(), own_time());
    work();
    (ASKED.get() - bytes, own_time() - time)
}

fn model(body: String) -> String {
    format!("dim batch, seq\nmodel m : (x: f32[batch, 4]) -> f32[batch, 4] {{\n{body}}}\n")
}

fn each(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(line).collect()
}

/// A text of about `n` lines of one construct.
type Text = (&'static str, fn(usize) -> String);

const RIGHT: &[Text] = &[
    ("blocks with contracts", |n| {
        each(n, |i| format!("block b{i}(d) : [..., d] -> [..., d] {{ linear(d) }}\n")) + &model("b0(4)\n".into())
    }),
    ("blocks, each called", |n| {
        each(n, |i| format!("block b{i}(d) {{ linear(d) }}\n")) + &model(each(n, |i| format!("b{i}(4)\n")))
    }),
    ("models", |n| each(n, |i| format!("model b{i} : (x: f32[4]) -> f32[4] {{ linear(4) }}\n"))),
    ("stages", |n| model("relu\n".repeat(n))),
    ("layers", |n| model(each(n, |i| format!("layer f{i} = linear(4)\nf{i}\n")))),
    ("names", |n| model(each(n, |i| format!("a{i} = linear(4)\n")))),
    ("old names", |n| model(each(n, |i| format!("a{i} = relu\nit + a{}\n", i / 2)))),
    ("residuals", |n| model("residual deep rmsnorm { linear(4) }\n".repeat(n))),
    ("a flow", |n| model(format!("{}\n", vec!["relu"; n].join(" |>\n")))),
    ("branches", |n| model(format!("parallel join sum {{\n{}}}\n", "| linear(4)\n".repeat(n)))),
    ("a tuple", |n| model(format!("({}) |> sum\n", vec!["x"; n].join(",\n")))),
    ("a list", |n| model(format!("for c in [{}] {{ relu }}\n", vec!["4"; n].join(",\n")))),
    ("dims", |n| {
        format!("dim {}\n{}", each(n, |i| format!("d{i},\n")).trim_end_matches(",\n"), model("relu\n".into()))
    }),
    ("numbers", |n| model(each(n, |i| format!("dim e{i} = {i}\n")) + "relu\n")),
    ("facts", |n| {
        let facts = each(n, |i| format!("seq <= {},\n", 1000 + i));
        format!("dim seq\nmodel m : (x: f32[seq, 4]) where {} {{ linear(4) }}\n", facts.trim_end_matches(",\n"))
    }),
    ("hyperparameters", |n| {
        format!("model m({}) : (x: f32[4]) {{ linear(h0) }}\n", each(n, |i| format!("h{i} = 4,\n")))
    }),
    ("train sections", |n| {
        model("relu\n".into()) + &each(n / 4, |i| format!("train t{i}: m {{\ntarget y: f32[batch, 4]\nloss mse\n}}\n"))
    }),
    ("groups", |n| {
        let groups = "optimizer \"*\" adamw(lr = 1e-3)\nfreeze \"linear*\"\n".repeat(n / 2);
        model("linear(4)\n".into()) + &format!("train m {{\ntarget y: f32[batch, 4]\nloss mse\n{groups}}}\n")
    }),
    ("choices", |n| model("if 1 == 2 { relu } else if 1 == 3 { gelu } else { it }\n".repeat(n))),
    ("paths", |n| model(each(n, |i| format!("linear(4, path = \"p{i}.q\")\n")))),
    ("symbols", |n| {
        format!("dim batch, seq\nmodel m : (x: f32[batch, seq]) {{\n{}}}\n", "(it, x) |> concat(axis = 1)\n".repeat(n))
    }),
    ("copies", |n| model(format!("for c in [{}] {{ linear(c); relu }}\n", vec!["4"; n].join(",\n")))),
    ("copies with a remark", |n| model(format!("for c in [{}] {{ linear(c) }}\n", vec!["4"; n].join(",\n")))),
    ("heads", |n| model("parallel join sum { | relu | gelu | linear(4) }\n".repeat(n))),
    ("stacks", |n| {
        model("linear(4)\nsigmoid\nlinear(4)\nsigmoid\nlinear(4)\nsigmoid\nlinear(4)\nsigmoid\nrelu\n".repeat(n / 8))
    }),
    ("remarks", |n| model("relu\nrelu\n".repeat(n))),
    ("remarks that are allowed", |n| model("relu\nrelu // allow(idempotent)\n".repeat(n))),
    ("readers of one value", |n| model("it + x\n".repeat(n))),
    ("residuals before a norm", |n| {
        model("residual pre rmsnorm { linear(4); relu; linear(4) }\n".repeat(n) + "linear(4)\n")
    }),
    ("convolutions", |n| {
        let body = "conv(4, 3, pad = 1)\nbatchnorm\nrelu\n".repeat(n);
        format!("dim batch, h, w\nmodel m : (x: f32[batch, 4, h, w]) {{\n{body}}}\n")
    }),
    ("windows of a size", |n| {
        let body = "conv(4, 2)\n".repeat(n);
        format!("dim batch, h, w\nmodel m : (x: f32[batch, 4, h, w]) {{\n{body}}}\n")
    }),
    ("attentions", |n| {
        let body = "residual pre layernorm { attention(2, causal = true) }\n".repeat(n);
        format!("dim batch, seq\nmodel m : (x: f32[batch, seq, 4]) {{\n{body}layernorm\n}}\n")
    }),
    ("pairs", |n| model(format!("for (a, b) in [{}] {{ linear(a * b); relu }}\n", vec!["(2, 2)"; n].join(",\n")))),
    ("comments", |n| "// c\n".repeat(n) + &model("relu // a\n".repeat(n))),
    ("blank lines", |n| model("relu\n\n\n".repeat(n))),
];

const WRONG: &[Text] = &[
    ("one unknown name", |n| model("linaer(4)\n".repeat(n))),
    ("unknown names", |n| model(each(n, |i| format!("zz{i}\n")))),
    ("shapes", |n| model("residual { linear(5) }\n".repeat(n))),
    ("shapes in blocks", |n| each(n, |i| format!("block b{i} : [4] -> [4] {{ linear(5) }}\n"))),
    ("two stages", |n| model("relu gelu\n".repeat(n))),
    ("lines outside", |n| "relu\nblock f { relu }\n".repeat(n)),
    ("open braces", |n| "block f {\n".repeat(n)),
    ("stray braces", |n| "block f { relu }\n}\n".repeat(n)),
    ("lost names", |n| model(each(n, |i| format!("a{i} = relu gelu\na{i} |> qq{i}\n")))),
    ("a name twice", |n| model("a = linear(4)\n".repeat(n))),
    ("a block twice", |n| "block b { relu }\n".repeat(n)),
    ("unknown dims", |n| model(each(n, |i| format!("reshape([batch, q{i}])\n")))),
    ("undeclared dims", |n| each(n, |i| format!("model m{i} : (x: f32[q{i}]) {{ relu }}\n"))),
    ("attributes", |n| model("linear(4, foo = 1)\n".repeat(n))),
    ("dropped values", |n| model("linear(4)\nx |> relu\n".repeat(n))),
    ("equal paths", |n| model("linear(4, path = \"p\")\n".repeat(n))),
    ("groups that fit nothing", |n| {
        let groups = each(n, |i| format!("optimizer \"a{i}.*\" adamw(lr = 1e-3)\n"));
        model("linear(4)\n".into()) + &format!("train m {{\ntarget y: f32[batch, 4]\nloss mse\n{groups}}}\n")
    }),
    ("unclosed lines", |n| model("relu(\n".repeat(n.min(100)) + &"relu)\n".repeat(n))),
    ("loops of C", |n| model("for (i = 0; i < 4; i++) { relu }\n".repeat(n))),
    ("lines before a stray brace", |n| "relu\n".repeat(n) + "}\n"),
    ("arguments that are missing", |n| model("linear\n".repeat(n))),
    ("words in the place of strings", |n| model("gelu(form = tanh)\n".repeat(n))),
    ("names of PyTorch", |n| model("nn.Linear(4, 4)\n".repeat(n))),
    ("blocks that do not fit", |n| {
        "block b(d) : [..., d] -> [..., d] { linear(d) }\n".to_string() + &model("b(5)\n".repeat(n))
    }),
    ("widths in a flow", |n| model("linear(5) |> linear(4 -> 4)\n".repeat(n))),
    ("unknown arguments of a block", |n| {
        "block b(d) { linear(d) }\n".to_string() + &model(each(n, |i| format!("b(4, e{i} = 1)\n")))
    }),
    ("copies of a mistake", |n| {
        model(format!("for c in [{}] {{ linear(c -> c) }}\n", each(n, |i| format!("{},\n", 5 + i))))
    }),
    ("foreign comments", |n| model("relu # a\n".repeat(n))),
];

/// What grows by more than it should.
fn grown(texts: &[Text], right: bool) {
    let lines = std::env::var("WYTHE_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut wrong = vec![];
    for (name, text) in texts {
        let (small, large) = (text(lines), text(4 * lines));
        let run = |text: &str| check(Source::new("long.model", text), &Request::default(), None);
        let found = run(&small);
        assert_eq!(found.has_errors(), !right, "{name}: {:.2000}", found.render());
        let works: [Work<'_>; 2] = [("check", &|text| drop(run(text).render())), ("fmt", &|text| drop(format(text)))];
        for (work, go) in works {
            let (few, many) = (cost(|| go(&small)), cost(|| go(&large)));
            let bytes = many.0 as f64 / few.0 as f64;
            let time = many.1 as f64 / few.1 as f64;
            // Below some milliseconds the clock says nothing.
            if bytes > 5.5 || (time > 9.0 && many.1 > 20_000_000) {
                wrong.push(format!("{name}: {work} takes {bytes:.1} times the memory, {time:.1} times the time"));
            }
        }
    }
    assert!(wrong.is_empty(), "for four times the text:\n{}", wrong.join("\n"));
}

#[test]
fn four_times_a_right_text_is_four_times_the_work() {
    grown(RIGHT, true);
}

#[test]
fn four_times_a_wrong_text_is_four_times_the_work() {
    grown(WRONG, false);
}
