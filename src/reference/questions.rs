//! Questions that learners ask, each answered with something to run.

use super::page::{Example, ExampleKind, Page};

/// A question with its answer.
pub struct Question {
    /// The word that asks it.
    pub name: &'static str,
    /// The question.
    pub asks: &'static str,
    /// The question in Chinese, as the notes that began this project ask it.
    pub chinese: &'static str,
    /// Paragraphs.
    pub answer: &'static [&'static str],
    /// What shows it: what it says, and a command or a model's text.
    pub shown: &'static [(&'static str, &'static str)],
}

impl Question {
    pub(super) fn page(&self) -> Page {
        let example = |(says, text): &(&str, &str)| Example {
            says: (*says).into(),
            text: (*text).into(),
            kind: if text.starts_with("wythe ") { ExampleKind::Command } else { ExampleKind::Model },
        };
        Page {
            name: self.name.into(),
            kind: "question".into(),
            lead: self.asks.into(),
            facts: vec![("中文", self.chinese.into())],
            attributes: vec![],
            text: self.answer.iter().map(|text| (*text).into()).collect(),
            examples: self.shown.iter().map(example).collect(),
            curve: None,
        }
    }
}

/// All of them.
pub static QUESTIONS: &[Question] = &[
    Question {
        name: "why-activations",
        asks: "Why does a network need activations at all?",
        chinese: "为什么网络需要激活函数？",
        answer: &[
            "Because linear layers on end are one linear layer: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2). Depth then buys nothing that one matrix could not say (though it changes the path that training takes). Any function between them that is not a polynomial lets a network with one wide enough hidden layer come as near as wanted to every continuous function on a bounded set (Leshno et al. 1993).",
            "To see it: the gradient of a linear network with respect to its input is the same wherever the input lies. With an activation between, it depends on the input.",
        ],
        shown: &[
            (
                "Both rows of the gradient are equal, whatever the inputs:",
                "wythe run -e 'linear(4) |> linear(1)' --input '[[1, 2], [-3, 5]]' --grad --cotangent ones",
            ),
            (
                "With tanh between they differ:",
                "wythe run -e 'linear(4) |> tanh |> linear(1)' --input '[[1, 2], [-3, 5]]' --grad --cotangent ones",
            ),
        ],
    },
    Question {
        name: "norm-parameters",
        asks: "How many parameters does each norm have, and what else does it keep?",
        chinese: "各种归一化层有多少参数？",
        answer: &[
            "For d channels or a width of d: layernorm 2d (gain and bias), rmsnorm d (gain only), batchnorm 2d learned plus a running mean and variance of d each and a counter, which are state and not learned; dyt d + d + 1 (gain, bias, one alpha); l2norm none.",
            "The number never depends on the batch or the length of a sequence. `summary` counts learned parameters and state apart.",
        ],
        shown: &[(
            "Four norms of width 64:",
            "dim batch\nmodel norms : (x: f32[batch, 64]) -> f32[batch, 64] {\n  layernorm\n  rmsnorm\n  batchnorm\n  dyt\n}",
        )],
    },
    Question {
        name: "axes",
        asks: "Which axes do norms, convolutions and poolings work over?",
        chinese: "归一化、卷积与池化分别作用于哪些轴？",
        answer: &[
            "layernorm and rmsnorm: the last axis, for each sample and each position alone, so a row never knows its batch. batchnorm: the batch and all spatial axes, for each channel (axis 1), in train; in eval it uses what it kept. Convolution: sums over the channels of axis 1 and a window of the spatial axes, and keeps the batch. Pooling: a window of the spatial axes, each channel alone.",
            "softmax and cross_entropy take the last axis unless told otherwise; attention mixes the axis before the last, and nothing else does.",
        ],
        shown: &[
            ("Each row is normalised alone:", "wythe run -e 'layernorm' --input '[[1, 2, 3], [10, 20, 30]]'"),
            (
                "Each column over the batch:",
                "wythe run -e 'batchnorm' --input '[[1, 2, 3], [10, 20, 30]]' --mode train",
            ),
        ],
    },
    Question {
        name: "likelihood",
        asks: "What is the negative log-likelihood, and how is cross entropy related to it?",
        chinese: "NLL 是什么？它与交叉熵有什么关系？",
        answer: &[
            "The likelihood of a target is the probability that the model gives it. Its logarithm, negated, is 0 where the model is certain and right, and grows without bound where it is certain and wrong. nll takes log-probabilities and picks the target's: -logprobs[target]. It takes no logarithm itself.",
            "cross_entropy takes logits: cross_entropy(z) = nll(log_softmax(z)), in one numerically safe pass. A softmax in front of cross_entropy squeezes the logits into 0…1: with 10 classes the loss is then confined to 1.461…2.461 and hardly learns.",
        ],
        shown: &[
            (
                "Equal logits for two classes cost ln 2 = 0.6931:",
                "wythe run -e '(logits, target) |> cross_entropy' --input 'logits=[[0, 0]]' --input 'target=[1]'",
            ),
            (
                "The same in two steps:",
                "wythe run -e '(logits |> log_softmax, target) |> nll' --input 'logits=[[0, 0]]' --input 'target=[1]'",
            ),
        ],
    },
    Question {
        name: "softmax-gradient",
        asks: "What is the gradient of softmax, what is its shape, and why is no Jacobian built?",
        chinese: "softmax 的梯度是什么形状？为什么不构造雅可比矩阵？",
        answer: &[
            "The Jacobian of a row of n is n x n: dy_i/dx_j = y_i (1[i = j] - y_j). Backward never needs it, only its product with the gradient that comes in, and that is dx = y * (dy - sum(dy * y)): the shape of x, with n operations instead of n squared. The same holds for every operator: a gradient rule maps the gradient of the output to gradients of the operands, and no matrix of all pairs exists.",
            "The gradient of each row sums to 0, since adding a constant to all logits changes nothing.",
        ],
        shown: &[(
            "The gradient of the first probability; it sums to 0:",
            "wythe run -e 'softmax' --input '[[1, 2, 3]]' --grad --cotangent '[[1, 0, 0]]'",
        )],
    },
    Question {
        name: "softmax-denominator",
        asks: "Is softmax's denominator computed again on the way back?",
        chinese: "反向传播时会重新计算 softmax 的分母吗？",
        answer: &[
            "No. The way back needs the probabilities only, and they are the output, which is kept: dx = y * (dy - sum(dy * y)). Forward subtracts the greatest logit first, so that no exponential overflows; that changes no result.",
            "Attention is the exception by choice: it keeps no square of probabilities but one number a row, the logarithm of the denominator, and computes the probabilities again from it, tile by tile.",
        ],
        shown: &[
            ("Large logits do no harm:", "wythe run -e 'softmax' --input '[[1000, 1001, 1002]]'"),
            (
                "What is kept can be seen in the graph with gradients:",
                "dim batch\nmodel m : (x: f32[batch, 8]) -> f32[batch, 8] { softmax }",
            ),
        ],
    },
    Question {
        name: "views",
        asks: "Which operators are views, which copy, and which work in place?",
        chinese: "哪些算子是视图、拷贝或原地操作？",
        answer: &[
            "A view changes how memory is read and moves nothing: reshape, flatten, permute, transpose, squeeze, unsqueeze, expand. permute only exchanges strides. reshape copies only where no strides can say the new shape, as after a permute; expand reads one element many times with stride 0, and its gradient sums.",
            "Elementwise operators run in place where nobody else reads their input: the planner decides it from lifetimes, never the user, and no result depends on it. Every operator's page says which it is (`memory`), and the plan shows each copy that was inserted.",
        ],
        shown: &[(
            "To see the plan: save this as views.model, then `wythe graph views.model --stage plan --bind batch=2`:",
            "dim batch\nmodel views : (x: f32[batch, 4, 6]) -> f32[batch, 24] {\n  permute(0, 2, 1)\n  relu\n  flatten(from = 1)\n}",
        )],
    },
    Question {
        name: "norm-placement",
        asks: "Where does the norm of a residual stand, and which formulas are wrong?",
        chinese: "残差连接中的归一化放在哪里？哪些公式是错的？",
        answer: &[
            "Pre: x + f(norm(x)), the stream is never normalised, and one norm is needed after the last residual. Post: norm(x + f(x)), the stream is normalised after every sublayer. Deep: norm(alpha x + f(x)). For attention A and feed-forward F in turn, pre is h = x + A(norm(x)), then h + F(norm(h)); post is h = norm(x + A(x)), then norm(h + F(h)).",
            "Two formulas go round that are neither. x + norm(F(x + norm(A(x)))) is called post-norm and is not: it normalises what is added and leaves the stream as it is. x + F(norm(x)) + A(norm(x)) is called GPT's pre-norm and is not: both sublayers see the same x, which is the parallel form; GPT's second sublayer sees what the first has added.",
        ],
        shown: &[
            (
                "Pre, and the norm at the end:",
                "dim batch, seq\nmodel pre : (x: f32[batch, seq, 32]) -> f32[batch, seq, 32] {\n  residual pre layernorm { attention(4) }\n  residual pre layernorm { linear(64); gelu; linear(32) }\n  layernorm\n}",
            ),
            (
                "Post:",
                "dim batch, seq\nmodel post : (x: f32[batch, seq, 32]) -> f32[batch, seq, 32] {\n  residual post layernorm { attention(4) }\n  residual post layernorm { linear(64); gelu; linear(32) }\n}",
            ),
        ],
    },
    Question {
        name: "deepnorm",
        asks: "What are DeepNorm's alpha and beta, and where do they act?",
        chinese: "DeepNorm 的 α 与 β 是什么？作用在哪里？",
        answer: &[
            "x becomes norm(alpha x + f(x)): alpha strengthens the skip. beta is no factor in the forward pass: it is the gain of the initial weights inside f (Xavier-normal, on every linear and convolution; of an attention on the values and the output projection only), so that the updates of a deep stack stay bounded at the start (Wang et al. 2022).",
            "For a stack of N layers of two sublayers alpha = (2N)^(1/4) and beta = (8N)^(-1/4); here both follow from the number S of deep residuals that the stream passes through: S^(1/4) and (4S)^(-1/4). `deep(alpha = …, beta = …)` fixes them by hand.",
        ],
        shown: &[(
            "A stack of 100 layers; `wythe graph` shows alpha = 3.7606 and gain = 0.1880:",
            "dim batch\nmodel stack : (x: f32[batch, 64]) -> f32[batch, 64] {\n  repeat 100 {\n    residual deep layernorm { linear(64) }\n    residual deep layernorm { linear(256); gelu; linear(64) }\n  }\n}",
        )],
    },
    Question {
        name: "train-eval",
        asks: "How do training and evaluation differ, and how is that done?",
        chinese: "训练与推理有什么区别？如何实现？",
        answer: &[
            "Few operators differ: dropout drops and rescales in train and does nothing in eval; batchnorm uses the statistics of the batch in train (and updates its running ones) and the running ones in eval. `summary` names the layers of a model that do.",
            "There is no flag that a run reads. The mode is chosen when the graph is made: `expand(mode)` writes each of these operators out as what it is in that mode, so train and eval are two graphs over the same weights, and nothing can be in the wrong one.",
        ],
        shown: &[
            ("In eval dropout is the identity:", "wythe run -e 'dropout(0.5)' --input '[1, 2, 3, 4]'"),
            (
                "In train half of it is gone and the rest doubled:",
                "wythe run -e 'dropout(0.5)' --input '[1, 2, 3, 4]' --mode train",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    #[test]
    fn every_model_of_an_answer_checks_in_silence() {
        for (says, text) in QUESTIONS.iter().flat_map(|question| question.shown) {
            if !text.starts_with("wythe ") {
                let model = Model::check(text).unwrap_or_else(|reports| panic!("{says}\n{reports}"));
                assert!(model.warnings().is_empty(), "{says}");
            }
        }
    }
}
