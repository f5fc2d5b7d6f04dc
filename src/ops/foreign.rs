//! What other libraries call things: for whoever types `nn.Linear(784, 256)`, `Dense(10)` or `padding = 1`.
//!
//! Data in one place; the sentences are made where the spans are. An entry has their names, our word, and their
//! parameters in the order of their signature, each with what becomes of it here:
//!
//! * `bias`: the same name; `out_features=out`: another one here;
//! * `-in_features`: not said here, it is inferred or there is no such thing;
//! * `activation!`: a stage of its own, after this one;
//! * `+mode="reflect"`: an attribute here that their name alone says.

/// A layer, function or method of another library.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Their names; several where libraries differ only in those.
    pub theirs: &'static [&'static str],
    /// Our operator.
    pub ours: &'static str,
    /// Their parameters.
    pub params: &'static str,
}

const fn same(theirs: &'static [&'static str], ours: &'static str, params: &'static str) -> Foreign {
    Foreign { theirs, ours, params }
}

const CONV: &str = "-in_channels out_channels=out kernel_size=kernel stride padding=pad dilation groups bias \
                    padding_mode=pad_mode";
const CONV_KERAS: &str = "filters=out kernel_size=kernel strides=stride padding=pad -data_format \
                          dilation_rate=dilation groups activation! use_bias=bias";
const CONV_TRANSPOSE: &str = "-in_channels out_channels=out kernel_size=kernel stride padding=pad \
                              output_padding=output_pad groups bias dilation";
const LSTM: &str = "-input_size hidden_size=hidden num_layers=layers bias -batch_first dropout bidirectional \
                    proj_size=proj";
const CELL: &str = "-input_size hidden_size=hidden bias";
const POOL: &str = "kernel_size=kernel stride padding=pad dilation -return_indices ceil_mode";
const POOL_KERAS: &str = "pool_size=kernel strides=stride padding=pad";
const BATCHNORM: &str = "num_features=channels eps momentum affine track_running_stats=track";
const AXIS: &str = "dim=axis keepdim=keep";
const DROPOUT: &str = "p -inplace";

