//! Text that anybody may have chosen, made safe for a line, a page or a log.

use std::error::Error;

/// On one line, without what could move a cursor, break a line or reorder the text; such characters
/// become U+FFFD.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Control characters, line and paragraph separators, and those that reverse the direction of writing.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error with its causes, as one line for an operator: the error, then each cause behind a colon. A cause that is said already is not said again, for many errors
/// of libraries repeat theirs. Part of it was often written by somebody else, a server or a witness.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    one_line(&text)
}

/// Text of somebody else on one line, as [`in_full`] says it.
#[must_use]
pub fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Said {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn said(texts: &[&'static str]) -> Said {
        let (text, rest) = texts.split_first().unwrap();
        Said { text, source: (!rest.is_empty()).then(|| Box::new(said(rest))) }
    }

    #[test]
    fn causes_follow_one_another_and_none_is_said_twice() {
        for (texts, expected) in [
            (&["it failed"][..], "it failed"),
            (&["it failed", "the disk", "no space"], "it failed: the disk: no space"),
            (&["it failed: no space", "no space"], "it failed: no space"),
        ] {
            assert_eq!(in_full(&said(texts)), expected);
        }
    }

    #[test]
    fn nothing_leaves_the_line_or_reorders_it() {
        let hostile = said(&["a page\r\n  <b>\t\u{1b}[2Jof\u{202e} a server", "and\nmore"]);
        assert_eq!(in_full(&hostile), "a page <b> \u{fffd}[2Jof\u{fffd} a server: and more");
    }
}
