//! Text that anybody may have chosen, made safe for a line, a page or a log.

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
