//! What must hold for every figure, whatever the data: nothing panics, nothing leaves the picture, no label covers another.

use crate::view::{
    CorrelationBar, CorrelationView, CostParts, CurvePoint, CurveView, DiagonalState, HistogramBar, HistogramView,
    Interval, LayerPrediction, LayerView, NetworkPrediction, NetworkView, ParetoPoint, ParetoView, PatternLayer,
    PatternRow, PatternView, PointKind, PredictionView,
};

use super::scene::{Rect, Scene, Shape};
use super::{Figure, png, svg};

fn point(label: &str, latency: f64, accuracy: f64, kind: PointKind) -> ParetoPoint {
    ParetoPoint {
        label: label.to_owned(),
        arch_id: String::new(),
        cost: latency,
        accuracy,
        kind,
        on_front: true,
        verified: true,
    }
}

fn pareto(points: Vec<ParetoPoint>) -> ParetoView {
    ParetoView { points, budget: Some(0.5), ..ParetoView::default() }
}

fn texts(scene: &Scene) -> Vec<(String, Rect)> {
    let text = |shape: &Shape| match shape {
        Shape::Text(text) => Some((text.words.clone(), text.bounds())),
        Shape::Line { .. } | Shape::Polygon { .. } | Shape::Circle { .. } | Shape::Ring { .. } => None,
    };
    scene.shapes.iter().filter_map(text).collect()
}

/// Draws the figure both ways and checks where its text went.
fn check(figure: Figure<'_>, what: &str) {
    let scene = figure.scene().unwrap();
    let page = Rect { left: 0.0, top: 0.0, right: scene.width, bottom: scene.height };
    let texts = texts(&scene);
    for (index, (text, bounds)) in texts.iter().enumerate() {
        assert!(page.contains(bounds), "{what}: `{text}` leaves the picture: {bounds:?}");
        for (other, its) in &texts[..index] {
            assert!(!bounds.overlaps(its), "{what}: `{text}` covers `{other}`");
        }
    }
    assert!(svg(figure).unwrap().ends_with("</svg>\n"), "{what}");
    assert!(png(figure).unwrap().starts_with(b"\x89PNG"), "{what}");
}

#[test]
fn degenerate_pareto_fronts_are_drawn() {
    use PointKind::{RandomBaseline, Reference, Search};
    let tie =
        |kind| (0..12).map(|i| point(&format!("tie {i}"), 0.1, 0.9 + 1e-4 * f64::from(i), kind)).collect::<Vec<_>>();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300, 1e-300];
    let crossed = odd.iter().flat_map(|&x| odd.iter().map(move |&y| point("odd", x, y, Search))).collect();
    let cases = [
        ("no points", vec![]),
        ("one point", vec![point("alone", 0.1, 0.99, Search)]),
        ("NaN accuracy", vec![point("untrained", 0.1, f64::NAN, Search)]),
        ("same latency", tie(Search)),
        (
            "same everything",
            vec![point("a", 0.2, 0.5, Search), point("b", 0.2, 0.5, RandomBaseline), point("c", 0.2, 0.5, Reference)],
        ),
        ("perfect", vec![point("perfect", 0.2, 1.0, Search), point("useless", 0.1, 0.0, Reference)]),
        ("tiny differences", vec![point("a", 0.1, 0.99, Search), point("b", 0.1 + 1e-12, 0.99 + 1e-12, Search)]),
        ("twelve decades", vec![point("fast", 1e-6, 0.2, Search), point("slow", 1e6, 0.9, Search)]),
        ("long names", tie(Reference).into_iter().map(|p| ParetoPoint { label: p.label.repeat(20), ..p }).collect()),
    ];
    for (what, points) in cases {
        check(Figure::Pareto(&pareto(points)), what);
    }
    // Absurd values may give absurd axes, but no panic.
    let odd = pareto(crossed);
    svg(Figure::Pareto(&odd)).unwrap();
}

#[test]
fn titles_and_labels_stay_inside() {
    let mut view = pareto(vec![point("corner", 0.1, 0.9, PointKind::Search)]);
    view.title = "a very long title about a very long study name that nobody would ever choose, ".repeat(3);
    view.accuracy_label = "validation accuracy of the data set called something or other, split in half".repeat(2);
    check(Figure::Pareto(&view), "long title");
}

#[test]
fn degenerate_predictions_are_drawn() {
    let network = |label: &str, predicted, measured| NetworkPrediction {
        label: label.to_owned(),
        predicted,
        interval: Some(Interval { low: predicted * 0.9, high: predicted * 1.1 }),
        measured,
        layers: vec![LayerPrediction { name: "conv".to_owned(), predicted, measured }],
    };
    let cases = [
        ("none", vec![]),
        ("one", vec![network("one", 0.1, 0.1)]),
        ("not measured", vec![network("pending", 0.1, f64::NAN), network("zero", 0.0, 0.1)]),
        ("same", vec![network("a", 0.1, 0.1), network("b", 0.1, 0.1)]),
        ("far off", vec![network("a", 1e-3, 10.0), network("b", 10.0, 1e-3)]),
    ];
    for (what, networks) in cases {
        for tolerance in [0.15, 0.0, 2.0, f64::NAN] {
            check(
                Figure::Prediction(&PredictionView { title: String::new(), tolerance, networks: networks.clone() }),
                what,
            );
        }
    }
}

