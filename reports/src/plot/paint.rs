//! Paints a scene onto plotters' backends.

use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, DrawingBackend, EmptyElement, IntoDrawingArea, PathElement, Polygon,
    SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle};

use super::font::FAMILY;
use super::scene::{Align, At, Ink, Scene, Shape, Text as Line};
use super::theme;
use crate::error::ReportError;

/// plotters centres a bitmap's text on its line box, whose middle lies above the middle of the digits: by this part of the text size.
const BITMAP_DROP: f64 = 0.14;

/// SVG is painted four times as large and shown at its logical size: plotters rounds positions to whole units.
const SVG_SCALE: f64 = 4.0;
/// A PNG has this many pixels per logical pixel.
const PNG_SCALE: usize = 2;
/// Each of them is the mean of this many squared, since plotters does not smooth the edges of shapes.
const SUPERSAMPLE: usize = 3;

/// The scene as an SVG document.
pub(super) fn svg(scene: &Scene) -> Result<String, ReportError> {
    let (wide, high) = size(scene, SVG_SCALE);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (wide, high)).into_drawing_area();
        paint(scene, &area, SVG_SCALE, 0.0)?;
    }
    let (logical_wide, logical_high) = size(scene, 1.0);
    let opening = format!("<svg width=\"{wide}\" height=\"{high}\"");
    let better = format!(
        "<svg width=\"{logical_wide}\" height=\"{logical_high}\" role=\"img\" aria-label=\"{}\"",
        escape(&scene.title)
    );
    Ok(text.replacen(&opening, &better, 1))
}

/// The scene as a compressed bitmap.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, ReportError> {
    let (wide, high) = size(scene, (PNG_SCALE * SUPERSAMPLE) as f64);
    let mut fine = vec![0xFF_u8; wide as usize * high as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut fine, (wide, high)).into_drawing_area();
        paint(scene, &area, (PNG_SCALE * SUPERSAMPLE) as f64, BITMAP_DROP)?;
    }
    let pixels = shrink(&fine, wide as usize, high as usize);
    let (wide, high) = (wide / SUPERSAMPLE as u32, high / SUPERSAMPLE as u32);
    encode(&pixels, wide, high).map_err(|source| ReportError::Png { width: wide, height: high, source })
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(out)
}

/// Means of `SUPERSAMPLE` x `SUPERSAMPLE` pixels.
fn shrink(fine: &[u8], wide: usize, high: usize) -> Vec<u8> {
    let (out_wide, out_high) = (wide / SUPERSAMPLE, high / SUPERSAMPLE);
    let mut out = Vec::with_capacity(out_wide * out_high * 3);
    let parts = (SUPERSAMPLE * SUPERSAMPLE) as u32;
    for y in 0..out_high {
        for x in 0..out_wide {
            for channel in 0..3 {
                let mut sum = parts / 2;
                for row in 0..SUPERSAMPLE {
                    let start = ((y * SUPERSAMPLE + row) * wide + x * SUPERSAMPLE) * 3 + channel;
                    sum += (0..SUPERSAMPLE).map(|column| u32::from(fine[start + 3 * column])).sum::<u32>();
                }
                out.push((sum / parts) as u8);
            }
        }
    }
    out
}

fn size(scene: &Scene, scale: f64) -> (u32, u32) {
    (scene.width.round() as u32 * scale as u32, scene.height.round() as u32 * scale as u32)
}

fn paint<DB: DrawingBackend>(
    scene: &Scene,
    area: &DrawingArea<DB, Shift>,
    scale: f64,
    drop: f64,
) -> Result<(), ReportError> {
    let failed = |reason: String| ReportError::Draw { figure: scene.title.clone(), reason };
    area.fill(&theme::PAPER).map_err(|e| failed(e.to_string()))?;
    for shape in &scene.shapes {
        paint_shape(shape, area, scale, drop).map_err(failed)?;
    }
    area.present().map_err(|e| failed(e.to_string()))
}

fn paint_shape<DB: DrawingBackend>(
    shape: &Shape,
    area: &DrawingArea<DB, Shift>,
    scale: f64,
    drop: f64,
) -> Result<(), String> {
    let place = |(x, y): At| ((x * scale).round() as i32, (y * scale).round() as i32);
    let stroke = |ink: Ink, width: f64| ShapeStyle {
        color: rgba(ink),
        filled: false,
        stroke_width: (width * scale).round().max(1.0) as u32,
    };
    match shape {
        Shape::Line { points, ink, width } => {
            let path: Vec<_> = points.iter().copied().map(place).collect();
            area.draw(&PathElement::new(path, stroke(*ink, *width)))
        }
        Shape::Polygon { points, ink } => {
            let path: Vec<_> = points.iter().copied().map(place).collect();
            area.draw(&Polygon::new(path, rgba(*ink)))
        }
        Shape::Circle { centre, radius, ink } => {
            area.draw(&Circle::new(place(*centre), (radius * scale).round() as i32, rgba(*ink).filled()))
        }
        Shape::Ring { centre, radius, ink, width } => {
            area.draw(&Circle::new(place(*centre), (radius * scale).round() as i32, stroke(*ink, *width)))
        }
        Shape::Text(line) => paint_text(line, area, scale, drop),
    }
    .map_err(|e| e.to_string())
}

fn paint_text<DB: DrawingBackend>(
    line: &Line,
    area: &DrawingArea<DB, Shift>,
    scale: f64,
    drop: f64,
) -> Result<(), plotters::drawing::DrawingAreaErrorKind<DB::ErrorType>> {
    let weight = if line.bold { FontStyle::Bold } else { FontStyle::Normal };
    let mut font = (FAMILY, line.size * scale, weight).into_font();
    if line.upright {
        font = font.transform(FontTransform::Rotate270);
    }
    let side = match line.align {
        Align::Left => HPos::Left,
        Align::Centre => HPos::Center,
        Align::Right => HPos::Right,
    };
    let colour = rgba(line.ink);
    let style = TextStyle::from(font).color(&colour).pos(Pos::new(side, VPos::Center));
    let drop = drop * line.size;
    let (x, y) = if line.upright { (line.at.0 + drop, line.at.1) } else { (line.at.0, line.at.1 + drop) };
    let at = ((x * scale).round() as i32, (y * scale).round() as i32);
    area.draw(&(EmptyElement::at(at) + Text::new(line.words.clone(), (0, 0), style)))
}

fn rgba(ink: Ink) -> RGBAColor {
    ink.colour.mix(ink.alpha)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
