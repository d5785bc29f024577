//! Decimal numbers as digits: what conditions and writes send, never through a float.

/// A number in plain digits: sign, digits before the point, digits after it without trailing zeros.
#[derive(Debug)]
pub struct Plain {
    /// Below zero.
    pub negative: bool,
    /// Digits before the point, without leading zeros.
    pub whole: String,
    /// Digits after the point, without trailing zeros.
    pub fraction: String,
}

/// Digits as they stand in a query: an optional minus, digits, and perhaps a point with digits behind it.
pub fn is_plain_number(digits: &str) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    are_digits(whole) && fraction.is_none_or(are_digits)
}

impl Plain {
    /// Reads sign, digits, point, digits and an exponent. Nothing for anything else, or for an exponent out of reason.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if exponent.unsigned_abs() > 400 || digits.len() > 1_000 {
            return None;
        }
        let point = i32::try_from(whole.len()).ok()? + exponent;
        let (whole, fraction) = match usize::try_from(point) {
            Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
            Ok(point) => (digits[..point].to_string(), digits[point..].to_string()),
            Err(_) => {
                let zeros = "0".repeat(usize::try_from(-point).ok()?);
                (String::new(), format!("{zeros}{digits}"))
            }
        };
        let whole = whole.trim_start_matches('0').to_string();
        let fraction = fraction.trim_end_matches('0').to_string();
        Some(Self {
            negative: negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }

    /// Digits that count.
    pub fn significant_digits(&self) -> usize {
        let all = format!("{}{}", self.whole, self.fraction);
        all.trim_matches('0').len()
    }

    /// The number without an exponent.
    pub fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() {
            "0"
        } else {
            &self.whole
        };
        if self.fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{}", self.fraction)
        }
    }

    /// The whole number below, if it is within 128 bits.
    pub fn floor(&self) -> Option<i128> {
        let whole: i128 = if self.whole.is_empty() {
            0
        } else {
            self.whole.parse().ok()?
        };
        let signed = if self.negative { -whole } else { whole };
        let is_below = self.negative && !self.fraction.is_empty();
        Some(signed - i128::from(is_below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_a_query_can_hold() {
        for (digits, expected) in [
            ("0", true),
            ("-12.50", true),
            ("", false),
            ("-", false),
            (".", false),
            (".5", false),
            ("5.", false),
            ("1.2.3", false),
            ("1e3", false),
            ("+1", false),
            ("NaN", false),
        ] {
            assert_eq!(is_plain_number(digits), expected, "{digits}");
        }
    }
}
