//! FNV-1a of 64 bits: a short hash that tells requests apart, and protects nothing.

/// A hash that is being made.
#[derive(Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The hash of what was taken and these bytes.
    pub(crate) fn and(self, bytes: &[u8]) -> Self {
        let mut hash = self.0;
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(hash)
    }

    /// Sixteen digits behind this.
    pub(crate) fn digits(self, before: &str) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(before.len() + 16);
        text.push_str(before);
        text.extend((0..16).rev().map(|at| char::from(DIGITS[(self.0 >> (4 * at)) as usize & 15])));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_hash_that_is_published() {
        // Vectors of the authors of FNV.
        assert_eq!(Fnv::new().digits(""), "cbf29ce484222325");
        assert_eq!(Fnv::new().and(b"foo").and(b"bar").digits("s"), "s85944171f73967e8");
    }
}
