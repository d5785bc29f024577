//! Rust source as a flat list of tokens: comments and the insides of strings cannot mislead a rule,
//! and the arguments of macros are seen like any other code.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Counted from 1.
    pub line: usize,
}

/// The kinds that rules tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword.
    Word(String),
    /// A literal as written.
    Literal(String),
    /// Any other sign, brackets included.
    Sign(char),
}

impl Token {
    /// Whether it is this name or keyword.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(text) if text == word)
    }

    /// Whether it is this sign.
    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// The name or keyword, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// A file's tokens and what they tell about its structure.
#[derive(Debug)]
pub struct Parsed {
    /// All of them, in order.
    pub tokens: Vec<Token>,
    /// The lines of inline modules that exist only for tests.
    pub test_modules: Vec<RangeInclusive<usize>>,
}

/// Reads Rust source.
///
/// # Errors
/// Gives the line of the first thing that is not Rust.
pub fn parse(text: &str) -> Result<Parsed, usize> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| error.span().start().line.max(1))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let test_modules = find_test_modules(&tokens);
    Ok(Parsed {
        tokens,
        test_modules,
    })
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |kind, line| tokens.push(Token { kind, line });
        match tree {
            TokenTree::Ident(name) => push(Kind::Word(name.to_string()), line),
            TokenTree::Literal(literal) => push(Kind::Literal(literal.to_string()), line),
            TokenTree::Punct(sign) => push(Kind::Sign(sign.as_char()), line),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                push(Kind::Sign(open), line);
                flatten(group.stream(), tokens);
                let end = group.span_close().start().line;
                tokens.push(Token {
                    kind: Kind::Sign(close),
                    line: end,
                });
            }
        }
    }
}

/// The index of the bracket that closes the one at `open`.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Sign('(' | '[' | '{') => depth += 1,
            Kind::Sign(')' | ']' | '}') => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

/// Modules under an attribute `#[cfg(…)]` that names `test` or `pg_test`.
fn find_test_modules(tokens: &[Token]) -> Vec<RangeInclusive<usize>> {
    let mut found = Vec::new();
    let mut for_tests = false;
    let mut index = 0;
    while index < tokens.len() {
        let token = &tokens[index];
        if token.is_sign('#') && tokens.get(index + 1).is_some_and(|next| next.is_sign('[')) {
            let Some(end) = closing(tokens, index + 1) else {
                break;
            };
            let attribute = &tokens[index + 2..end];
            if attribute.first().is_some_and(|first| first.is_word("cfg")) {
                for_tests |= attribute.iter().any(|part| match &part.kind {
                    Kind::Word(word) => word == "test",
                    Kind::Literal(literal) => literal == "\"pg_test\"",
                    Kind::Sign(_) => false,
                });
            }
            index = end + 1;
            continue;
        }
        if for_tests
            && token.is_word("mod")
            && tokens
                .get(index + 2)
                .is_some_and(|third| third.is_sign('{'))
            && let Some(end) = closing(tokens, index + 2)
        {
            found.push(token.line..=tokens[end].line);
            for_tests = false;
            index = end + 1;
            continue;
        }
        // Visibility stands between an attribute and its item; anything else is another item.
        if !token.is_word("pub") {
            for_tests = false;
        }
        index += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_hold_no_tokens() {
        let parsed = parse("// unsafe\nconst A: &str = \"unsafe\";\n").unwrap();
        assert!(!parsed.tokens.iter().any(|token| token.is_word("unsafe")));
        assert!(parsed.tokens.iter().all(|token| token.line == 2));
    }

    #[test]
    fn macro_arguments_are_seen() {
        let parsed = parse("fn f() { g!(a, [unsafe { b }]); }").unwrap();
        assert!(parsed.tokens.iter().any(|token| token.is_word("unsafe")));
    }

    #[test]
    fn test_modules_are_found() {
        let check = |text: &str, expected: Vec<RangeInclusive<usize>>| {
            assert_eq!(parse(text).unwrap().test_modules, expected, "{text}");
        };
        check("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n", vec![3..=4]);
        check(
            "#[cfg(any(test, feature = \"pg_test\"))]\n#[schema]\npub mod tests {\n}\n",
            vec![3..=4],
        );
        check("#[cfg(feature = \"pg_test\")]\nmod tests {}\n", vec![2..=2]);
        check("#[cfg(test)]\nuse a::b;\nmod c {}\n", vec![]);
        check("mod tests {}\n", vec![]);
    }
}
