//! The pages of the reference, one a family; written by `wythe explain --markdown`.

#[doc = include_str!("activations.md")]
pub mod activations {}
#[doc = include_str!("activations_made_of_pieces.md")]
pub mod activations_made_of_pieces {}
#[doc = include_str!("arithmetic.md")]
pub mod arithmetic {}
#[doc = include_str!("functions.md")]
pub mod functions {}
#[doc = include_str!("comparisons_and_logic.md")]
pub mod comparisons_and_logic {}
#[doc = include_str!("along_an_axis.md")]
pub mod along_an_axis {}
#[doc = include_str!("extremes_and_truth_along_axes.md")]
pub mod extremes_and_truth_along_axes {}
#[doc = include_str!("variance_norms_and_counts.md")]
pub mod variance_norms_and_counts {}
#[doc = include_str!("running_sums.md")]
pub mod running_sums {}
#[doc = include_str!("order.md")]
pub mod order {}
#[doc = include_str!("linear_algebra.md")]
pub mod linear_algebra {}
#[doc = include_str!("products_by_letters.md")]
pub mod products_by_letters {}
#[doc = include_str!("convolution.md")]
pub mod convolution {}
#[doc = include_str!("pooling.md")]
pub mod pooling {}
#[doc = include_str!("pooling_to_a_size.md")]
pub mod pooling_to_a_size {}
#[doc = include_str!("windows.md")]
pub mod windows {}
#[doc = include_str!("resampling.md")]
pub mod resampling {}
#[doc = include_str!("sampling_at_points.md")]
pub mod sampling_at_points {}
#[doc = include_str!("normalisation.md")]
pub mod normalisation {}
#[doc = include_str!("normalisation_in_groups.md")]
pub mod normalisation_in_groups {}
#[doc = include_str!("embedding.md")]
pub mod embedding {}
#[doc = include_str!("position.md")]
pub mod position {}
#[doc = include_str!("attention.md")]
pub mod attention {}
#[doc = include_str!("recurrence.md")]
pub mod recurrence {}
#[doc = include_str!("recurrent_cells.md")]
pub mod recurrent_cells {}
#[doc = include_str!("attention_without_projections.md")]
pub mod attention_without_projections {}
#[doc = include_str!("randomness.md")]
pub mod randomness {}
#[doc = include_str!("shape.md")]
pub mod shape {}
#[doc = include_str!("parts_of_a_value.md")]
pub mod parts_of_a_value {}
#[doc = include_str!("repeating_and_reordering.md")]
pub mod repeating_and_reordering {}
#[doc = include_str!("axes_by_name.md")]
pub mod axes_by_name {}
#[doc = include_str!("elements_by_number.md")]
pub mod elements_by_number {}
#[doc = include_str!("losses_and_metrics.md")]
pub mod losses_and_metrics {}
#[doc = include_str!("losses_of_values.md")]
pub mod losses_of_values {}
#[doc = include_str!("losses_with_margins.md")]
pub mod losses_with_margins {}
#[doc = include_str!("losses_of_sequences.md")]
pub mod losses_of_sequences {}
#[doc = include_str!("distances.md")]
pub mod distances {}
#[doc = include_str!("sources.md")]
pub mod sources {}
#[doc = include_str!("optimizers.md")]
pub mod optimizers {}
#[doc = include_str!("schedules.md")]
pub mod schedules {}
#[doc = include_str!("questions.md")]
pub mod questions {}
#[doc = include_str!("torch_nn.md")]
pub mod torch_nn {}
