//! Snapshots of tables, figures and pages made from sample views.

#[path = "sample/mod.rs"]
mod sample;

use striae_reports::plot::{Figure, svg};
use striae_reports::view::{CostAxis, ParetoView, PointKind, StudyView};
use striae_reports::{export, html, table};

#[test]
fn tables_for_terminals() {
    let network = sample::network("#12");
    let study = sample::study();
    insta::assert_snapshot!("headline", table::headline(&study.networks).to_text(Some(140)));
    insta::assert_snapshot!("layers", table::layers(&network).to_text(Some(170)));
    insta::assert_snapshot!("layers-narrow", table::layers(&network).to_text(Some(80)));
    insta::assert_snapshot!("summary", table::summary(&network).to_text(Some(100)));
    insta::assert_snapshot!("predictions", table::predictions(&study.prediction).to_text(None));
    insta::assert_snapshot!("precision", table::precision(&study.networks).to_text(None));
    insta::assert_snapshot!("trials", table::trials(&study.trials[68..73]).to_text(Some(120)));
}

#[test]
fn tables_for_pipes_carry_plain_numbers() {
    insta::assert_snapshot!("layers-csv", table::layers(&sample::network("#12")).to_csv());
    insta::assert_snapshot!("headline-csv", table::headline(&sample::study().networks).to_csv());
}

#[test]
fn comparison_shows_shares() {
    let plain = sample::network("plain 5x5");
    let mut stria = sample::network("stria");
    for layer in &mut stria.layers {
        layer.rotations_internal /= 4;
        layer.rotations_external = 0;
    }
    insta::assert_snapshot!("compare", table::compare(&stria, &plain).to_text(None));
}

#[test]
fn small_figures() {
    let mut pareto = sample::pareto();
    pareto.points.retain(|p| p.on_front && p.kind == PointKind::Search || p.label == "hefnet");
    insta::assert_snapshot!("pareto", svg(Figure::Pareto(&pareto)).unwrap());
    let mut network = sample::network("#12");
    network.layers.truncate(2);
    insta::assert_snapshot!("breakdown", svg(Figure::Breakdown(&network)).unwrap());
}

#[test]
fn pictures_repeat() {
    let view = sample::prediction();
    assert_eq!(svg(Figure::Prediction(&view)).unwrap(), svg(Figure::Prediction(&view)).unwrap());
}

/// The page without its figures and style: those have snapshots of their own.
fn skeleton(page: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in page.lines() {
        let opens = line.contains("<svg") || line.contains("<style>");
        if opens {
            out.push_str(line.split("<svg").next().unwrap_or_default());
            out.push_str(" ...\n");
        }
        skipping |= opens;
        if !skipping && !line.trim().is_empty() {
            out.push_str(line);
            out.push('\n');
        }
        if line.contains("</svg>") || line.contains("</style>") {
            skipping = false;
        }
    }
    out
}

#[test]
fn page_of_a_study() {
    let mut study = sample::study();
    study.trials.truncate(3);
    study.networks.truncate(1);
    let page = html::study(&study).unwrap();
    insta::assert_snapshot!("study", skeleton(&page));
    assert_eq!(page.matches("<svg").count(), 3);
}

#[test]
fn page_needs_nothing_from_elsewhere() {
    let page = html::study(&sample::study()).unwrap();
    for fetched in ["<script", "src=", "href=", "@import", "url(", "<link", "<iframe"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    // The one address in it names the SVG language.
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
}

#[test]
fn page_of_an_empty_study() {
    let page = html::study(&StudyView::default()).unwrap();
    assert!(page.contains("no network has been trained yet"));
    assert!(page.contains("0 trials"));
}

#[test]
fn insecure_parameters_are_announced_everywhere() {
    let mut study = sample::study();
    assert!(!html::study(&study).unwrap().contains("INSECURE"));
    for network in &mut study.networks {
        let parameters = network.parameters.as_mut().unwrap();
        (parameters.insecure, parameters.security_bits) = (true, 97.0);
    }
    let page = html::study(&study).unwrap();
    assert!(page.contains("INSECURE PARAMETERS") && page.contains("#12: about 97 bits"));
    let network = &study.networks[0];
    assert!(table::headline([network]).to_text(None).contains("INSECURE"));
    assert!(table::summary(network).to_text(None).contains("INSECURE"));
    assert!(table::compare(network, network).to_text(None).contains("INSECURE"));
    assert!(table::parameters(network.parameters.as_ref().unwrap()).to_csv().contains("INSECURE"));
    let mut bundle = sample::bundle();
    bundle.network = network.clone();
    assert!(export::model_card(&bundle).unwrap().contains("INSECURE PARAMETERS"));
}

#[test]
fn names_cannot_break_out_of_the_page() {
    let mut study = sample::study();
    study.name = "<script>alert(1)</script>".to_owned();
    study.pareto.title = "\"><script>alert(2)</script>".to_owned();
    study.pareto.points[0].label = "<script>".to_owned();
    study.pareto.points[0].kind = PointKind::Reference;
    study.networks[0].label = "</svg><script>".to_owned();
    study.trials[0].reason = "<script>".to_owned();
    assert!(!html::study(&study).unwrap().contains("<script"));
}

#[test]
fn model_card_of_a_bundle() {
    insta::assert_snapshot!("model-card", export::model_card(&sample::bundle()).unwrap());
}

#[test]
fn views_survive_json() {
    let mut study = sample::study();
    // JSON has no NaN: an untrained network's accuracy becomes null.
    study.pareto.points.retain(|p| p.accuracy.is_finite());
    let text = serde_json::to_string(&study).unwrap();
    let back: StudyView = serde_json::from_str(&text).unwrap();
    // Decimal numbers may lose their last bit on the way; nothing that is shown may change.
    assert_eq!(skeleton(&html::study(&back).unwrap()), skeleton(&html::study(&study).unwrap()));
    assert_eq!((back.trials.len(), back.pareto.points.len()), (study.trials.len(), study.pareto.points.len()));
}

#[test]
fn networks_under_a_hybrid_protocol_are_called_estimates() {
    let study = sample::hybrid_study();
    let network = &study.networks[0];
    insta::assert_snapshot!("headline-hybrid", table::headline(&study.networks).to_text(None));
    insta::assert_snapshot!("layers-hybrid", table::layers(network).to_text(None));
    insta::assert_snapshot!("summary-hybrid", table::summary(network).to_text(Some(100)));
    let page = html::study(&study).unwrap();
    assert!(page.contains("Nothing was run: latencies are estimates under cheetah over lan"));
    assert!(!page.contains("Predicted against measured") && !page.contains("</b> run encrypted"));
    assert_eq!(page.matches("<svg").count(), 2);
}

#[test]
fn communication_has_an_axis_of_its_own() {
    let pareto = ParetoView { axis: CostAxis::Communication, cost_label: String::new(), ..sample::pareto() };
    let figure = svg(Figure::Pareto(&pareto)).unwrap();
    for text in ["communication per image, log scale", "0.5 MiB", "budget 0.5 MiB"] {
        assert!(figure.contains(text), "{text}");
    }
}
