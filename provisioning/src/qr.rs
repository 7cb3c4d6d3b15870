//! Codes for cameras (ISO/IEC 18004): the text of a link as an SVG picture inside a page.

use maud::{Markup, PreEscaped, html};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// A picture with a white border, so that it can be read on a dark page; nothing for a text that is too long for a code.
pub(crate) fn picture(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else { return html! {} };
    let svg = code.render::<svg::Color<'_>>().min_dimensions(192, 192).quiet_zone(true).build();
    // The element alone, without what belongs to a file.
    let element = svg.find("<svg").map_or("", |at| &svg[at..]);
    html! { figure.qr role="img" aria-label=(label) { (PreEscaped(element)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_no_text_and_no_style() {
        let svg = picture("https://example.org/<script>\"", "a \"code\"").into_string();
        assert!(svg.contains("<svg") && !svg.contains("script") && !svg.contains("style="), "{svg}");
        assert!(svg.contains("a &quot;code&quot;") && !svg.contains("<?xml"));
        assert_eq!(picture(&"x".repeat(5000), "").into_string(), "");
    }
}
