//! Bars by scene and percentile: how many times as long as in one ideal queue.

use anyhow::Result;
use plotters::prelude::{
    BindKeyPoints, ChartBuilder, Color, IntoLogRange, PathElement, Rectangle, SeriesLabelPosition,
};

use super::{Canvas, GREY, OURS, font};
use crate::bench::balance::{Balance, Quantiles};

const TITLE: &str = "From publishing to the entry, as a multiple of one ideal central queue";

/// The least that is shown.
const BOTTOM: f64 = 0.8;

/// What the names need above the longest bar, as a factor.
const ROOM: f64 = 3.0;

/// Where there is a line.
const LINES: [f64; 8] = [1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Where the percentiles stand.
const PLACES: [f64; 3] = [1.0, 2.0, 3.0];

/// How wide the bars of a percentile are together, where the next is at 1.
const WIDTH: f64 = 0.8;

pub(super) fn draw(canvas: &Canvas<'_>, scenes: &[Balance]) -> Result<()> {
    let ways = scenes.iter().flat_map(|scene| &scene.ways);
    let most = ways.flat_map(|way| way.times_ideal.each());
    let top = most.fold(2.0, f64::max) * ROOM;
    let below = canvas.titled(TITLE, font(18))?;
    for (area, scene) in below.split_evenly((1, scenes.len())).iter().zip(scenes) {
        draw_scene(area, scene, top)?;
    }
    Ok(())
}

fn draw_scene(area: &Canvas<'_>, scene: &Balance, top: f64) -> Result<()> {
    let name = |at: &f64| {
        let mut named = PLACES.iter().zip(Quantiles::NAMES);
        let found = named.find(|(place, _)| (*place - at).abs() < 0.1);
        found.map_or(String::new(), |(_, name)| name.to_owned())
    };
    let mut chart = ChartBuilder::on(area)
        .caption(scene.name(), font(14))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(45)
        .build_cartesian_2d(
            0.5..3.5,
            (BOTTOM..top).log_scale().with_key_points(LINES.into()),
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(font(14))
        .x_labels(PLACES.len())
        .x_label_formatter(&name)
        .y_label_formatter(&|times| format!("{times} x"))
        .draw()?;
    let mut left = -WIDTH / 2.0;
    let bars = scene.ways.iter().map(|_| 1.0).sum::<f64>();
    for (way, colour) in scene.ways.iter().zip(OURS) {
        let bar = |(place, times): (&f64, f64)| {
            let corners = [(place + left, 1.0), (place + left + WIDTH / bars, times)];
            Rectangle::new(corners, colour.mix(0.75).filled())
        };
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(3));
        chart
            .draw_series(PLACES.iter().zip(way.times_ideal.each()).map(bar))?
            .label(way.contestant.name())
            .legend(legend);
        left += WIDTH / bars;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(14))
        .draw()?;
    Ok(())
}