/// Layers, functions and methods. A name is looked for as it is written, then in lower case without `_`.
pub static CALLS: &[Foreign] = &[
    // Linear algebra.
    same(&["Linear", "LazyLinear"], "linear", "-in_features out_features=out bias"),
    same(&["Dense", "fc", "fully_connected", "InnerProduct", "Gemm"], "linear", "units=out activation! use_bias=bias"),
    same(&["Bilinear"], "bilinear", "-in1_features -in2_features out_features=out bias"),
    same(&["mm", "bmm", "mv", "dot"], "matmul", ""),
    same(&["einsum"], "einsum", "equation"),
    // Convolution and pooling.
    same(&["Conv1d", "Conv2d", "Conv3d", "LazyConv2d"], "conv", CONV),
    same(&["Conv1D", "Conv2D", "Conv3D", "Convolution2D"], "conv", CONV_KERAS),
    same(&["Conv"], "conv", "features=out kernel_size=kernel strides=stride padding=pad use_bias=bias"),
    same(&["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"], "conv_transpose", CONV_TRANSPOSE),
    same(&["Conv1DTranspose", "Conv2DTranspose"], "conv_transpose", CONV_KERAS),
    same(&["MaxPool1d", "MaxPool2d", "MaxPool3d", "max_pool1d", "max_pool2d", "max_pool"], "maxpool", POOL),
    same(&["MaxPooling1D", "MaxPooling2D", "MaxPool2D"], "maxpool", POOL_KERAS),
    same(
        &["AvgPool1d", "AvgPool2d", "AvgPool3d", "avg_pool2d", "avg_pool"],
        "avgpool",
        "kernel_size=kernel stride padding=pad ceil_mode count_include_pad divisor_override",
    ),
    same(&["AveragePooling1D", "AveragePooling2D", "AvgPool2D"], "avgpool", POOL_KERAS),
    same(&["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"], "adaptive_avgpool", "output_size=size"),
    same(&["AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"], "adaptive_maxpool", "output_size=size"),
    same(&["GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAvgPool2D", "gap"], "avgpool_global", "-format"),
    same(&["GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPool2D"], "maxpool_global", "-format"),
    same(&["Upsample", "interpolate"], "upsample", "size scale_factor=scale mode align_corners"),
    same(&["UpSampling2D", "UpSampling1D", "UpSampling3D"], "upsample", "size=scale -data_format interpolation=mode"),
    same(&["Unfold", "im2col"], "unfold", "kernel_size=kernel dilation padding=pad stride"),
    same(&["Fold", "col2im"], "fold", "output_size=size kernel_size=kernel dilation padding=pad stride"),
    same(&["LPPool1d", "LPPool2d", "LPPool3d"], "lp_pool", "norm_type=p kernel_size=kernel stride ceil_mode"),
    same(&["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"], "maxunpool", "kernel_size=kernel stride padding=pad"),
    same(&["ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "ZeroPadding1D", "ZeroPadding2D"], "pad", "padding=amount"),
    same(&["ConstantPad1d", "ConstantPad2d", "ConstantPad3d"], "pad", "padding=amount value"),
    same(&["ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d"], "pad", "padding=amount +mode=\"reflect\""),
    same(&["ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d"], "pad", "padding=amount +mode=\"replicate\""),
    same(&["CircularPad1d", "CircularPad2d", "CircularPad3d"], "pad", "padding=amount +mode=\"circular\""),
    same(&["PixelShuffle"], "pixel_shuffle", "upscale_factor=factor"),
    same(&["PixelUnshuffle"], "pixel_unshuffle", "downscale_factor=factor"),
    same(&["ChannelShuffle"], "channel_shuffle", "groups"),
    same(&["FractionalMaxPool2d", "FractionalMaxPool3d"], "fractional_maxpool", "kernel_size=kernel output_size=size"),
    // Normalisation.
    same(&["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm2d", "SyncBatchNorm"], "batchnorm", BATCHNORM),
    same(&["BatchNormalization", "BatchNorm"], "batchnorm", "-axis momentum epsilon=eps center=bias scale=affine"),
    same(&["LayerNorm"], "layernorm", "normalized_shape=shape eps elementwise_affine=affine bias"),
    same(&["LayerNormalization"], "layernorm", "-axis epsilon=eps center=bias scale=affine"),
    same(&["RMSNorm"], "rmsnorm", "normalized_shape=shape eps elementwise_affine=affine"),
    same(&["GroupNorm", "GroupNormalization"], "groupnorm", "num_groups=groups num_channels=channels eps affine"),
    same(&["InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"], "instancenorm", BATCHNORM),
    same(&["LocalResponseNorm"], "local_response_norm", "size alpha beta k"),
    same(&["normalize", "normalise", "UnitNormalization"], "l2norm", "-p dim=axis eps"),
    // Activations.
    same(&["ReLU", "Relu"], "relu", "-inplace"),
    same(&["ReLU6"], "relu6", "-inplace"),
    same(&["LeakyReLU"], "leaky_relu", "negative_slope=slope -inplace"),
    same(&["PReLU"], "prelu", "num_parameters=channels init"),
    same(&["ELU"], "elu", "alpha -inplace"),
    same(&["SELU"], "selu", "-inplace"),
    same(&["GELU", "Gelu", "gelu_new", "quick_gelu"], "gelu", "approximate=form"),
    same(&["SiLU", "Silu", "Swish"], "silu", "-inplace"),
    same(&["Mish"], "mish", "-inplace"),
    same(&["Sigmoid", "expit"], "sigmoid", ""),
    same(&["Tanh"], "tanh", ""),
    same(&["Softplus"], "softplus", "beta threshold"),
    same(&["Hardswish"], "hardswish", "-inplace"),
    same(&["Hardsigmoid"], "hardsigmoid", "-inplace"),
    same(&["Hardtanh"], "hardtanh", "min_val=min max_val=max -inplace"),
    same(&["RReLU"], "rrelu", "lower upper -inplace"),
    same(&["CELU"], "celu", "alpha -inplace"),
    same(&["LogSigmoid"], "logsigmoid", ""),
    same(&["Softsign"], "softsign", ""),
    same(&["Tanhshrink"], "tanhshrink", ""),
    same(&["Softshrink"], "softshrink", "lambd=lambda"),
    same(&["Hardshrink"], "hardshrink", "lambd=lambda"),
    same(&["Threshold"], "threshold", "threshold value -inplace"),
    same(&["Softmin"], "softmin", "dim=axis"),
    same(&["GLU"], "glu", "dim=axis"),
    same(&["Softmax"], "softmax", "dim=axis"),
    same(&["LogSoftmax"], "log_softmax", "dim=axis"),
    // Dropout.
    same(&["Dropout"], "dropout", DROPOUT),
    same(&["Dropout2d", "Dropout1d", "Dropout3d", "SpatialDropout2D"], "dropout_channels", DROPOUT),
    same(&["AlphaDropout"], "alpha_dropout", DROPOUT),
    same(&["FeatureAlphaDropout"], "alpha_dropout_channels", DROPOUT),
    same(&["GaussianNoise"], "gaussian_noise", "stddev=std"),
    same(&["DropPath", "StochasticDepth"], "drop_path", "drop_prob=p"),
    // Embedding, attention, recurrence.
    same(
        &["Embedding", "Embed", "lookup_table"],
        "embedding",
        "num_embeddings=vocab embedding_dim=d padding_idx=padding_index max_norm norm_type scale_grad_by_freq -sparse",
    ),
    same(
        &["EmbeddingBag"],
        "embedding_bag",
        "num_embeddings=vocab embedding_dim=d max_norm norm_type -scale_grad_by_freq mode -sparse -_weight \
         -include_last_offset padding_idx=padding_index",
    ),
    same(
        &["MultiheadAttention"],
        "attention",
        "-embed_dim num_heads=heads dropout bias add_bias_kv add_zero_attn -kdim -vdim -batch_first",
    ),
    same(
        &["MultiHeadAttention", "SelfAttention", "MultiHeadDotProductAttention"],
        "attention",
        "num_heads=heads key_dim=head_dim -value_dim dropout use_bias=bias",
    ),
    same(&["scaled_dot_product_attention"], "sdpa", "attn_mask=mask dropout_p=dropout is_causal=causal scale"),
    same(&["LSTM"], "lstm", LSTM),
    same(&["GRU"], "gru", "-input_size hidden_size=hidden num_layers=layers bias -batch_first dropout bidirectional"),
    same(
        &["RNN", "SimpleRNN"],
        "rnn",
        "-input_size hidden_size=hidden num_layers=layers nonlinearity bias -batch_first dropout bidirectional",
    ),
    same(&["LSTMCell"], "lstm_cell", CELL),
    same(&["GRUCell"], "gru_cell", CELL),
    same(&["RNNCell", "SimpleRNNCell"], "rnn_cell", "-input_size hidden_size=hidden bias nonlinearity"),
    // Shapes and reductions.
    same(&["Unflatten"], "unflatten", "dim=axis unflattened_size=sizes"),
    same(&["Flatten"], "flatten", "start_dim=from end_dim=to"),
    same(&["view", "Reshape"], "reshape", "shape"),
    same(&["Permute"], "permute", "dims=axes"),
    same(&["T", "mT", "swapaxes", "Transpose"], "transpose", "dim0=a dim1=b"),
    same(&["cat", "Concatenate", "Concat", "concatenate"], "concat", "dim=axis"),
    same(&["Stack"], "stack", "dim=axis"),
    same(&["expand_dims", "ExpandDims", "newaxis"], "unsqueeze", "dim=axis"),
    same(&["broadcast_to", "expand_as"], "expand", "shape"),
    same(&["repeat", "repeats", "Tile"], "tile", "reps"),
    same(&["sum", "reduce_sum"], "sum", AXIS),
    same(&["mean", "reduce_mean", "average"], "mean", AXIS),
    same(&["amax", "reduce_max"], "max", AXIS),
    same(&["Add"], "add", ""),
    same(&["Multiply"], "mul", ""),
    same(&["Identity", "Lambda"], "identity", ""),
    same(&["arange"], "range", ""),
    same(&["Parameter"], "parameter", "shape"),
    same(&["float", "float32"], "cast(\"f32\")", ""),
    same(&["long", "int", "int64"], "cast(\"i64\")", ""),
    same(&["detach", "stop_gradient"], "detach", ""),
    // Losses.
    same(
        &[
            "CrossEntropyLoss",
            "CrossEntropy",
            "sparse_categorical_crossentropy",
            "categorical_crossentropy",
            "SparseCategoricalCrossentropy",
            "CategoricalCrossentropy",
            "softmax_cross_entropy",
            "crossentropy",
            "ce",
        ],
        "cross_entropy",
        "weight -size_average ignore_index -reduce reduction label_smoothing",
    ),
    same(&["NLLLoss", "nll_loss"], "nll", "weight -size_average ignore_index -reduce reduction"),
    same(
        &["MSELoss", "mse_loss", "mean_squared_error", "MeanSquaredError", "l2_loss"],
        "mse",
        "-size_average -reduce reduction",
    ),
    same(
        &["L1Loss", "l1_loss", "mae", "mean_absolute_error", "MeanAbsoluteError"],
        "l1",
        "-size_average -reduce reduction",
    ),
    same(&["SmoothL1Loss", "smooth_l1_loss"], "smooth_l1", "-size_average -reduce reduction beta"),
    same(&["HuberLoss", "Huber"], "huber", "reduction delta"),
    same(
        &["BCELoss", "binary_cross_entropy", "binary_crossentropy", "BinaryCrossentropy"],
        "bce",
        "weight -size_average -reduce reduction",
    ),
    same(
        &["BCEWithLogitsLoss", "binary_cross_entropy_with_logits"],
        "bce_with_logits",
        "weight -size_average -reduce reduction pos_weight",
    ),
    same(&["KLDivLoss"], "kl_div", "-size_average -reduce reduction log_target"),
    same(&["PoissonNLLLoss"], "poisson_nll", "log_input full -size_average eps -reduce reduction"),
    same(&["GaussianNLLLoss"], "gaussian_nll", "full eps reduction"),
    same(&["HingeEmbeddingLoss"], "hinge_embedding", "margin -size_average -reduce reduction"),
    same(&["SoftMarginLoss"], "soft_margin", "-size_average -reduce reduction"),
    same(&["MarginRankingLoss"], "margin_ranking", "margin -size_average -reduce reduction"),
    same(&["MultiMarginLoss"], "multi_margin", "p margin weight -size_average -reduce reduction"),
    same(&["MultiLabelMarginLoss"], "multilabel_margin", "-size_average -reduce reduction"),
    same(&["MultiLabelSoftMarginLoss"], "multilabel_soft_margin", "weight -size_average -reduce reduction"),
    same(&["TripletMarginLoss"], "triplet_margin", "margin p eps swap -size_average -reduce reduction"),
    same(&["CosineEmbeddingLoss"], "cosine_embedding", "margin -size_average -reduce reduction"),
    same(&["CosineSimilarity"], "cosine_similarity", "dim=axis eps"),
    same(&["PairwiseDistance"], "pairwise_distance", "p eps keepdim=keep"),
    same(&["CTCLoss", "ctc_loss"], "ctc", "blank reduction zero_infinity"),
    // Metrics.
    same(&["Accuracy", "acc", "sparse_categorical_accuracy", "top1"], "accuracy", ""),
];

/// Optimizers and schedules of a train section.
pub static TRAINING: &[Foreign] = &[
    same(&["SGD"], "sgd", "lr momentum dampening weight_decay nesterov"),
    same(&["Adam"], "adam", "lr betas eps weight_decay amsgrad"),
    same(&["AdamW"], "adamw", "lr betas eps weight_decay amsgrad"),
    same(&["RMSprop"], "rmsprop", "lr alpha eps weight_decay momentum centered"),
    same(&["StepLR"], "step", "step_size=size gamma"),
    same(&["MultiStepLR"], "multistep", "milestones gamma"),
    same(&["ExponentialLR", "ExponentialDecay"], "exponential", "gamma"),
    same(&["CosineAnnealingLR", "CosineDecay", "cosine_annealing"], "cosine", "T_max=steps eta_min=min"),
    same(&["CosineAnnealingWarmRestarts"], "cosine_restarts", "T_0=first T_mult=mult eta_min=min"),
    same(&["OneCycleLR"], "one_cycle", "max_lr=max total_steps=steps"),
    same(&["ReduceLROnPlateau"], "plateau", "mode factor patience"),
    same(&["LinearWarmup", "warmup_steps"], "warmup", "steps"),
];

/// What is no operator here, and how it is written: names, advice.
pub static ADVICE: &[(&[&str], &str)] = &[
    (&["Sequential", "ModuleList", "nn_Sequential"], "a body is the sequence: one stage a line"),
    (&["Module", "Model", "Layer"], "a network is a `model`, a part of it a `block`"),
    (&["Input", "InputLayer", "input", "Output", "output"], "inputs and outputs stand in the model's signature"),
    (&["Activation", "get_activation"], "an activation is a stage of its own: `relu`"),
    (
        &["TransformerEncoderLayer", "TransformerBlock", "EncoderLayer"],
        "it is two residuals: `residual pre layernorm { attention(8) }`, then `residual pre layernorm { linear(4 * d); gelu; linear(d) }`",
    ),
    (
        &["TransformerEncoder", "TransformerDecoder", "Transformer"],
        "it is a `repeat` of blocks: `repeat depth { encoder_layer(d, heads) }`",
    ),
    (&["FeedForward", "MLP", "Mlp", "FFN"], "write it out as a block: `linear(4 * d); gelu; linear(d)`"),
    (
        &["PositionalEncoding", "PositionalEmbedding", "pos_embed"],
        "learned positions are `range(seq) |> embedding(ctx, d)`, added by `+`",
    ),
    (&["print", "summary", "breakpoint"], "`wythe run`, `summary` and `graph` show values and shapes"),
    (
        &["linspace"],
        "numbers in a row are whole, and what they are divided by is arithmetic: `range(9) |> cast(\"f32\")`, then `it / 8`",
    ),
    (&["pass", "None", "noop"], "what changes nothing is written `it`"),
    (&["end", "endif", "done", "fi"], "a body ends with `}`"),
    (
        &["super", "__init__", "forward", "register_buffer"],
        "there are no classes and no constructors: leave the line out",
    ),
    (
        &["compile", "fit", "train_step", "backward", "zero_grad"],
        "training is a section: `train net { loss cross_entropy … }`",
    ),
    (
        &["cuda", "cpu", "to", "device", "contiguous", "clone", "numpy", "requires_grad_", "eval", "half"],
        "where and how a value is kept is not said in the text: leave it out",
    ),
    (&["shape", "size", "ndim", "numel"], "sizes have names: give the axis a dim in the signature"),
    (
        &["weight", "bias", "data", "grad", "parameters", "state_dict"],
        "parameters belong to their layer, and are no values of the flow",
    ),
    (&["checkpoint", "no_grad", "amp", "jit", "vmap"], "how it is computed is not said in the text: leave it out"),
];

/// Other libraries' names of attributes, and ours in the order in which they are tried.
pub static ATTRS: &[(&str, &[&str])] = &[
    ("units", &["out", "hidden"]),
    ("features", &["out"]),
    ("filters", &["out"]),
    ("output_dim", &["out", "d"]),
    ("out_dim", &["out"]),
    ("out_features", &["out"]),
    ("out_channels", &["out"]),
    ("width", &["out"]),
    ("in_features", &["in"]),
    ("in_channels", &["in"]),
    ("input_dim", &["in", "vocab"]),
    ("in_dim", &["in"]),
    ("input_size", &["in"]),
    ("use_bias", &["bias"]),
    ("has_bias", &["bias"]),
    ("kernel_size", &["kernel"]),
    ("pool_size", &["kernel"]),
    ("ksize", &["kernel"]),
    ("window", &["kernel"]),
    ("strides", &["stride"]),
    ("padding", &["pad"]),
    ("padding_mode", &["pad_mode"]),
    ("dilation_rate", &["dilation"]),
    ("group", &["groups"]),
    ("num_groups", &["groups"]),
    ("num_features", &["channels"]),
    ("num_channels", &["channels"]),
    ("epsilon", &["eps"]),
    ("normalized_shape", &["shape"]),
    ("elementwise_affine", &["affine"]),
    ("rate", &["p"]),
    ("prob", &["p"]),
    ("drop_prob", &["p"]),
    ("dropout_p", &["dropout"]),
    ("attn_dropout", &["dropout"]),
    ("attention_dropout", &["dropout"]),
    ("negative_slope", &["slope"]),
    ("approximate", &["form"]),
    ("dim", &["axis"]),
    ("dims", &["axes", "axis"]),
    ("axes", &["axis"]),
    ("keepdim", &["keep"]),
    ("keepdims", &["keep"]),
    ("keep_dims", &["keep"]),
    ("start_dim", &["from"]),
    ("end_dim", &["to"]),
    ("num_embeddings", &["vocab"]),
    ("vocab_size", &["vocab"]),
    ("embedding_dim", &["d"]),
    ("embed_dim", &["d"]),
    ("embedding_size", &["d"]),
    ("d_model", &["d"]),
    ("padding_idx", &["padding_index"]),
    ("num_heads", &["heads"]),
    ("n_heads", &["heads"]),
    ("nhead", &["heads"]),
    ("n_head", &["heads"]),
    ("num_kv_heads", &["kv_heads"]),
    ("num_key_value_heads", &["kv_heads"]),
    ("n_kv_heads", &["kv_heads"]),
    ("key_dim", &["head_dim"]),
    ("head_size", &["head_dim"]),
    ("is_causal", &["causal"]),
    ("causal_mask", &["causal"]),
    ("hidden_size", &["hidden"]),
    ("num_layers", &["layers"]),
    ("theta", &["base"]),
    ("learning_rate", &["lr"]),
    ("beta_1", &["betas"]),
    ("beta1", &["betas"]),
    ("wd", &["weight_decay"]),
    ("T_max", &["steps"]),
    ("total_steps", &["steps"]),
    ("num_steps", &["steps"]),
    ("decay_steps", &["steps"]),
    ("warmup_steps", &["steps"]),
    ("num_warmup_steps", &["steps"]),
    ("eta_min", &["min"]),
    ("min_lr", &["min"]),
    ("step_size", &["size"]),
    ("max_lr", &["max"]),
    ("max_norm", &["max"]),
    ("clip_value", &["max"]),
    ("seed", &["seed"]),
    ("target", &["label"]),
    ("target_column", &["label"]),
];

/// Attributes of others that nothing here corresponds to, and why.
pub static NEVER: &[(&[&str], &str)] = &[
    (&["inplace"], "values never change in place: leave it out"),
    (&["device", "dtype"], "where and in which precision it runs is said on the command line: leave it out"),
    (&["batch_first"], "the batch always comes first: leave it out"),
    (&["data_format"], "channels stand beside the batch, `[batch, c, h, w]`: leave it out"),
    (&["input_shape", "batch_input_shape"], "what flows in is said in the model's signature: leave it out"),
    (&["kernel_initializer", "weight_init"], "the weights are drawn by `init = xavier_uniform`, for instance"),
    (
        &["kernel_regularizer", "weight_regularizer"],
        "weight decay belongs to the optimizer: `adamw(weight_decay = 0.01)`",
    ),
    (&["trainable", "requires_grad"], "what is not trained is named in the train section: `freeze \"*.base.*\"`"),
    (
        &["attn_mask", "key_padding_mask", "mask"],
        "a mask is a tensor, and flows in: `(it, mask = keep) |> attention(8)`",
    ),
];

/// Settings of a train section under other names, and what is written here.
pub static SETTINGS: &[(&[&str], &str)] = &[
    (&["batch_size", "batchsize", "bs", "train_batch_size"], "batch"),
    (&["epoch", "num_epochs", "max_epochs", "n_epochs", "num_train_epochs"], "epochs"),
    (&["step", "num_steps", "max_steps", "iterations", "iters", "total_steps"], "steps"),
    (&["metrics"], "metric"),
    (&["criterion", "objective", "loss_fn", "loss_function", "losses"], "loss"),
    (&["opt", "optim", "optimiser", "optimizers"], "optimizer"),
    (&["scheduler", "lr_scheduler", "lr_schedule", "schedules"], "schedule"),
    (&["dataset", "train_data", "training_data", "dataloader", "input"], "data"),
    (
        &["validation", "val", "validation_split", "val_split", "validation_data", "val_data", "test", "holdout"],
        "valid",
    ),
    (&["random_seed", "random_state", "manual_seed"], "seed"),
    (&["save_every", "save_steps", "checkpoint_every"], "save"),
    (&["eval_steps", "eval_interval", "validate_every", "val_check_interval", "log_every"], "eval_every"),
    (&["label", "labels", "targets"], "target"),
    (&["frozen", "freeze_layers"], "freeze"),
];

/// Settings that are no setting here, and where such a thing is said.
pub static ELSEWHERE: &[(&[&str], &str)] = &[
    (&["lr", "learning_rate", "base_lr"], "it belongs to the optimizer: `optimizer adamw(lr = 1e-3)`"),
    (
        &["weight_decay", "momentum", "betas", "eps", "nesterov"],
        "it belongs to the optimizer: `optimizer sgd(lr = 0.1, momentum = 0.9)`",
    ),
    (
        &["grad_clip", "clip_grad", "clip_grad_norm", "gradient_clip_val", "max_grad_norm", "clipnorm"],
        "gradients are clipped by `clip norm(1.0)` or `clip value(0.5)`",
    ),
    (
        &["warmup", "warmup_steps", "num_warmup_steps", "cosine"],
        "it is a schedule: `schedule warmup(200) |> cosine(5000)`",
    ),
    (&["device", "accelerator", "gpus", "devices"], "it trains on the processor: leave it out"),
    (&["num_workers", "workers", "threads"], "the number of threads is an option of the command: `--threads 4`"),
    (
        &["amp", "precision", "fp16", "bf16", "mixed_precision", "dtype"],
        "floats have 32 bits, or 64 by the option `--dtype f64`: leave it out",
    ),
    (&["early_stopping", "patience"], "training goes on to the end of `epochs` or `steps`: leave it out"),
    (
        &["checkpoint", "output_dir", "save_dir", "logdir", "logger", "wandb"],
        "where a run is kept is an option of the command: `--out runs/a`",
    ),
    (
        &["accumulate", "accumulate_grad_batches", "gradient_accumulation_steps", "accumulation"],
        "gradients are not accumulated: write the whole batch, `batch 256`",
    ),
    (&["compile", "strategy", "distributed", "ddp"], "how it is computed is not said in the text: leave it out"),
    (&["model", "net"], "the model stands in the head of the section: `train net { … }`"),
    (
        &["callbacks", "verbose", "log", "logging"],
        "the log is always written; `save` and `eval_every` say how often: leave it out",
    ),
];

/// Without case, `_` and `.`: `max_pool2d` is `MaxPool2d`.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// The entry of another library's name: as it is written first, then however it is written.
pub fn find(word: &str) -> Option<&'static Foreign> {
    let all = || CALLS.iter().chain(TRAINING);
    let exact = all().find(|entry| entry.theirs.contains(&word));
    let wanted = plain(word);
    let loose = |entry: &&Foreign| entry.theirs.iter().any(|name| plain(name) == wanted) || plain(entry.ours) == wanted;
    exact.or_else(|| all().find(loose))
}

/// Our word for another library's: of the lists, or the operator that says of itself what PyTorch calls it.
pub fn ours(word: &str) -> Option<&'static str> {
    let class =
        |torch: &'static str| torch.split(['.', '(']).find(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
    let named = |op: &&'static crate::ir::op::OpDef| op.is_public() && class(op.torch) == Some(word);
    let listed = find(word).map(|entry| entry.ours);
    listed.or_else(|| crate::ops::all().find(named).map(|op| op.name))
}

/// How what another library calls so is written here, where it is no operator.
pub fn advice(word: &str) -> Option<&'static str> {
    listed(ADVICE, word)
}

