//! Text from a model of tokens: one after the other, each drawn from what the model says of the next.
//!
//! One plan of a fixed length serves every token: the text so far stands at its start, and what is behind it is not looked
//! at by a causal model. A longer text is looked at through its last tokens.

use super::error::TrainError;
use super::weights::load_weights;
use crate::data::uniform;
use crate::exec::bind::{Binding, bind};
use crate::exec::session::{Host, Session};
use crate::export::weights::Weights;
use crate::ir::build::Mode;
use crate::ir::structured::Structured;
use crate::kernels::float::Float;
use crate::pipeline::{self, Stage};
use crate::tensor::{DType, SliceMut};

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Above 1 bolder, below 1 more careful; 0: always the likeliest.
    pub temperature: f64,
    /// Only so many of the likeliest are drawn from.
    pub top: Option<usize>,
    /// Decides every draw.
    pub seed: u64,
}

/// A model with its weights, ready to go on with a text.
pub struct Generator {
    session: Session,
    plan: usize,
    input: usize,
    length: usize,
    /// How many tokens the model knows.
    pub vocabulary: usize,
}

/// Whether a model continues texts: one input of ids `[batch, seq]`, one output `[batch, seq, vocabulary]`.
pub fn continues_texts(model: &Structured) -> bool {
    let ty = |port: &crate::ir::structured::PortDef| {
        let ty = model.values[port.value.0 as usize].ty;
        (ty.dtype, model.shapes.dims(ty).to_vec())
    };
    match (&model.inputs[..], &model.outputs[..]) {
        ([input], [output]) => {
            let ((of, ids), (to, logits)) = (ty(input), ty(output));
            of == DType::I64 && to == DType::F32 && ids.len() == 2 && logits.len() == 3 && ids[..] == logits[..2]
        }
        _ => false,
    }
}

impl Generator {
    /// Makes the plan for a length, and loads the weights. The model must continue texts.
    pub fn new(
        model: &Structured,
        weights: Weights,
        length: usize,
        threads: usize,
        memory: Option<u64>,
    ) -> Result<(Generator, Vec<String>), TrainError> {
        let graph = pipeline::forward(model, Mode::Eval, DType::F32, Stage::Fused);
        let name = model.inputs.first().and_then(|port| port.name.clone()).unwrap_or_else(|| "x".into());
        let binding = bind(&graph, &[(name.as_str(), DType::I64, &[1, length])], &Binding::new());
        let binding = binding.map_err(crate::exec::session::RunError::from)?;
        let mut session = Session::within(memory, vec![graph], DType::F32, threads.max(1), |_| 0)?;
        let plan = session.prepare(0, &binding)?;
        let notes = load_weights(&mut session, 0, weights)?;
        let input = session.input(plan, &name).unwrap_or(0);
        let mut generator = Generator { session, plan, input, length, vocabulary: 0 };
        generator.run(&[0])?;
        generator.vocabulary = generator.logits(0).len();
        Ok((generator, notes))
    }

    /// Runs the plan on the last tokens; the place of the last one.
    fn run(&mut self, tokens: &[i64]) -> Result<usize, TrainError> {
        let seen = &tokens[tokens.len().saturating_sub(self.length)..];
        if let SliceMut::I64(ids) = self.session.input_mut(self.plan, self.input) {
            ids.fill(0);
            ids[..seen.len()].copy_from_slice(seen);
        }
        self.session.feed_host(self.plan, &Host::default());
        self.session.execute(0, self.plan)?;
        Ok(seen.len().saturating_sub(1))
    }

    /// What the model says of the token after a place.
    fn logits(&self, place: usize) -> Vec<f64> {
        let output = self.session.output::<f32>(self.plan, 0);
        let row = output.map(|all| all.slice(ndarray::s![0, place, ..]).iter().map(|&x| f64::from(x)).collect());
        row.unwrap_or_default()
    }

    /// The token that follows these, of which there is one at least; `drawn` counts the draws of a run.
    pub fn next(&mut self, tokens: &[i64], choice: &Choice, drawn: u64) -> Result<i64, TrainError> {
        let place = self.run(tokens)?;
        let logits = self.logits(place);
        if let Some(bad) = logits.iter().find(|x| !x.is_finite()) {
            let what = format!("the output after {} tokens ({bad})", tokens.len());
            return Err(TrainError::Diverged { step: drawn + 1, what, updated: true, saved: None });
        }
        Ok(choose(&logits, choice, drawn) as i64)
    }
}

/// One of the logits: the likeliest, or drawn in proportion to `e^(x / temperature)`.
fn choose(logits: &[f64], choice: &Choice, drawn: u64) -> usize {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let top = choice.top.unwrap_or(order.len()).clamp(1, order.len().max(1));
    order.truncate(top);
    let Some(&likeliest) = order.first() else { return 0 };
    if choice.temperature <= 0.0 {
        return likeliest;
    }
    let weight = |&token: &usize| Float::exp((logits[token] - logits[likeliest]) / choice.temperature);
    let weights: Vec<f64> = order.iter().map(weight).collect();
    let mut left = uniform(choice.seed, drawn) * weights.iter().sum::<f64>();
    for (&token, weight) in order.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return token;
        }
    }
    likeliest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_drawn_in_proportion() {
        // e^0, e^ln 2, e^ln 5: an eighth, a quarter, five eighths.
        let logits = [0.0, std::f64::consts::LN_2, 1.609_437_912_434_100_3];
        let count = |temperature: f64, top: Option<usize>| {
            let mut counts = [0; 3];
            let choice = Choice { temperature, top, seed: 4 };
            (0..8000).for_each(|drawn| counts[choose(&logits, &choice, drawn)] += 1);
            counts
        };
        let plain = count(1.0, None);
        for (found, want) in plain.iter().zip([1000, 2000, 5000]) {
            assert!(i32::abs(found - want) < 150, "{plain:?}");
        }
        assert_eq!((count(0.0, None), count(1.0, Some(1))), ([0, 0, 8000], [0, 0, 8000]));
        assert_eq!(count(1.0, Some(2))[0], 0);
        // Hotter is flatter: e^(x/2) are 1, 1.41 and 2.24.
        let hot = count(2.0, None);
        assert!(i32::abs(hot[0] - 1720) < 150 && hot[2] < plain[2], "{hot:?}");
        let again = Choice { temperature: 1.0, top: None, seed: 4 };
        assert_eq!(choose(&logits, &again, 17), choose(&logits, &again, 17));
    }
}
