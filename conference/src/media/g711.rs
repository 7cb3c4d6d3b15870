//! G.711 — ITU-T G.711 (1988), tables 1 (A-law) and 2 (µ-law); payload types 8 and 0 of RFC 3551 §4.5.14.
//!
//! In    one octet a sample at 8 kHz. Out 16-bit linear samples, and back. No state.

/// µ-law to linear.
pub fn ulaw_to_linear(octet: u8) -> i16 {
    let octet = !octet;
    let exponent = (octet >> 4) & 7;
    let magnitude = ((i32::from(octet & 0x0f) << 3) + BIAS) << exponent;
    let value = (magnitude - BIAS) as i16;
    if octet & 0x80 == 0 { value } else { -value }
}

/// Linear to µ-law.
pub fn linear_to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs()).min(CLIP) + BIAS;
    let exponent = (24 - magnitude.leading_zeros() as i32).clamp(0, 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | ((exponent as u8) << 4) | mantissa as u8)
}

/// A-law to linear.
pub fn alaw_to_linear(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let exponent = (octet >> 4) & 7;
    let mantissa = i16::from(octet & 0x0f) << 4;
    let value = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
    if octet & 0x80 == 0 { -value } else { value }
}

/// Linear to A-law.
pub fn linear_to_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !i32::from(sample)) } else { (0x80, i32::from(sample)) };
    let exponent = (24 - (magnitude | 0xff).leading_zeros() as i32).clamp(0, 7);
    let mantissa = if exponent == 0 { magnitude >> 4 } else { magnitude >> (exponent + 3) } & 0x0f;
    (sign | ((exponent as u8) << 4) | mantissa as u8) ^ 0x55
}

const BIAS: i32 = 0x84;
const CLIP: i32 = 32_635;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_survives_the_way_to_linear_and_back() {
        for octet in 0..=255_u8 {
            let ulaw = linear_to_ulaw(ulaw_to_linear(octet));
            // Two codes of µ-law mean zero.
            assert!(ulaw == octet || ulaw_to_linear(octet) == 0, "µ-law {octet:#x} became {ulaw:#x}");
            assert_eq!(linear_to_alaw(alaw_to_linear(octet)), octet, "A-law {octet:#x}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_those_of_the_tables() {
        assert_eq!((ulaw_to_linear(0x80), ulaw_to_linear(0x00)), (32_124, -32_124));
        assert_eq!((alaw_to_linear(0xaa), alaw_to_linear(0x2a)), (32_256, -32_256));
        assert_eq!((linear_to_ulaw(i16::MIN), linear_to_alaw(i16::MIN)), (0x00, 0x2a));
    }

    #[test]
    fn the_error_stays_below_half_a_step() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            for back in [ulaw_to_linear(linear_to_ulaw(sample)), alaw_to_linear(linear_to_alaw(sample))] {
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 24, "{sample} became {back}");
            }
        }
    }
}
