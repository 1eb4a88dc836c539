//! A bar for each contestant, from the least to the most of its rounds a line.

use anyhow::Result;
use plotters::{
    prelude::{
        ChartBuilder, Color, IntoSegmentedCoord, PathElement, Rectangle, SegmentValue, Text,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{Canvas, GREY, OURS, font};
use crate::bench::{
    spread::whole,
    throughput::{Summary, Throughput},
};

const TITLE: &str =
    "Messages a second: median, line from least to most, percent of what the ceiling reached";

/// How much room the numbers need right of the longest bar, as a part of it.
const ROOM: f64 = 1.25;

/// How much there is between a bar and its number, as a part of the longest.
const GAP: f64 = 0.01;

pub(super) fn draw(canvas: &Canvas<'_>, throughput: &Throughput) -> Result<()> {
    // The first stands at the top.
    let rows: Vec<&Summary> = throughput.summary.iter().rev().collect();
    let most = rows.iter().map(|row| row.messages_per_second.most);
    let most = most.fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(canvas)
        .caption(TITLE, font(18))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(30)
        .y_label_area_size(190)
        .build_cartesian_2d(
            0.0..most * ROOM,
            (0..rows.len().saturating_sub(1)).into_segmented(),
        )?;
    let name = |segment: &SegmentValue<usize>| match segment {
        SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
            let row = rows.get(*place);
            row.map_or(String::new(), |row| row.contestant.name().to_owned())
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(font(14))
        .x_label_formatter(&|rate| whole(*rate))
        .y_label_formatter(&name)
        .draw()?;
    let beside = font(14).pos(Pos::new(HPos::Left, VPos::Center));
    for (place, row) in rows.iter().enumerate() {
        let is_ours = row.contestant.workers().is_some();
        let colour = if is_ours { OURS[0] } else { GREY };
        let rate = row.messages_per_second;
        let corners = [
            (0.0, SegmentValue::Exact(place)),
            (rate.median, SegmentValue::Exact(place + 1)),
        ];
        let mut bar = Rectangle::new(corners, colour.mix(0.75).filled());
        bar.set_margin(7, 7, 0, 0);
        chart.draw_series([bar])?;
        let middle = SegmentValue::CenterOf(place);
        let ends = vec![(rate.least, middle.clone()), (rate.most, middle.clone())];
        chart.draw_series([PathElement::new(ends, colour.stroke_width(3))])?;
        let of_ceiling = row.of_ceiling.median * 100.0;
        let label = format!("{} ({of_ceiling:.0} %)", whole(rate.median));
        let right = rate.most + most * GAP;
        chart.draw_series([Text::new(label, (right, middle), beside.clone())])?;
    }
    Ok(())
}