#[test]
fn degenerate_breakdowns_are_drawn() {
    let layer = |name: &str, rotations| LayerView {
        name: name.to_owned(),
        predicted: rotations,
        measured: Some(f64::NAN),
        parts: CostParts { rotations, ..CostParts::default() },
        ..LayerView::default()
    };
    let cases = [
        ("none", vec![]),
        ("free", vec![layer("free", 0.0)]),
        ("odd", vec![layer("nan", f64::NAN), layer("negative", -1.0), layer(&"long ".repeat(40), 1e-9)]),
        ("many", (0..120).map(|i| layer(&format!("conv{i}"), f64::from(i))).collect()),
    ];
    for (what, layers) in cases {
        check(Figure::Breakdown(&NetworkView { layers, ..NetworkView::default() }), what);
    }
}

#[test]
fn histograms_of_any_bars() {
    let bar = |low, high, count| HistogramBar { low, high, count };
    let cases = [
        vec![],
        vec![bar(1e-3, 1e-3, 5)],
        vec![bar(0.0, f64::NAN, 1), bar(1e-3, 2e-3, 0)],
        vec![bar(1e-3, 1.01e-3, 7)],
        (0..20)
            .map(|i| bar(1e-2 * 1.5f64.powi(i), 1e-2 * 1.5f64.powi(i + 1), u64::from(i.unsigned_abs()).pow(9)))
            .collect(),
    ];
    for bars in cases {
        let view = HistogramView { label: "a space".to_owned(), bars };
        check(Figure::Histogram(&view), "histogram");
    }
}

#[test]
fn curves() {
    let point = |epoch: usize, accuracy: f64| CurvePoint {
        epoch,
        train_accuracy: accuracy - 0.02,
        validation_accuracy: accuracy,
        ..CurvePoint::default()
    };
    let cases = [
        vec![],
        vec![point(1, 0.5)],
        (1..=40).map(|e| point(e, 1.0 - 0.5 / e as f64)).collect(),
        vec![point(1, 1.0), point(2, f64::NAN), point(3, 1.0)],
    ];
    for points in cases {
        let view = CurveView { title: "strianet-mnist on mnist".to_owned(), points };
        check(Figure::Curve(&view), "curve");
        assert_eq!(crate::table::curve(&view).to_csv().lines().count(), view.points.len() + 1);
    }
}

#[test]
fn correlations_are_drawn() {
    let bar = |label: &str, value: f64, low: f64, high: f64| CorrelationBar {
        label: label.to_owned(),
        value,
        interval: Some(Interval { low, high }),
    };
    let long = "a proxy with a name that is far too long to be written in full beside the plot it belongs to";
    for bars in [
        vec![],
        vec![bar("best", 1.0, 1.0, 1.0)],
        vec![bar("worst", -1.0, -1.0, -0.9), bar(long, 0.3, -0.1, 0.7)],
        vec![bar("none", f64::NAN, f64::NAN, f64::NAN), bar("odd", 0.5, f64::NEG_INFINITY, f64::INFINITY)],
        (0..12).map(|i| bar("p", f64::from(i) / 12.0, 0.0, 1.0)).collect(),
    ] {
        let view = CorrelationView { title: "Proxies".to_owned(), axis: "rank correlation".to_owned(), bars };
        check(Figure::Correlation(&view), "correlation");
    }
}

#[test]
fn patterns_of_any_size_are_drawn() {
    use DiagonalState::{Absent, Kept, Pruned};
    let layer = |inputs: u32, rotations: usize| {
        let state = |row: u32, column: usize| [Kept, Pruned, Pruned, Absent][(row as usize * 7 + column * 3) % 4];
        let row = |input| PatternRow {
            input,
            output: input % 3,
            diagonals: (0..rotations).map(|column| state(input, column)).collect(),
        };
        PatternLayer {
            name: "n5 conv(64,k5)".to_owned(),
            rotations: (0..rotations as i64).collect(),
            rows: (0..inputs).map(row).collect(),
        }
    };
    let sizes = [(1, 1), (2, 25), (100, 9), (8, 4096), (0, 0), (3, 0)];
    let layers: Vec<PatternLayer> = sizes.into_iter().map(|(inputs, rotations)| layer(inputs, rotations)).collect();
    assert_eq!(layers[1].diagonals(), (13, 25 + 12));
    check(Figure::Pattern(&PatternView { label: "lenet-like".to_owned(), layers }), "pattern");
    check(Figure::Pattern(&PatternView::default()), "no pattern");
}
