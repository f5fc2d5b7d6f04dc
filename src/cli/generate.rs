//! `wythe generate`: text that goes on as the model learned.

use super::model::{ModelArgs, ThreadArgs, binding};
use super::{Failure, Verdict, World, memory, open};
use crate::data::Letters;
use crate::export::weights;
use crate::train::generate::{Choice, Generator, continues_texts};

/// Goes on with a text, token by token, as weights have learned it
///
/// The model has one input of ids, [batch, seq], and one output, [batch, seq, vocabulary], and looks only at what stands
/// before (causal). Tokens are the letters that the checkpoint knows, or bytes where it knows none. The same seed gives the
/// same text.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  wythe generate models/chars.model --weights runs/c/last/model.safetensors --prompt 'The '\n  wythe generate models/chars.model --weights runs/c/last/model.safetensors --prompt a --top-k 5"
)]
pub struct Args {
    #[command(flatten)]
    pub model: ModelArgs,

    /// Parameters and state (.safetensors)
    #[arg(long, value_name = "PATH", required = true)]
    pub weights: String,

    /// What the text begins with
    #[arg(long, value_name = "TEXT", required = true)]
    pub prompt: String,

    /// How many tokens are added
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub length: usize,

    /// Above 1 bolder, below 1 more careful, 0 always the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    pub temperature: f64,

    /// Draws only from the K likeliest tokens
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub top_k: Option<u64>,

    /// Decides every draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// How many tokens the model looks back (default: the train section's)
    #[arg(long, value_name = "DIM=SIZE", value_parser = binding)]
    pub bind: Option<(String, u64)>,

    #[command(flatten)]
    pub threads: ThreadArgs,

    /// One JSON object instead of the text
    #[arg(long)]
    pub json: bool,
}

fn temperature(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| format!("`{text}` is no temperature: a number of at least 0 is"))
}

/// Loads the weights, and writes each token as it comes.
pub fn run(args: &Args, world: &mut World) -> Result<Verdict, Failure> {
    let opened = open::open(world, &args.model)?;
    let model = opened.model()?;
    if !continues_texts(model) {
        let message = format!("`{}` does not continue texts", model.name);
        let help = "a model that does has one input, i64[batch, seq], and one output, f32[batch, seq, vocabulary]";
        return Err(Failure::usage(message).help(help));
    }
    let ids = model.values[model.inputs[0].value.0 as usize].ty;
    let seq = model.shapes.dims.show(model.shapes.dims(ids)[1]);
    let trained = opened.checked.trainings.iter().find(|training| training.model.name == model.name);
    let trained = trained.and_then(|training| training.sizes.iter().find(|(name, _)| *name == seq)).cloned();
    let length = match args.bind.clone().or(trained) {
        Some((name, length)) if name == seq => length as usize,
        Some((name, _)) => {
            return Err(Failure::usage(format!("the length of the input is `{seq}`, not `{name}`")));
        }
        None => seq.parse().map_err(|_| {
            Failure::usage("how many tokens to look back is not known").help(format!("say --bind {seq}=64"))
        })?,
    };
    let bound = [(seq, length as i64)].into_iter().collect();
    open::check_needs(model, &bound)?;
    let weights = weights::load(&world.files, &args.weights)?;
    let known = weights.about.vocabulary.clone();
    let threads = args.threads.count(world)?;
    let (mut generator, notes) = Generator::new(model, weights, length, threads, memory::available())?;
    open::tell_notes(world, &notes)?;
    let mut tokens: Vec<i64> = match known.is_empty() {
        true => args.prompt.bytes().map(i64::from).collect(),
        false => {
            let letters = Letters::of(&args.prompt, &known, "--prompt")?;
            args.prompt.chars().map(|letter| letters.id(letter)).collect()
        }
    };
    let most = tokens.iter().copied().max().unwrap_or(-1);
    if most < 0 || most >= generator.vocabulary as i64 {
        let message = match most {
            -1 => "the prompt is empty".to_string(),
            _ => format!("the prompt has token {most}, the model knows 0 … {}", generator.vocabulary - 1),
        };
        return Err(Failure::usage(message).help("give a text of the characters that the model was trained on"));
    }
    let choice = Choice { temperature: args.temperature, top: args.top_k.map(|k| k as usize), seed: args.seed };
    let mut text = args.prompt.clone().into_bytes();
    let mut waiting = text.clone();
    if !args.json {
        world.out.put(&taken(&mut waiting))?;
    }
    for drawn in 0..args.length as u64 {
        let next = generator.next(&tokens, &choice, drawn)?;
        tokens.push(next);
        let word = match known.get(next as usize) {
            Some(word) => word.as_bytes().to_vec(),
            None => vec![next as u8],
        };
        text.extend(&word);
        if !args.json {
            waiting.extend(&word);
            world.out.put(&taken(&mut waiting))?;
            world.out.flush()?;
        }
    }
    if args.json {
        let object = serde_json::json!({ "version": 1, "text": String::from_utf8_lossy(&text), "tokens": tokens });
        world.out.line(&object.to_string())?;
    } else {
        world.out.put("\n")?;
    }
    Ok(Verdict::Well)
}

/// Takes the text that the bytes make so far: what cannot be text, or would move the cursor, is shown as `\u{fffd}`; the
/// beginning of a character that later bytes may complete is left.
fn taken(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        let (good, bad) = match std::str::from_utf8(bytes) {
            Ok(all) => (all.len(), 0),
            Err(error) => (error.valid_up_to(), error.error_len().unwrap_or(0)),
        };
        let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
        text.extend(String::from_utf8_lossy(&bytes[..good]).chars().map(shown));
        bytes.drain(..good + bad);
        if bad == 0 {
            return text;
        }
        text.push('\u{fffd}');
    }
}

#[cfg(test)]
mod tests {
    use super::taken;

    #[test]
    fn bytes_become_text_as_they_come() {
        let mut bytes = vec![b'a', 0xc3];
        assert_eq!(taken(&mut bytes), "a");
        bytes.push(0xa9);
        assert_eq!(taken(&mut bytes), "é");
        bytes.extend([0xff, b'b', 0xe2]);
        assert_eq!(taken(&mut bytes), "\u{fffd}b");
        assert_eq!(bytes, [0xe2]);
        assert_eq!(taken(&mut b"a\x00\x1b[2J\n".to_vec()), "a\u{fffd}\u{fffd}[2J\n");
    }
}
