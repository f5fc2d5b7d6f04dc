//! Text in, printed graph out: one small model at every stage of the pipeline, as `wythe graph` and `wythe summary` show it.

use wythe::export::structured;
use wythe::pipeline::{self, Stage};
use wythe::{DType, Mode, Model};

fn tiny() -> Model {
    Model::check(include_str!("ir/tiny.model")).unwrap_or_else(|reports| panic!("{reports}"))
}

fn stage(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("ir");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // How much a thread works in depends on the width of the processor's vectors.
    settings.add_filter(r"workspace \d+ bytes", "workspace [..] bytes");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn structured_keeps_what_was_written() {
    stage("structured", &structured::show(tiny().structured().expect("one model")));
}

#[test]
fn flat_writes_copies_and_composites_out() {
    let model = tiny();
    stage("flat", &pipeline::forward(model.structured().expect("one"), Mode::Eval, DType::F32, Stage::Flat).show());
}

#[test]
fn gradient_adds_nodes_to_the_same_graph() {
    stage("gradient", &pipeline::step(tiny().training().expect("one"), DType::F32, Stage::Gradient).show());
}

#[test]
fn fused_joins_elementwise_neighbours() {
    stage("fused", &pipeline::step(tiny().training().expect("one"), DType::F32, Stage::Fused).show());
}

#[test]
fn plan_has_steps_and_places() {
    let graph = pipeline::step(tiny().training().expect("one"), DType::F32, Stage::Fused);
    let session = wythe::exec::session::Session::new(vec![graph], DType::F32, 1).expect("there is memory");
    let plan = session.plan(0, &[("batch".to_string(), 16)].into_iter().collect()).expect("all sizes are known");
    stage("plan", &plan.show(&session.graphs()[0]));
}

#[test]
fn summary_for_people_and_for_tools() {
    let summary = tiny().summary(&[("batch", 16)]).expect("one model");
    stage("summary", &summary.show(false));
    stage("summary_json", &serde_json::to_string_pretty(&summary).expect("it serialises"));
}
