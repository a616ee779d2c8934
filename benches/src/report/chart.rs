//! Charts in SVG, drawn by hand: they follow the reader's light or dark theme.

use std::fmt::Write as _;

use crate::frame::{Claim, Target, duration, float, number};

const WIDTH: f64 = 860.0;
/// Paper, text, faint text, grid, then the colors of the lines.
const LIGHT: [&str; 10] = [
    "#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#6e7781", "#0969da", "#bc4c00", "#8250df", "#1a7f37",
    "#cf222e",
];
const DARK: [&str; 10] = [
    "#0d1117", "#e6edf3", "#9198a1", "#30363d", "#9198a1", "#58a6ff", "#f0883e", "#bc8cff", "#3fb950",
    "#ff7b72",
];

fn style() -> String {
    let shape = "svg { font: 13px system-ui, sans-serif } .line { fill: none; stroke-width: 2.5 } .name { font-weight: 600 }";
    let (light, dark) = (palette(LIGHT), palette(DARK));
    format!("<style>\n{shape}\n{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n</style>")
}

fn palette([paper, ink, faint, grid, lines @ ..]: [&str; 10]) -> String {
    let mut text = format!(
        ".paper {{ fill: {paper} }} .ink {{ fill: {ink} }} .faint {{ fill: {faint} }} .grid {{ stroke: {grid} }} \
         .bound {{ stroke: {ink} }}\n"
    );
    for (number, color) in lines.iter().enumerate() {
        let _ = writeln!(
            text,
            ".line.c{number} {{ stroke: {color} }} .dot.c{number}, .name.c{number} {{ fill: {color} }}"
        );
    }
    text
}

fn begin(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>{}</title>\n{}\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"ink\" x=\"24\" y=\"30\" font-size=\"16\" font-weight=\"600\">{}</text>\n",
        escaped(title),
        style(),
        escaped(title),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A place between `low` and `high` by the logarithm of a value.
fn scaled(value: f64, (least, most): (f64, f64), (low, high): (f64, f64)) -> f64 {
    let part = (value.max(least) / least).ln() / (most / least).ln();
    low + part * (high - low)
}

/// Powers of ten that hold all values.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min).max(1e-9);
    let most = values.fold(least, f64::max);
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    (10_f64.powf(low), 10_f64.powf(high.max(low + 1.0)))
}

fn powers((least, most): (f64, f64)) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(least), |power| Some(power * 10.0))
        .take_while(move |power| *power <= most * 1.01)
}

/// Lines by name through points of policies and nanoseconds, both on logarithmic scales.
pub(super) fn lines(lines: &[(String, Vec<(f64, f64)>)]) -> String {
    let height = 470.0;
    let (across, down) = ((80.0, WIDTH - 200.0), (height - 60.0, 56.0));
    let mut svg = begin(height, "Time of a decision by the number of policies (both scales logarithmic)");
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    if points().next().is_none() {
        return svg + "</svg>\n";
    }
    let (policies, nanos) = (decades(points().map(|(x, _)| x)), decades(points().map(|(_, y)| y)));
    for power in powers(nanos) {
        let y = scaled(power, nanos, down);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{} {y:.1}H{}\"/>", across.0, across.1);
        let label = duration(power);
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            across.0 - 10.0,
            y + 4.0
        );
    }
    for power in powers(policies) {
        let x = scaled(power, policies, across);
        let label = number(power);
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            down.0 + 22.0
        );
    }
    let middle = f64::midpoint(across.0, across.1);
    let _ = writeln!(
        svg,
        "<text class=\"faint\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">policies</text>",
        down.0 + 44.0
    );
    let mut names: Vec<(f64, usize, &str)> = Vec::new();
    for (color, (name, points)) in lines.iter().enumerate() {
        let color = color % 6;
        let mut path = String::new();
        for (step, (x, y)) in points.iter().enumerate() {
            let (x, y) = (scaled(*x, policies, across), scaled(*y, nanos, down));
            let _ = write!(path, "{}{x:.1} {y:.1}", if step == 0 { "M" } else { "L" });
            let _ = writeln!(svg, "<circle class=\"dot c{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
        }
        let _ = writeln!(svg, "<path class=\"line c{color}\" d=\"{path}\"/>");
        names.extend(points.last().map(|(_, y)| (scaled(*y, nanos, down), color, name.as_str())));
    }
    // Names stand at the end of their lines, and move down where they would cover one another.
    names.sort_by(|one, two| one.0.total_cmp(&two.0));
    let mut free = 0.0_f64;
    for (y, color, name) in names {
        let y = y.max(free);
        free = y + 17.0;
        let _ = writeln!(
            svg,
            "<text class=\"name c{color}\" x=\"{}\" y=\"{:.1}\">{}</text>",
            across.1 + 12.0,
            y + 4.0,
            escaped(name)
        );
    }
    svg + "</svg>\n"
}

