//! Pictures that people upload, judged by their bytes: PNG, JPEG, GIF, WebP, whole, and no larger than they say.
//!
//! In    bytes. Out the media type that they are of, and whether they are taken. Errors a [`Fault`], in words for whoever sent them.
//! Not here: decoding. A file that is broken inside is shown as broken, by those who look at it.

/// Why bytes are no picture that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// None of the types that are taken.
    #[error("a picture is a PNG, JPEG, GIF or WebP file")]
    Type,
    /// It ends before its end, or goes on behind it.
    #[error("the picture is not whole")]
    Broken,
    /// More bytes than are kept.
    #[error("a picture has at most {} KiB", MOST_BYTES / 1024)]
    Long,
    /// More points than anybody needs, or none.
    #[error("a picture is at most {MOST_SIDE} points wide and high")]
    Size,
}

/// The media type that bytes begin as, whether they are taken or not.
pub(crate) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        None
    }
}

/// The media type of a picture that is taken.
pub(crate) fn take(bytes: &[u8]) -> Result<&'static str, Fault> {
    if bytes.len() > MOST_BYTES {
        return Err(Fault::Long);
    }
    let media_type = media_type(bytes).ok_or(Fault::Type)?;
    let (size, is_whole) = match media_type {
        "image/png" => (png(bytes), bytes.ends_with(b"\0\0\0\0IEND\xaeB`\x82")),
        "image/jpeg" => (jpeg(bytes), bytes.ends_with(b"\xff\xd9")),
        "image/gif" => (gif(bytes), true),
        _ => {
            let said = number(bytes, 4..8, false).map(|said| said as usize + 8);
            (webp(bytes), said == Some(bytes.len()))
        }
    };
    let (width, height) = size.filter(|_| is_whole).ok_or(Fault::Broken)?;
    let is_fit = |side: u32| (1..=MOST_SIDE).contains(&side);
    if is_fit(width) && is_fit(height) { Ok(media_type) } else { Err(Fault::Size) }
}

/// PNG 1.2 §4.1.1: IHDR is first.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((number(bytes, 16..20, true)?, number(bytes, 20..24, true)?))
}

/// ITU-T T.81 §B.2: segments, each with its length, until the frame header.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while bytes.get(at..at + 2)? == b"\xff\xff" {
            at += 1;
        }
        let &[0xff, marker] = bytes.get(at..at + 2)? else { return None };
        // Frames, but for tables (DHT, DAC) and JPG.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some((number(bytes, at + 7..at + 9, true)?, number(bytes, at + 5..at + 7, true)?));
        }
        let length = number(bytes, at + 2..at + 4, true)? as usize;
        at += 2 + if length >= 2 { length } else { return None };
    }
}

/// GIF89a §18, §20, §24, §27: the logical screen, and what of an image reaches beyond it; the trailer ends it.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let (mut width, mut height) = (number(bytes, 6..8, false)?, number(bytes, 8..10, false)?);
    // §19, §21: a table of colours, which the flags before it tell of.
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 6 << (flags & 7) };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x3b => return (at + 1 == bytes.len()).then_some((width, height)),
            0x21 => at = behind_blocks(bytes, at + 2)?,
            0x2c => {
                let number = |from: usize| number(bytes, at + from..at + from + 2, false);
                width = width.max(number(1)? + number(5)?);
                height = height.max(number(3)? + number(7)?);
                at = behind_blocks(bytes, at + 11 + table(*bytes.get(at + 9)?))?;
            }
            _ => return None,
        }
    }
}

/// GIF89a §15, §16: blocks, each with its length, until an empty one.
fn behind_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

/// RFC 9649 §2.5 to §2.7: the first chunk says it.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((number(bytes, 24..27, false)? + 1, number(bytes, 27..30, false)? + 1)),
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let packed = number(bytes, 21..25, false)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8 " if bytes.get(23..26)? == b"\x9d\x01\x2a" => {
            Some((number(bytes, 26..28, false)? & 0x3fff, number(bytes, 28..30, false)? & 0x3fff))
        }
        _ => None,
    }
}

fn number(bytes: &[u8], range: std::ops::Range<usize>, is_big_endian: bool) -> Option<u32> {
    let part = bytes.get(range)?.iter();
    let add = |sum, byte: &u8| sum << 8 | u32::from(*byte);
    Some(if is_big_endian { part.fold(0, add) } else { part.rev().fold(0, add) })
}

