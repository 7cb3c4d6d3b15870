//! Bytes as lower-case hexadecimal text inside stored JSON. For `#[serde(with = "crate::hex")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    serializer.serialize_str(&text)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16));
        Some((digit(0)? << 4 | digit(1)?) as u8)
    };
    pairs.map(byte).collect::<Option<_>>().ok_or_else(|| D::Error::custom("not hexadecimal"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_survive_their_text() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Held(#[serde(with = "super")] Vec<u8>);
        let text = serde_json::to_string(&Held(vec![0, 0x7f, 0xff])).unwrap();
        assert_eq!(text, "\"007fff\"");
        assert_eq!(serde_json::from_str::<Held>(&text).unwrap().0, [0, 0x7f, 0xff]);
        assert!(serde_json::from_str::<Held>("\"0\"").is_err());
        assert!(serde_json::from_str::<Held>("\"zz\"").is_err());
    }
}
