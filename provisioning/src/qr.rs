//! Codes for cameras (ISO/IEC 18004): the text of a link as an SVG picture inside a page, or as lines of a terminal.

use std::fmt::Write as _;

use fast_qr::qr::QRCode;
use fast_qr::{ECL, QRBuilder};
use maud::{Markup, PreEscaped, html};

/// Modules of white around a code (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// Nothing for a text that is too long for a code.
fn code(text: &str) -> Option<QRCode> {
    QRBuilder::new(text).ecl(ECL::M).build().ok()
}

/// Whether a module is dark, counted with the white around the code.
fn is_dark(code: &QRCode, x: usize, y: usize) -> bool {
    let inside = QUIET..QUIET + code.size;
    inside.contains(&x) && inside.contains(&y) && code[y - QUIET][x - QUIET].value()
}

/// A picture with a white border, so that it can be read on a dark page; nothing for a text that is too long for a code.
pub(crate) fn picture(text: &str, label: &str) -> Markup {
    let Some(code) = code(text) else { return html! {} };
    let side = code.size + 2 * QUIET;
    let mut dark = String::with_capacity(8 * 1024);
    for y in 0..side {
        let mut x = 0;
        while x < side {
            let long = (x..side).take_while(|x| is_dark(&code, *x, y)).count();
            if long > 0 {
                let _ = write!(dark, "M{x} {y}h{long}v1h-{long}z"); // a String takes everything
            }
            x += long.max(1);
        }
    }
    html! {
        figure.qr role="img" aria-label=(label) {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format_args!("0 0 {side} {side}")) shape-rendering="crispEdges" {
                path fill="#fff" d=(format_args!("M0 0h{side}v{side}h-{side}z")) {}
                path d=(PreEscaped(dark)) {}
            }
        }
    }
}

/// Lines of half blocks, for a terminal that is light on dark; nothing for a text that is too long for a code.
pub fn terminal_code(text: &str) -> String {
    let Some(code) = code(text) else { return String::new() };
    let side = code.size + 2 * QUIET;
    let half = |x, y| match (is_dark(&code, x, y), is_dark(&code, x, y + 1)) {
        (true, true) => ' ',
        (true, false) => '▄',
        (false, true) => '▀',
        (false, false) => '█',
    };
    let line = |y| (0..side).map(move |x| half(x, y)).chain(['\n']);
    (0..side).step_by(2).flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera reads of a picture of `side` by `side` modules, four points each.
    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        let points = 4 * side;
        let dark = |x: usize, y: usize| is_dark(x / 4, y / 4);
        let mut image = rqrr::PreparedImage::prepare_from_bitmap(points, points, dark);
        image.detect_grids()[0].decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_the_link() {
        for link in [
            "https://example.org/invite/aqgNk3bMz5J7bJ0o9Jm8Kc4w",
            "xmpp:example.org?register;preauth=aqgNk3bMz5J7bJ0o9Jm8Kc4w;ibr=y",
            "xmpp:%C3%B6%20@example.org",
        ] {
            let picture = picture(link, "").into_string();
            let side: usize =
                picture.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            let mut modules = vec![false; side * side];
            let dark = picture.split("d=\"").nth(2).unwrap().split('"').next().unwrap();
            for run in dark.split('M').filter(|run| !run.is_empty()) {
                let mut numbers = run.split(['h', 'v', ' ']).map_while(|number| number.parse::<usize>().ok());
                let (x, y, long) =
                    (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
                modules[y * side + x..][..long].fill(true);
            }
            assert_eq!(read(side, |x, y| modules[y * side + x]), link);

            let lines: Vec<Vec<char>> =
                terminal_code(link).lines().map(|line| line.chars().collect()).collect();
            let light =
                |x: usize, y: usize| matches!((lines[y / 2][x], y % 2), ('█', _) | ('▀', 0) | ('▄', 1));
            assert_eq!(read(side, |x, y| !light(x, y)), link);
        }
    }

    #[test]
    fn a_picture_holds_no_text_and_no_style() {
        let svg = picture("https://example.org/<script>\"", "a \"code\"").into_string();
        assert!(svg.contains("<svg") && !svg.contains("script") && !svg.contains("style="), "{svg}");
        assert!(svg.contains("a &quot;code&quot;"));
        assert_eq!(picture(&"x".repeat(5000), "").into_string(), "");
        assert_eq!(terminal_code(&"x".repeat(5000)), "");
    }
}