/// Where bars begin and end. Right of them is what was measured.
const BARS: (f64, f64) = (24.0, WIDTH - 210.0);
/// The parts of a target that bars show.
const PARTS: (f64, f64) = (0.01, 4.0);

/// A bar for every claim that has a number: how much of its bound is used up. What reaches beyond the line is missed.
pub(super) fn targets(claims: &[&Claim]) -> String {
    let bars: Vec<(String, f64, String)> = claims
        .iter()
        .filter_map(|claim| {
            let part = match claim.target {
                Target::AtMost(most) => claim.measured.median / most,
                Target::AtLeast(least) => least / claim.measured.median,
            };
            let name = format!("{}: {}", claim.path.replace('`', ""), claim.what.replace('`', ""));
            let text = format!("{} ({})", claim.measured(), claim.target());
            (part.is_finite() && part > 0.0).then_some((name, part, text))
        })
        .collect();
    let height = 76.0 + 36.0 * float(bars.len());
    let mut svg = begin(
        height,
        "Every measured figure as a part of its target (logarithmic; kept if it ends left of the mark)",
    );
    let bound = scaled(1.0, PARTS, BARS);
    for (row, (name, part, text)) in bars.iter().enumerate() {
        let top = 50.0 + 36.0 * float(row);
        let end = scaled(part.clamp(PARTS.0 * 1.05, PARTS.1), PARTS, BARS);
        let color = if *part <= 1.0 { 4 } else { 5 };
        let _ = writeln!(
            svg,
            "<text class=\"ink\" x=\"{}\" y=\"{:.1}\">{}</text>",
            BARS.0,
            top + 12.0,
            escaped(name)
        );
        let _ = writeln!(
            svg,
            "<rect class=\"dot c{color}\" x=\"{}\" y=\"{:.1}\" width=\"{:.1}\" height=\"9\" rx=\"2\"/>",
            BARS.0,
            top + 18.0,
            end - BARS.0
        );
        let _ = writeln!(
            svg,
            "<text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 24.0,
            top + 27.0,
            escaped(text)
        );
        let _ = writeln!(svg, "<path class=\"bound\" d=\"M{bound:.1} {:.1}v17\"/>", top + 14.0);
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Spread;

    #[test]
    fn a_line_rises_with_its_values_and_names_do_not_cover_one_another() {
        let slow = ("a <b>".to_owned(), vec![(10.0, 100.0), (1_000.0, 10_000.0)]);
        let same = ("c".to_owned(), vec![(10.0, 100.0), (1_000.0, 10_000.0)]);
        let svg = lines(&[slow, same]);
        assert!(svg.contains("d=\"M80.0 410.0L660.0 56.0\""), "{svg}");
        assert!(svg.contains("a &lt;b&gt;") && !svg.contains("<b>"));
        let places: Vec<&str> = svg.lines().filter(|line| line.contains("class=\"name")).collect();
        assert!(places[0].contains("y=\"60.0\"") && places[1].contains("y=\"77.0\""), "{places:?}");
    }

    #[test]
    fn what_is_missed_reaches_beyond_the_line_in_another_color() {
        let claim = |ratio| Claim::ratio("path", "what", Target::AtMost(2.0), Spread::exactly(ratio), "");
        let width = |claim: &Claim| {
            let svg = targets(&[claim]);
            let bar = svg.lines().find(|line| line.contains("rx=")).unwrap().to_owned();
            let width =
                bar.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
            (bar.contains("c4"), width)
        };
        let ((kept, short), (missed, long)) = (width(&claim(1.0)), width(&claim(3.0)));
        assert!(kept && !missed && short < long, "{short} {long}");
        let bound = scaled(1.0, PARTS, BARS) - BARS.0;
        assert!(short < bound && bound < long);
    }
}
