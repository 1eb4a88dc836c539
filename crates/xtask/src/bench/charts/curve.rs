//! How much so many of something carry, beside so many times what one does.

use anyhow::Result;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DashedLineSeries, LineSeries, PathElement, SeriesLabelPosition,
};

use super::{Canvas, GREY, OURS, font};
use crate::bench::{scaling::Curve, spread::whole};

pub(super) fn draw(canvas: &Canvas<'_>, curve: &Curve) -> Result<()> {
    let points = &curve.points;
    let right = points.iter().map(|point| point.number).max().unwrap_or(1);
    let one = points
        .first()
        .map_or(0.0, |one| one.messages_per_second.median);
    let top = points.iter().map(|point| point.messages_per_second.most);
    let top = top.fold(one * f64::from(right), f64::max) * 1.1;
    // From 0, each with a line.
    let labels = usize::from(right) + 1;
    let right = f64::from(right);
    let mut chart = ChartBuilder::on(canvas)
        .caption(
            format!("Messages a second by number of {}", curve.what),
            font(18),
        )
        .margin(12)
        .margin_right(40)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(font(14))
        .x_labels(labels)
        .x_label_formatter(&|number| whole(*number))
        .y_label_formatter(&|rate| whole(*rate))
        .draw()?;
    let ideal = [(0.0, 0.0), (right, one * right)];
    chart
        .draw_series(DashedLineSeries::new(ideal, 6, 6, GREY.stroke_width(2)))?
        .label("so many times one")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], GREY.stroke_width(3)));
    let at = |point: &crate::bench::scaling::Point| {
        (f64::from(point.number), point.messages_per_second.median)
    };
    let line = OURS[0].stroke_width(2);
    chart
        .draw_series(LineSeries::new(points.iter().map(at), line))?
        .label("measured")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], line));
    let circles = points
        .iter()
        .map(|point| Circle::new(at(point), 4, OURS[0].filled()));
    chart.draw_series(circles)?;
    chart.draw_series(points.iter().map(|point| {
        let (number, rate) = (f64::from(point.number), point.messages_per_second);
        PathElement::new(
            [(number, rate.least), (number, rate.most)],
            OURS[0].stroke_width(3),
        )
    }))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(14))
        .draw()?;
    Ok(())
}