/// The entry of a list of names.
pub fn listed(list: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    list.iter().find(|(names, _)| names.contains(&word)).map(|(_, ours)| *ours)
}

/// The first of these attributes that another library's word can stand for.
pub fn attr(word: &str, has: impl Fn(&str) -> bool) -> Option<&'static str> {
    let (_, ours) = ATTRS.iter().find(|(theirs, _)| *theirs == word)?;
    ours.iter().copied().find(|name| has(name))
}

impl Foreign {
    /// Their parameters, each with what becomes of it.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, Fate)> {
        let params = self.params.split_whitespace().filter(|param| !param.starts_with('+'));
        params.map(|param| match (param.strip_prefix('-'), param.strip_suffix('!')) {
            (Some(name), _) => (name, Fate::Dropped),
            (None, Some(name)) => (name, Fate::Stage),
            (None, None) => match param.split_once('=') {
                Some((name, ours)) => (name, Fate::Named(ours)),
                None => (param, Fate::Named(param)),
            },
        })
    }

    /// What their name alone says: our attributes with their values.
    pub fn always(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.params.split_whitespace().filter_map(|param| param.strip_prefix('+')?.split_once('='))
    }
}

/// What becomes of another library's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is inferred, or there is no such thing.
    Dropped,
    /// Our attribute.
    Named(&'static str),
    /// A stage of its own.
    Stage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_names_is_an_attribute_of_its_operator() {
        for entry in CALLS {
            // A schedule may be called as an operator is.
            let schedule = entry.theirs.iter().any(|name| name.ends_with("LR"));
            let Some(op) = crate::ops::find(entry.ours).filter(|_| !schedule) else { continue };
            for (theirs, fate) in entry.params() {
                let always = |name| op.attrs.iter().any(|def| def.name == name);
                assert!(entry.always().all(|(name, _)| always(name)), "{:?}", entry.theirs);
                if let Fate::Named(ours) = fate
                    && theirs != "momentum"
                    && !op.operands.iter().any(|operand| operand.name == ours)
                {
                    let has = op.attrs.iter().any(|def| def.name == ours);
                    let planned = ["dropout", "add_bias_kv", "add_zero_attn", "head_dim"].contains(&ours);
                    assert!(has || planned, "`{}` of {:?} is to be `{ours}` of `{}`", theirs, entry.theirs, entry.ours);
                }
            }
        }
    }

    #[test]
    fn a_name_stands_once() {
        let mut seen = std::collections::HashSet::new();
        for name in CALLS.iter().chain(TRAINING).flat_map(|entry| entry.theirs) {
            assert!(seen.insert(*name), "{name} stands twice");
        }
        for list in [SETTINGS, ELSEWHERE, ADVICE, NEVER] {
            let mut seen = std::collections::HashSet::new();
            for name in list.iter().flat_map(|(names, _)| *names) {
                assert!(seen.insert(*name), "{name} stands twice");
            }
        }
    }

    #[test]
    fn the_names_of_the_catalogue_are_found() {
        let mut wrong = vec![];
        for op in crate::ops::all().filter(|op| op.is_public()) {
            let class = op.torch.split(['.', '(']).find(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
            if let Some(class) = class.filter(|class| !["Tensor", "F"].contains(class)) {
                let known = ours(class);
                if known != Some(op.name) && !op.torch.ends_with("(1)") {
                    wrong.push(format!("{class} is {} here, and the list says {known:?}", op.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
