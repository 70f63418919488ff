//! Surviving diagonals of a pruned network: a grid per layer, as in Figure 5 of SpENCNN (Ran et al., ICML 2023).

use super::font;
use super::legend::{self, Entry};
use super::scene::{Align, Rect, Scene, Text, faint};
use super::theme;
use crate::format;
use crate::view::{DiagonalState, PatternLayer, PatternRow, PatternView};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Most cells of a grid in each direction; beyond that, neighbours share one.
const COLUMNS: usize = 256;
const ROWS: usize = 48;
/// Height of all rows of a grid at most, and of one row.
const GRID_HEIGHT: f64 = 240.0;
const ROW: (f64, f64) = (4.0, 14.0);
/// Faintest shade of a cell that keeps something.
const FAINTEST: f64 = 0.25;

pub(super) fn scene(view: &PatternView) -> Scene {
    let title = if view.label.is_empty() {
        "Surviving diagonals".to_owned()
    } else {
        format!("Surviving diagonals: {}", view.label)
    };
    let mut scene = Scene::new(&title, WIDTH, 0.0);
    let mut top = legend::draw(&mut scene, &title, &entries(), 20.0, WIDTH - 20.0);
    for layer in &view.layers {
        top = draw_layer(&mut scene, layer, top);
    }
    if view.layers.is_empty() {
        scene.text(Text::new((WIDTH / 2.0, top + 20.0), "no layers").ink(theme::MUTED).align(Align::Centre));
        top += 40.0;
    }
    scene.height = top + 12.0;
    scene
}

fn entries() -> Vec<Entry> {
    let sample = |ink: fn() -> super::scene::Ink| {
        move |scene: &mut Scene, at: (f64, f64)| {
            scene.rect(Rect { left: at.0 - 11.0, right: at.0 + 11.0, ..Rect::around(at, 6.0) }, ink());
        }
    };
    vec![
        Entry::new("left (paler: some of several)", sample(|| theme::BLUE.into())),
        Entry::new("pruned", sample(|| theme::GRID.into())),
    ]
}

/// Draws the grid of a layer; returns where the next may begin.
fn draw_layer(scene: &mut Scene, layer: &PatternLayer, top: f64) -> f64 {
    let (kept, all) = layer.diagonals();
    let share = if all > 0 { format!(" ({})", format::percent(kept as f64 / all as f64, 1)) } else { String::new() };
    let words = format!("{}: {kept} of {all} diagonals left{share}", layer.name);
    let words = font::fit(&words, theme::AXIS_SIZE, true, RIGHT - 20.0);
    scene.text(Text::new((20.0, top + 12.0), words).size(theme::AXIS_SIZE).bold());
    let top = top + 30.0;
    if layer.rows.is_empty() || layer.rotations.is_empty() {
        return top;
    }
    let rows: Vec<&[PatternRow]> = layer.rows.chunks(layer.rows.len().div_ceil(ROWS)).collect();
    let columns = layer.rotations.len().div_ceil(layer.rotations.len().div_ceil(COLUMNS));
    let height = (GRID_HEIGHT / rows.len() as f64).clamp(ROW.0, ROW.1);
    let mut labelled = f64::NEG_INFINITY;
    for (index, rows) in rows.iter().enumerate() {
        let y = top + index as f64 * height;
        draw_row(scene, rows, columns, Rect { left: LEFT, right: RIGHT, top: y, bottom: y + height });
        let middle = y + height / 2.0;
        if middle - labelled >= theme::NOTE_SIZE + 2.0 {
            let pair = format!("{} to {}", rows[0].input, rows[0].output);
            scene.text(Text::new((LEFT - 8.0, middle), pair).size(theme::NOTE_SIZE).align(Align::Right));
            labelled = middle;
        }
    }
    let bottom = top + rows.len() as f64 * height;
    draw_ends(scene, &layer.rotations, bottom);
    bottom + 38.0
}

/// The rotations at both ends, and what the axes are.
fn draw_ends(scene: &mut Scene, rotations: &[i64], bottom: f64) {
    let note = |at, words: String| Text::new(at, words).size(theme::NOTE_SIZE).ink(theme::MUTED);
    let (first, last) = (rotations[0], rotations[rotations.len() - 1]);
    let y = bottom + 12.0;
    scene.text(note((LEFT, y), first.to_string()));
    scene.text(note((RIGHT, y), last.to_string()).align(Align::Right));
    let words = "rotation in slots; rows: input to output ciphertext".to_owned();
    scene.text(note((f64::midpoint(LEFT, RIGHT), y), words).align(Align::Centre));
}

/// A row of cells, for one pair of ciphertexts or for several neighbours.
fn draw_row(scene: &mut Scene, rows: &[PatternRow], columns: usize, place: Rect) {
    let count = |column: usize, wanted: DiagonalState| {
        let states = rows.iter().filter_map(|row| {
            let each = row.diagonals.len().div_ceil(columns).max(1);
            row.diagonals.chunks(each).nth(column)
        });
        states.flatten().filter(|state| **state == wanted).count()
    };
    let cell = |column: usize| {
        let (kept, pruned) = (count(column, DiagonalState::Kept), count(column, DiagonalState::Pruned));
        (kept + pruned > 0).then(|| kept as f64 / (kept + pruned) as f64)
    };
    let cells: Vec<Option<f64>> = (0..columns).map(cell).collect();
    let wide = place.width() / columns as f64;
    let gap = if place.height() > 6.0 { 1.0 } else { 0.5 };
    let mut start = 0;
    // Neighbours of one shade are one shape: a picture of thousands of cells stays small.
    for run in cells.chunk_by(|a, b| a == b) {
        let (left, right) = (place.left + start as f64 * wide, place.left + (start + run.len()) as f64 * wide);
        start += run.len();
        let ink = match run[0] {
            None => continue,
            Some(share) if share > 0.0 => faint(theme::BLUE, FAINTEST + (1.0 - FAINTEST) * share),
            Some(_) => theme::GRID.into(),
        };
        scene.rect(Rect { left, right, top: place.top, bottom: place.bottom - gap }, ink);
    }
}
