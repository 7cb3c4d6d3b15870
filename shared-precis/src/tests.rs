use super::*;

fn local(text: &str) -> Option<String> {
    localpart(text).map(Cow::into_owned)
}

fn resource(text: &str) -> Option<String> {
    resourcepart(text).map(Cow::into_owned)
}

/// RFC 8264 §7: each character alone and behind a letter, and of those that are thousands alike some, comes out of itself.
type Prepare = fn(&str) -> Option<String>;

#[test]
fn what_comes_out_comes_out_of_itself() {
    let alike = [
        '\u{3400}'..='\u{9fff}',
        '\u{ac00}'..='\u{d7a3}',
        '\u{17000}'..='\u{18cff}',
        '\u{20000}'..='\u{10ffff}',
    ];
    for c in
        ('\0'..=char::MAX).filter(|c| u32::from(*c) % 97 == 0 || !alike.iter().any(|range| range.contains(c)))
    {
        for text in [format!("{c}"), format!("a{c}")] {
            let both: [(Prepare, _); 2] = [(local, username(&text)), (resource, opaque(&text))];
            for (apply, once) in both {
                let Some(prepared) = apply(&text) else {
                    let is_excluded = |once: String| {
                        once.bytes().any(|b| EXCLUDED.contains(&b)) || once.trim_start() != once
                    };
                    assert!(
                        once.is_none_or(|once| once.is_empty() || is_excluded(once)),
                        "{text:?} stays as it is never"
                    );
                    continue;
                };
                assert_eq!(apply(&prepared).as_ref(), Some(&prepared), "{text:?}");
            }
        }
    }
}

#[test]
fn names_are_in_lower_case_and_of_one_width() {
    for (text, prepared) in [
        ("Alice", "alice"),
        ("ＡＬＩＣＥ", "alice"),
        ("ﾄﾞﾗ", "ド\u{30e9}"),
        ("JÜRGEN", "jürgen"),
        ("ju\u{308}rgen", "jürgen"),
        ("ẞ", "ß"),
        ("ΟΔΟΣ", "οδοσ"),
        ("\u{1f71}", "ά"),
        ("\u{958}", "\u{915}\u{93c}"),
        ("\u{13a0}", "\u{ab70}"),
        ("\u{10fd}", "\u{10fd}"),
        ("\u{373}", "\u{373}"),
        ("\u{30000}", "\u{30000}"),
        ("i\u{307}", "i\u{307}"),
        ("\u{130}", "i\u{307}"),
    ] {
        assert_eq!(local(text).as_deref(), Some(prepared), "{text}");
    }
}

#[test]
fn names_have_no_variants_symbols_spaces_or_what_is_not_seen() {
    for bad in [
        "",
        " ",
        "a b",
        "a\u{a0}b",
        "a\u{3000}b",
        "\u{1d40}om",
        "ﬁsh",
        "a²",
        "henryⅣ",
        "♚",
        "😀",
        "o’brien",
        "a—b",
        "a\u{ad}b",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{200c}b",
        "a\u{fe0f}",
        "\u{feff}a",
        "a\u{7}",
        "a\u{e000}",
        "\u{1100}",
        "a\u{378}",
        "ǅ",
        "\u{640}",
        "ａ＠ｂ",
        "a／b",
    ] {
        assert_eq!(local(bad), None, "{bad:?}");
    }
    for excluded in "\"&'/:<>@".chars() {
        assert_eq!(local(&format!("a{excluded}b")), None, "§3.3.1: {excluded}");
    }
    assert_eq!(local(r"!#$%()*+,-.;=?[\]^_`{|}~").as_deref(), Some(r"!#$%()*+,-.;=?[\]^_`{|}~"));
}

/// RFC 5892 appendix A.
#[test]
fn some_characters_want_a_context() {
    for (good, bad) in [
        ("بي\u{200c}بي", "بد\u{200c}بي"),
        ("\u{915}\u{94d}\u{200c}\u{937}", "\u{915}\u{200c}\u{937}"),
        ("\u{915}\u{94d}\u{200d}\u{937}", "\u{915}\u{200d}\u{937}"),
        ("col·lecció", "a·b"),
        ("a\u{375}α", "α\u{375}a"),
        ("צ\u{5f3}", "\u{5f3}צ"),
        ("ה\u{5f4}ח", "a\u{5f4}"),
        ("ア・イ", "a・b"),
        ("ب\u{661}", "ب\u{661}\u{6f1}"),
        ("ب\u{6f1}", "\u{661}ب\u{6f1}"),
    ] {
        assert_eq!(local(good).as_deref(), Some(good), "{good:?}");
        assert_eq!(local(bad), None, "{bad:?}");
    }
}

/// RFC 5893 §2.
#[test]
fn names_of_both_directions_obey_the_bidi_rule() {
    for good in ["שלום", "ש\u{5b8}לו\u{5b9}ם", "שלום5", "א-ב", "سلام\u{661}", "123", "+33"]
    {
        assert_eq!(local(good).as_deref(), Some(good), "{good:?}");
    }
    for bad in ["5שלום", "aשלום", "שלוםa", "שלום-", "س\u{661}5", "\u{5b8}ש"] {
        assert_eq!(local(bad), None, "{bad:?}");
        assert!(resource(bad).is_some(), "a resource is written as it comes: {bad:?}");
    }
}

#[test]
fn resources_are_as_they_were_written() {
    for same in [
        "Balcony",
        "a b ",
        "ﬁsh",
        "a²",
        "Ⅳ",
        "♚",
        "ẞ",
        "ΣΑΣ",
        "1\u{20e3}",
        "🇫🇷",
        "🥷🏽",
        "🫩",
        "Ａ",
        "א🄰",
        "col·lecció",
    ] {
        assert_eq!(resource(same).as_deref(), Some(same), "{same:?}");
    }
    assert_eq!(resource("a\u{a0}b\u{3000}c").as_deref(), Some("a b c"));
    assert_eq!(resource("e\u{301}").as_deref(), Some("é"));
    assert_eq!(resource("❤\u{fe0f}\u{200d}🔥").as_deref(), Some("❤🔥"), "how it is painted");
    assert_eq!(resource("می\u{200c}خواهم").as_deref(), Some("می\u{200c}خواهم"));
    assert_eq!(resource("کار\u{200c}ها").as_deref(), Some("کارها"));
    for bad in [
        "",
        " a",
        "\u{a0}a",
        "\u{fe0f}",
        "\u{200d}",
        "a\u{ad}",
        "a\u{200b}",
        "\u{feff}a",
        "a\u{7}",
        "a\n",
        "a\u{e000}",
        "a\u{202e}b",
        "a\u{2066}",
        "\u{1f3f4}\u{e0067}",
        "a\u{2028}b",
        "a\u{fdd0}",
        "a\u{378}",
        "\u{1160}",
        "a·b",
        "・ω・",
        "\u{640}",
    ] {
        assert_eq!(resource(bad), None, "{bad:?}");
    }
}

/// Long parts are judged in a time that grows with their length: each character is looked at a few times.
#[test]
fn long_texts_are_judged_at_once() {
    let marks = format!("ب{}\u{200c}", "\u{64b}".repeat(100));
    for text in
        [marks.repeat(500), "\u{661}".repeat(50_000), "ア・".repeat(50_000), "\u{200d}".repeat(50_000)]
    {
        let _ = (localpart(&text), resourcepart(&text));
    }
}
