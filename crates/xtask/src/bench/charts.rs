//! Charts of the figures, as SVG that reads well on white and on black: nothing is filled behind, and
//! every colour is of middle brightness.

mod balance;
mod curve;
mod latency;
mod throughput;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use plotters::{
    backend::SVGBackend,
    coord::Shift,
    prelude::{DrawingArea, IntoDrawingArea, IntoTextStyle, RGBColor, TextStyle},
};

use super::report::Report;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 420);

const FONT: &str = "sans-serif";

/// Text, axes and what others do.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// What is ours, in the order it is drawn.
const OURS: [RGBColor; 4] = [
    RGBColor(47, 129, 247),
    RGBColor(217, 119, 6),
    RGBColor(45, 164, 78),
    RGBColor(163, 113, 247),
];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes a file for each chart there are figures for.
pub(super) fn write(report: &Report, directory: &Path) -> Result<()> {
    let mut charts = Vec::new();
    if let Some(throughput) = &report.throughput {
        let draw = |canvas: &Canvas<'_>| throughput::draw(canvas, throughput);
        charts.push(("throughput.svg", chart(draw)?));
    }
    if let Some(latency) = &report.latency {
        let draw = |canvas: &Canvas<'_>| latency::draw(canvas, latency);
        charts.push(("latency.svg", chart(draw)?));
    }
    for (file, curve) in [
        ("scaling.svg", &report.scaling),
        ("replicas.svg", &report.replicas),
    ] {
        if let Some(curve) = curve {
            charts.push((file, chart(|canvas| curve::draw(canvas, curve))?));
        }
    }
    if let Some(balance) = &report.balance {
        charts.push((
            "balance.svg",
            chart(|canvas| balance::draw(canvas, balance))?,
        ));
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, text) in charts {
        let file = directory.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The text of a chart.
fn chart(draw: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    let canvas = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    draw(&canvas)?;
    canvas.present()?;
    drop(canvas);
    Ok(text)
}

/// Text of a height in pixels.
fn font(height: u32) -> TextStyle<'static> {
    (FONT, height, &GREY).into_text_style(&SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scaling::Curve;

    #[test]
    fn a_chart_has_its_numbers_and_no_background() {
        let mut curve = Curve::of("groups");
        curve.add(1, [1000.0]);
        curve.add(2, [1900.0, 2100.0]);
        let text = chart(|canvas| curve::draw(canvas, &curve)).unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("number of groups") && text.contains("2,000"));
        let (width, height) = SIZE;
        let whole = format!(r#"width="{width}" height="{height}""#);
        assert_eq!(
            text.matches(&whole).count(),
            1,
            "only the picture itself is so large"
        );
    }
}
