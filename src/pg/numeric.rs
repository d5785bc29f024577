//! Decimal text into PostgreSQL's `numeric`, without a float and without `numeric_in`.
//!
//! A page has tens of thousands of decimals; this is one pass over the digits into a buffer of the caller.
//! Source of the layout: the comment at the head of the server's `numeric.c` (short format).

/// Longest result in bytes of [`encode`] for a text of `length` bytes.
pub const fn longest(length: usize) -> usize {
    4 + 2 + 2 * (length / 4 + 3)
}

const DIGITS: usize = 4;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SCALE_SHIFT: u16 = 7;
const MOST_SCALE: usize = 63;
const WEIGHT_SIGN: u16 = 0x0040;
const WEIGHT_MASK: u16 = 0x003F;

/// Writes the varlena of `text` into `out` and gives its length; nothing for a text that needs the general way
/// (an exponent, more digits than the short format holds).
pub fn encode(text: &str, out: &mut [u8]) -> Option<usize> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = bytes.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    if whole.len() + fraction.len() == 0 || fraction.len() > MOST_SCALE || whole.len() > 200 {
        return None;
    }
    let leading_zeros = whole.iter().take_while(|byte| **byte == b'0').count();
    let whole = &whole[leading_zeros..];

    let mut at = 4 + 2;
    let mut n_groups = 0_i32;
    // Weight of the next group written: base 10,000 power of the first whole group.
    let mut weight = i32::try_from(whole.len().div_ceil(DIGITS)).ok()? - 1;
    let mut last_nonzero_end = at;
    let mut emit = |group: u16, weight: &mut i32, out: &mut [u8]| -> Option<()> {
        if n_groups == 0 && group == 0 {
            *weight -= 1;
            return Some(());
        }
        out.get_mut(at..at + 2)?
            .copy_from_slice(&group.to_ne_bytes());
        at += 2;
        n_groups += 1;
        if group != 0 {
            last_nonzero_end = at;
        }
        Some(())
    };

    let first = whole.len() % DIGITS;
    if first > 0 {
        emit(group_of(&whole[..first], first)?, &mut weight, out)?;
    }
    for group in whole[first..].chunks(DIGITS) {
        emit(group_of(group, DIGITS)?, &mut weight, out)?;
    }
    for group in fraction.chunks(DIGITS) {
        emit(group_of(group, DIGITS)?, &mut weight, out)?;
    }

    let is_zero = last_nonzero_end == 4 + 2;
    if is_zero {
        weight = 0;
    }
    let mut header = SHORT | (u16::try_from(fraction.len()).ok()? << SCALE_SHIFT);
    if negative && !is_zero {
        header |= SHORT_NEGATIVE;
    }
    if weight < 0 {
        header |= WEIGHT_SIGN;
    }
    header |= (weight as u16) & WEIGHT_MASK;
    if !(-64..=63).contains(&weight) {
        return None;
    }
    out.get_mut(4..6)?.copy_from_slice(&header.to_ne_bytes());
    out.get_mut(..4)?
        .copy_from_slice(&super::datum::varlena_header(last_nonzero_end));
    Some(last_nonzero_end)
}

/// Value of up to four digits, those missing on the right taken for zeros up to `DIGITS`.
fn group_of(digits: &[u8], width: usize) -> Option<u16> {
    let mut value = 0_u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    for _ in digits.len()..width {
        value *= 10;
    }
    Some(value)
}