/// Bytes of a picture, which goes whole through every client that shows it.
pub(crate) const MOST_BYTES: usize = 64 * 1024;
/// A small file may say that it is huge, and be so once it is decoded.
const MOST_SIDE: u32 = 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PNG of this size, its points left out.
    pub(crate) fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend(b"\x08\x02\0\0\0\0\0\0\0");
        bytes.extend(b"\0\0\0\0IEND\xaeB`\x82");
        bytes
    }

    #[test]
    fn types_are_told_by_their_bytes() {
        assert_eq!(take(&png_of(96, 64)), Ok("image/png"));
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04xx\xff\xff\xc4\0\x03x\xff\xc0\0\x0b\x08\0\x40\0\x60\x01\0\0\0\xff\xd9";
        assert_eq!(take(jpeg), Ok("image/jpeg"));
        assert_eq!(super::jpeg(jpeg), Some((96, 64)));
        assert_eq!(take(b"GIF89a\x60\0\x40\0\0\0\0\x3b"), Ok("image/gif"));
        let webp = |chunk: &[u8]| {
            let mut bytes = b"RIFF".to_vec();
            bytes.extend(u32::try_from(4 + chunk.len()).unwrap().to_le_bytes());
            bytes.extend(b"WEBP");
            bytes.extend(chunk);
            bytes
        };
        let extended = webp(b"VP8X\x0a\0\0\0\0\0\0\0\x5f\0\0\x3f\0\0");
        assert_eq!((take(&extended), super::webp(&extended)), (Ok("image/webp"), Some((96, 64))));
        let lossless = webp(b"VP8L\x05\0\0\0\x2f\x5f\xc0\x0f\0\0");
        assert_eq!(super::webp(&lossless), Some((96, 64)));
        let lossy = webp(b"VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x60\0\x40\0");
        assert_eq!(super::webp(&lossy), Some((96, 64)));
    }

    #[test]
    fn every_image_of_a_gif_is_measured() {
        let image = |side: u16| {
            let mut bytes =
                b"GIF89a\x60\0\x40\0\x80\0\0\0\0\0\xff\xff\xff\x21\xf9\x04\0\0\0\0\0\x2c\0\0\0\0".to_vec();
            bytes.extend(side.to_le_bytes());
            bytes.extend(b"\x40\0\x81............\x02\x01\x3b\0\x3b");
            bytes
        };
        assert_eq!((take(&image(96)), super::gif(&image(97))), (Ok("image/gif"), Some((97, 64))));
        assert_eq!(take(&image(u16::MAX)), Err(Fault::Size));
        for end in 6..image(96).len() {
            assert_eq!(take(&image(96)[..end]), Err(Fault::Broken), "{end}");
        }
        assert_eq!(take(&[image(96), b"x".to_vec()].concat()), Err(Fault::Broken));
    }

    #[test]
    fn what_is_not_taken_has_its_type_all_the_same() {
        let trailed = [&png_of(2048, 96)[..], b"x"].concat();
        assert_eq!((media_type(&trailed), take(&trailed)), (Some("image/png"), Err(Fault::Broken)));
        assert_eq!(media_type(b"<svg"), None);
    }

    #[test]
    fn what_lies_about_its_type_its_end_or_its_size_is_not_taken() {
        assert_eq!(take(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Err(Fault::Type));
        assert_eq!(take(b""), Err(Fault::Type));
        let whole = png_of(96, 96);
        for end in 8..whole.len() {
            assert_eq!(take(&whole[..end]), Err(Fault::Broken), "{end}");
        }
        let trailed = [&whole[..], b"<script>"].concat();
        assert_eq!(take(&trailed), Err(Fault::Broken));
        for (width, height) in [(0, 96), (96, 0), (1025, 96), (96, u32::MAX)] {
            assert_eq!(take(&png_of(width, height)), Err(Fault::Size));
        }
        assert_eq!(take(&vec![0; MOST_BYTES + 1]), Err(Fault::Long));
        for start in [&b"\xff\xd8\xff"[..], b"\xff\xd8\xff\xe0\0\0", b"RIFF\0\0\0\0WEBPVP8X", b"GIF89a\x3b"] {
            assert_eq!(take(&[start, b"\xff\xd9"].concat()), Err(Fault::Broken), "{start:?}");
        }
    }
}
