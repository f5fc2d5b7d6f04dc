//! torch.nn, class by class: our name for each, or why there is none.

use super::page::Page;
use crate::ops;

/// A category of torch.nn's documentation.
pub struct Category {
    /// As it is called there.
    pub title: &'static str,
    /// Classes, and what they are here.
    pub rows: &'static [Row],
}

/// Classes that are one thing here.
pub struct Row {
    /// Their names.
    pub theirs: &'static [&'static str],
    /// What they are here, our names in backticks.
    pub ours: &'static str,
}

const fn row(theirs: &'static [&'static str], ours: &'static str) -> Row {
    Row { theirs, ours }
}

/// All of them.
#[rustfmt::skip]
pub static CATEGORIES: &[Category] = &[
    Category { title: "Containers", rows: &[
        row(&["Module", "Container"], "`block`, `model`"),
        row(&["Sequential"], "a body: stages one below the other"),
        row(&["ModuleList"], "`repeat`, `for`"),
        row(&["ModuleDict"], "`if` over hyperparameters; named layers"),
        row(&["Parameter", "ParameterList", "ParameterDict"], "`parameter`, several of them"),
        row(&["Buffer", "UninitializedParameter", "UninitializedBuffer"], "none needed: state belongs to the operators that keep it"),
    ] },
    Category { title: "Convolution", rows: &[
        row(&["Conv1d", "Conv2d", "Conv3d"], "`conv`: the number of axes is that of the input"),
        row(&["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"], "`conv_transpose`"),
        row(&["Unfold"], "`unfold`"),
        row(&["Fold"], "`fold`"),
    ] },
    Category { title: "Pooling", rows: &[
        row(&["MaxPool1d", "MaxPool2d", "MaxPool3d"], "`maxpool`"),
        row(&["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"], "`maxunpool`"),
        row(&["AvgPool1d", "AvgPool2d", "AvgPool3d"], "`avgpool`"),
        row(&["FractionalMaxPool2d", "FractionalMaxPool3d"], "planned: its windows are random"),
        row(&["LPPool1d", "LPPool2d", "LPPool3d"], "`lp_pool`"),
        row(&["AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"], "`adaptive_maxpool`"),
        row(&["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"], "`adaptive_avgpool`"),
    ] },
    Category { title: "Padding", rows: &[
        row(&["ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d"], "`pad(n, mode = \"reflect\")`"),
        row(&["ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d"], "`pad(n, mode = \"replicate\")`"),
        row(&["ZeroPad1d", "ZeroPad2d", "ZeroPad3d"], "`pad(n)`"),
        row(&["ConstantPad1d", "ConstantPad2d", "ConstantPad3d"], "`pad(n, value = v)`"),
        row(&["CircularPad1d", "CircularPad2d", "CircularPad3d"], "`pad(n, mode = \"circular\")`"),
    ] },
    Category { title: "Activations", rows: &[
        row(&["ELU"], "`elu`"), row(&["Hardshrink"], "`hardshrink`"), row(&["Hardsigmoid"], "`hardsigmoid`"),
        row(&["Hardtanh"], "`hardtanh`"), row(&["Hardswish"], "`hardswish`"), row(&["LeakyReLU"], "`leaky_relu`"),
        row(&["LogSigmoid"], "`logsigmoid`"), row(&["MultiheadAttention"], "`attention`"), row(&["PReLU"], "`prelu`"),
        row(&["ReLU"], "`relu`"), row(&["ReLU6"], "`relu6`"), row(&["RReLU"], "`rrelu`"), row(&["SELU"], "`selu`"),
        row(&["CELU"], "`celu`"), row(&["GELU"], "`gelu`"), row(&["Sigmoid"], "`sigmoid`"), row(&["SiLU"], "`silu`"),
        row(&["Mish"], "`mish`"), row(&["Softplus"], "`softplus`"), row(&["Softshrink"], "`softshrink`"),
        row(&["Softsign"], "`softsign`"), row(&["Tanh"], "`tanh`"), row(&["Tanhshrink"], "`tanhshrink`"),
        row(&["Threshold"], "`threshold`"), row(&["GLU"], "`glu`"),
    ] },
    Category { title: "Activations, other", rows: &[
        row(&["Softmin"], "`softmin`"),
        row(&["Softmax"], "`softmax`"),
        row(&["Softmax2d"], "`softmax(axis = 1)`"),
        row(&["LogSoftmax"], "`log_softmax`"),
        row(&["AdaptiveLogSoftmaxWithLoss"], "planned"),
    ] },
    Category { title: "Normalisation", rows: &[
        row(&["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"], "`batchnorm`"),
        row(&["SyncBatchNorm"], "planned, with data parallel training"),
        row(&["GroupNorm"], "`groupnorm`"),
        row(&["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"], "`instancenorm`"),
        row(&["LayerNorm"], "`layernorm`"),
        row(&["LocalResponseNorm", "CrossMapLRN2d"], "`local_response_norm`"),
        row(&["RMSNorm"], "`rmsnorm`"),
    ] },
    Category { title: "Recurrent", rows: &[
        row(&["RNN"], "`rnn`"), row(&["LSTM"], "`lstm`"), row(&["GRU"], "`gru`"),
        row(&["RNNCell"], "`rnn_cell`"), row(&["LSTMCell"], "`lstm_cell`"), row(&["GRUCell"], "`gru_cell`"),
        row(&["RNNBase", "RNNCellBase"], "none: no layers, but what their layers are written in"),
    ] },
    Category { title: "Transformer", rows: &[
        row(&["TransformerEncoderLayer"], "a block: `use \"lib/transformer.model\"`"),
        row(&["TransformerDecoderLayer"], "a block: `use \"lib/transformer_decoder.model\"`"),
        row(&["TransformerEncoder", "TransformerDecoder"], "`repeat` of such a block"),
        row(&["Transformer"], "a model: models/transformer.model"),
    ] },
    Category { title: "Linear", rows: &[
        row(&["Identity"], "`identity`"), row(&["Linear"], "`linear`"), row(&["Bilinear"], "`bilinear`"),
    ] },
    Category { title: "Dropout", rows: &[
        row(&["Dropout"], "`dropout`"),
        row(&["Dropout1d", "Dropout2d", "Dropout3d"], "`dropout_channels`"),
        row(&["AlphaDropout"], "`alpha_dropout`"),
        row(&["FeatureAlphaDropout"], "`alpha_dropout_channels`"),
    ] },
    Category { title: "Sparse", rows: &[
        row(&["Embedding"], "`embedding`"), row(&["EmbeddingBag"], "`embedding_bag`"),
    ] },
    Category { title: "Distance", rows: &[
        row(&["CosineSimilarity"], "`cosine_similarity`"), row(&["PairwiseDistance"], "`pairwise_distance`"),
    ] },
    Category { title: "Loss", rows: &[
        row(&["L1Loss"], "`l1`"), row(&["MSELoss"], "`mse`"), row(&["CrossEntropyLoss"], "`cross_entropy`"),
        row(&["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"], "two stages: `linear(C)`, `cross_entropy`"),
        row(&["CTCLoss"], "`ctc`"), row(&["NLLLoss", "NLLLoss2d"], "`nll`"), row(&["PoissonNLLLoss"], "`poisson_nll`"),
        row(&["GaussianNLLLoss"], "`gaussian_nll`"), row(&["KLDivLoss"], "`kl_div`"), row(&["BCELoss"], "`bce`"),
        row(&["BCEWithLogitsLoss"], "`bce_with_logits`"), row(&["MarginRankingLoss"], "`margin_ranking`"),
        row(&["HingeEmbeddingLoss"], "`hinge_embedding`"), row(&["MultiLabelMarginLoss"], "`multilabel_margin`"),
        row(&["HuberLoss"], "`huber`"), row(&["SmoothL1Loss"], "`smooth_l1`"), row(&["SoftMarginLoss"], "`soft_margin`"),
        row(&["MultiLabelSoftMarginLoss"], "`multilabel_soft_margin`"),
        row(&["CosineEmbeddingLoss"], "`cosine_embedding`"), row(&["MultiMarginLoss"], "`multi_margin`"),
        row(&["TripletMarginLoss"], "`triplet_margin`"),
        row(&["TripletMarginWithDistanceLoss"], "an expression: two distances, `sub`, `relu`, `mean`"),
    ] },
    Category { title: "Vision", rows: &[
        row(&["PixelShuffle"], "`pixel_shuffle`"), row(&["PixelUnshuffle"], "`pixel_unshuffle`"),
        row(&["Upsample"], "`upsample`"), row(&["UpsamplingNearest2d"], "`upsample(2)`"),
        row(&["UpsamplingBilinear2d"], "`upsample(2, mode = \"bilinear\", align_corners = true)`"),
    ] },
    Category { title: "Shuffle", rows: &[row(&["ChannelShuffle"], "`channel_shuffle`")] },
    Category { title: "DataParallel", rows: &[row(&["DataParallel", "DistributedDataParallel"], "planned: one machine, one process")] },
    Category { title: "Utilities", rows: &[
        row(&["Flatten"], "`flatten`"), row(&["Unflatten"], "`unflatten`"),
        row(&["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "clip_grads_with_norm_"], "`clip` in the train section; `grad_norm` is in the log"),
        row(&["parameters_to_vector", "vector_to_parameters"], "none needed: weights are tensors by path, in a file"),
        row(&["fuse_conv_bn_eval", "fuse_linear_bn_eval"], "planned, as a pass"),
        row(&["weight_norm", "spectral_norm"], "the attribute `reparam` of `linear`, `conv` and `conv_transpose`"),
        row(&["orthogonal"], "planned"),
        row(&["pack_padded_sequence", "pad_packed_sequence", "pack_sequence", "pad_sequence"], "the operand `lengths` of recurrent layers"),
        row(&["prune"], "planned"),
    ] },
    Category { title: "Quantized", rows: &[row(&["quantized"], "planned")] },
    Category { title: "Lazy", rows: &[
        row(&["LazyLinear"], "`linear(out)`: the input is always inferred"),
        row(&["LazyConv1d", "LazyConv2d", "LazyConv3d"], "`conv`"),
        row(&["LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d"], "`conv_transpose`"),
        row(&["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d"], "`batchnorm`"),
        row(&["LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"], "`instancenorm`"),
    ] },
];

/// Words of the language that stand in the table beside operators.
const WORDS: &[&str] = &["block", "model", "repeat", "for", "if", "use", "clip", "grad_norm", "reparam", "lengths"];

impl Row {
    /// Our names in it: the first word of each piece between backticks.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let pieces = self.ours.split('`').skip(1).step_by(2);
        let word = |piece: &'static str| piece.split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
        pieces.filter_map(word).filter(|word| !WORDS.contains(word))
    }

    /// What it says now: a name that does not exist yet is planned.
    pub fn says(&self) -> String {
        let missing = self.names().any(|name| ops::find(name).is_none());
        if missing { format!("{} (planned)", self.ours) } else { self.ours.into() }
    }
}

/// The row of a class, by its last name.
pub fn of_class(class: &str) -> Option<&'static Row> {
    let class = class.trim().rsplit('.').next().unwrap_or("");
    let named = |row: &&Row| row.theirs.iter().any(|name| name.eq_ignore_ascii_case(class));
    CATEGORIES.iter().flat_map(|category| category.rows).find(named)
}

pub(super) const LEAD: &str = "The classes of torch.nn, and what each is here.";

pub(super) fn page() -> Page {
    let row = |row: &Row| format!("{}: {}", row.theirs.join(", "), row.says());
    let rows = |category: &Category| category.rows.iter().map(row).collect::<Vec<_>>().join("; ");
    Page {
        name: "torch.nn".into(),
        kind: "table".into(),
        lead: LEAD.into(),
        facts: CATEGORIES.iter().map(|category| (category.title, rows(category))).collect(),
        attributes: vec![],
        text: vec!["Parameters and state have PyTorch's names and layouts, below the path of the layer.".into()],
        examples: vec![],
        curve: None,
    }
}
