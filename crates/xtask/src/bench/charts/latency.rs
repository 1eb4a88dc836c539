//! How long so many percent of the messages take at most; each step to the right is a tenth of the rest.

use anyhow::Result;
use plotters::prelude::{
    ChartBuilder, Circle, Color, IntoLogRange, LineSeries, PathElement, SeriesLabelPosition,
};

use super::{Canvas, GREY, OURS, font};
use crate::{
    bench::latency::{Latency, Point, Summary},
    output::count,
};

/// As far as 99.99 %.
const RIGHT: f64 = 4.0;

pub(super) fn draw(canvas: &Canvas<'_>, latency: &Latency) -> Result<()> {
    let all = || latency.summary.iter().flat_map(shown);
    let least = all().map(|(_, us)| us).fold(f64::MAX, f64::min);
    let most = all().map(|(_, us)| us).fold(1.0, f64::max);
    let pace = count(latency.messages_per_second.into());
    let title = format!("From publishing to the entry at {pace} messages/s, by percentile");
    let mut chart = ChartBuilder::on(canvas)
        .caption(title, font(18))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(30)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..RIGHT, (least / 1.5..most * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(GREY.mix(0.0))
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(font(14))
        .x_labels(5)
        .x_label_formatter(&|nines| percent(*nines))
        .y_label_formatter(&|us| time(*us))
        .draw()?;
    // The bare path comes first, then ours.
    for (summary, colour) in latency.summary.iter().zip([&[GREY], &OURS[..]].concat()) {
        let line = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(3));
        chart
            .draw_series(LineSeries::new(shown(summary), colour.stroke_width(2)))?
            .label(summary.contestant.name())
            .legend(line);
        chart.draw_series(shown(summary).map(|at| Circle::new(at, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(14))
        .draw()?;
    Ok(())
}

/// Where the points stand that are not too far right.
fn shown(summary: &Summary) -> impl Iterator<Item = (f64, f64)> {
    let place = |point: &Point| (-(1.0 - point.percent / 100.0).log10(), point.us);
    let points = summary.distribution.iter().map(place);
    points.filter(|(nines, _)| *nines < RIGHT + 0.01)
}

/// The percentile of a place: `90 %` at 1, `99.9 %` at 3.
fn percent(nines: f64) -> String {
    let percent = 100.0 - 10_f64.powf(2.0 - nines);
    let digits = match nines {
        ..2.5 => 0,
        ..3.5 => 1,
        _ => 2,
    };
    format!("{percent:.digits$} %")
}

fn time(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0} us")
    } else {
        format!("{:.0} ms", us / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_nines() {
        let texts = [0.0, 1.0, 2.0, 3.0, 4.0].map(percent);
        assert_eq!(texts, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!([time(10.0), time(20_000.0)], ["10 us", "20 ms"]);
    }
}
