//! Record ids: three characters of key prefix, twelve of number, three of checksum.
//! The checksum rule is trap 3 of the protocol page's section 12.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// What stands between the key prefix and the number in the ids this server makes.
const POD: &str = "5x0";

/// The id of the `number`-th record under a key prefix; ids sort as their numbers do.
pub fn make(prefix: &str, number: u64) -> String {
    let mut digits = [b'0'; 9];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    let mut id = String::with_capacity(18);
    id.push_str(prefix);
    id.push_str(POD);
    id.extend(digits.iter().map(|&b| char::from(b)));
    let suffix = checksum(&id);
    id.push_str(&suffix);
    id
}

/// The number behind an id made by [`make`] under this prefix.
pub fn number(prefix: &str, id: &str) -> Option<u64> {
    let digits = id.get(..15)?.strip_prefix(prefix)?.strip_prefix(POD)?;
    digits.bytes().try_fold(0u64, |sum, byte| {
        let digit = BASE62.iter().position(|&b| b == byte)? as u64;
        sum.checked_mul(62)?.checked_add(digit)
    })
}

/// The three characters that make a 15-character id safe where case is lost.
pub fn checksum(id15: &str) -> String {
    id15.as_bytes()
        .chunks(5)
        .map(|chunk| {
            let bits = chunk
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_uppercase())
                .fold(0usize, |bits, (place, _)| bits | 1 << place);
            char::from(SUFFIX[bits])
        })
        .collect()
}

/// The 18-character form of a literal of 15 or 18 characters; `None` when it is not an id at all.
pub fn normalise(literal: &str) -> Option<String> {
    if !literal.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    match literal.len() {
        15 => Some(format!("{literal}{}", checksum(literal))),
        18 => literal[15..]
            .eq_ignore_ascii_case(&checksum(&literal[..15]))
            .then(|| format!("{}{}", &literal[..15], checksum(&literal[..15]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_ids_have_the_checksum_we_compute() {
        for id in [
            "001RM000003oLrHYAU",
            "003q000000KvQ1tAAF",
            "006x0000001YtCrAAK",
            "a1V3E000000EXomUAG",
            "01254000001upcKAAQ",
        ] {
            assert_eq!(checksum(&id[..15]), id[15..], "{id}");
            assert_eq!(normalise(&id[..15]).as_deref(), Some(id));
        }
    }

    #[test]
    fn ids_keep_the_order_of_their_numbers() {
        let ids: Vec<String> = (0..5000).map(|n| make("003", n)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(number("003", &ids[4999]), Some(4999));
        assert_eq!(number("001", &ids[4999]), None);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "x",
            "0015x0000000001AAB1",
            "001 5x000000001",
            "001RM000003oLrHYAA",
        ] {
            assert_eq!(normalise(text), None, "{text}");
        }
    }
}
