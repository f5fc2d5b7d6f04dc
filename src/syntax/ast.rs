//! What was written: the tree that the parser returns and the formatter prints. No meaning yet.

use crate::text::Span;

/// A name with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// The word.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
}

/// A top-level entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// `dim batch, seq`.
    Dim(Vec<Name>, Span),
    /// `use "blocks.model"`: the text between the quotes.
    Use(String, Span),
    /// `block name(params) : sig where conds { … }`.
    Block(Block),
    /// `model name(params) : sig where conds { … }`.
    Model(Block),
    /// `train label: model(overrides) { … }`.
    Train(Train),
}

/// A block or a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its name.
    pub name: Name,
    /// Hyperparameters.
    pub params: Vec<Param>,
    /// `: inputs -> outputs`.
    pub sig: Option<Sig>,
    /// Facts after `where`.
    pub conds: Vec<Cond>,
    /// What it does.
    pub body: Body,
    /// The whole entry.
    pub span: Span,
    /// From `block` to before the `{`.
    pub header: Span,
}

/// A hyperparameter, perhaps with a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Its default.
    pub default: Option<Expr>,
}

/// A signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Sig {
    /// What flows in.
    pub ins: Vec<Port>,
    /// What flows out; none: not said.
    pub outs: Option<Vec<Port>>,
    /// The whole signature, without the colon.
    pub span: Span,
}

/// One input or output of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name, where it has one.
    pub name: Option<Name>,
    /// Its type.
    pub ty: Typed,
}

/// `f32[batch, seq, d]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// The dtype word, where written.
    pub dtype: Option<Name>,
    /// The axes.
    pub axes: Vec<Axis>,
    /// Where.
    pub span: Span,
}

/// One axis of a type.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// `...`: any number of axes.
    Rest(Span),
    /// `_`: any size, not said.
    Any(Span),
    /// A size.
    Size(Expr),
}

/// `d % heads == 0`, or a bare condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Cond {
    /// The left side.
    pub left: Expr,
    /// Comparison and right side.
    pub right: Option<(Cmp, Expr)>,
    /// The whole condition.
    pub span: Span,
}

/// A comparison sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// `{ … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Its statements.
    pub stmts: Vec<Stmt>,
    /// With both braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// The kinds of statement.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `dim hidden = 4 * d`.
    Dim(Name, Expr),
    /// `layer wte = embedding(vocab, d)`.
    Layer(Name, Call),
    /// `return (sim, img)`.
    Return(Flow),
    /// `[lhs =] flow`.
    Flow(Option<Lhs>, Flow),
    /// A line that could not be read; reported already.
    Broken,
}

/// The left side of `=`: one name, or a pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum Lhs {
    /// `h = …`.
    Name(Name),
    /// `(y, h, _) = …`.
    Pattern(Vec<Name>, Span),
}

/// `stage |> stage |> …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// At least one.
    pub stages: Vec<Stage>,
    /// Where.
    pub span: Span,
}

/// One link of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What it is.
    pub kind: StageKind,
    /// Where (for a construct: all of it, body included).
    pub span: Span,
}

/// The kinds of stage.
#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    /// `residual [WORD [args] call] body [skip body]`.
    Residual {
        /// `residual`, the keyword and what stands before the brace.
        head: Span,
        /// pre, post, deep or a hyperparameter, with its arguments.
        placement: Option<(Name, Vec<Arg>)>,
        /// The norm (absent where a placement stands without one: an error to be told).
        norm: Option<Call>,
        /// The branch.
        branch: Body,
        /// `skip { … }`.
        skip: Option<Body>,
    },
    /// `repeat n [shared] body`.
    Repeat {
        /// `repeat n shared`, without the body.
        head: Span,
        /// How often.
        count: Expr,
        /// One copy, used n times.
        shared: bool,
        /// What.
        body: Body,
    },
    /// `for lhs in expr body`.
    For {
        /// `for c in list`, without the body.
        head: Span,
        /// What is bound.
        vars: Lhs,
        /// The list.
        list: Expr,
        /// What.
        body: Body,
    },
    /// `if conds body [else …]`.
    If {
        /// `if conds`, without the body.
        head: Span,
        /// All must hold.
        conds: Vec<Cond>,
        /// Then.
        body: Body,
        /// Else (`else if …` is a body with one stage).
        otherwise: Option<Body>,
    },
    /// `parallel join call { | flow | name = flow }`.
    Parallel {
        /// `parallel join call`, without the branches.
        head: Span,
        /// How the branches are joined.
        join: Call,
        /// The branches, with their names.
        branches: Vec<(Option<Name>, Flow)>,
    },
    /// Anything else: a name, a call, arithmetic, a tuple.
    Expr(Expr),
}

/// An expression of either world; which one is decided by where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `64`, `2_000`: without its underscores; too large for i64 is told by the reader of it.
    Int(String),
    /// `1e-3`, `5.0`.
    Float(f64),
    /// `"same"`.
    Str(String),
    /// A name, or a name with arguments. `true`, `false`, `none`, `inf`, `it` are plain names here.
    Call(Call),
    /// `-x`.
    Neg(Box<Expr>),
    /// `a + b`.
    Binary(BinOp, Box<Expr>, Box<Expr>),
    /// `x[i]`.
    Index(Box<Expr>, Box<Expr>),
    /// `(a, mask = b |> c)`: one unnamed element is a parenthesis, else a tuple.
    Tuple(Vec<Elem>),
    /// `[a, ..., b]`.
    List(Vec<Item>),
    /// Could not be read; reported already.
    Broken,
}

/// An element of a parenthesis or tuple.
#[derive(Clone, Debug, PartialEq)]
pub struct Elem {
    /// `mask = …`.
    pub name: Option<Name>,
    /// A flow (a single stage, most often).
    pub flow: Flow,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `...`.
    Rest(Span),
    /// A value.
    Expr(Expr),
}

impl Item {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Item::Rest(span) => *span,
            Item::Expr(expr) => expr.span,
        }
    }
}

/// An infix sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
}

/// `name` or `name(args)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The word.
    pub name: Name,
    /// Its arguments; none: no parentheses were written.
    pub args: Option<Vec<Arg>>,
    /// With its arguments.
    pub span: Span,
}

/// `[name =] expr [-> expr]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// `pad = …`.
    pub name: Option<Name>,
    /// The value, or what stands before the arrow.
    pub value: Expr,
    /// What stands after the arrow of a pin.
    pub pin: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// A train section.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// `train label: …`.
    pub label: Option<Name>,
    /// The model and its overrides.
    pub model: Call,
    /// The settings, in order.
    pub settings: Vec<Setting>,
    /// The whole section.
    pub span: Span,
    /// Without the braces.
    pub header: Span,
}

/// One line of a train section.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// `optimizer`.
    pub name: Name,
    /// `"head.*"`.
    pub pattern: Option<(String, Span)>,
    /// What follows.
    pub value: SettingValue,
    /// Where.
    pub span: Span,
}

/// What a setting is given.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// Nothing.
    None,
    /// `loss { … }`.
    Body(Body),
    /// `target y: i64[batch], z: f32[batch, 3]`.
    Ports(Vec<(Name, Typed)>),
    /// `schedule warmup(200) |> cosine(5000)`, `batch 64`, `target y = tokens |> next`.
    Flow(Option<Lhs>, Flow),
    /// Could not be read; reported already.
    Broken,
}
