//! Text from strangers, made fit to be shown: names of tokens, strings in calls, reasons of reverts.
//!
//! Markup escapes what is special in HTML. What remains can still deceive the reader: characters that turn the direction
//! of what follows, that cannot be seen, or that break the line. They are shown by their numbers.

/// At most `limit` characters of a text, the deceiving ones as escapes.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut written = 0;
    for character in text.chars() {
        let escaped = if deceives(character) { character.escape_unicode().to_string() } else { character.to_string() };
        let length = escaped.chars().count();
        if written + length > limit {
            out.push('…');
            return out;
        }
        written += length;
        out.push_str(&escaped);
    }
    out
}

/// The same for what may not be UTF-8 at all.
pub(crate) fn shown_bytes(bytes: &[u8], limit: usize) -> String {
    // A character has four bytes at most; what is beyond is not shown anyway.
    let end = bytes.len().min(limit.saturating_mul(4).saturating_add(4));
    shown(&String::from_utf8_lossy(&bytes[..end]), limit)
}

/// Whether a character is invisible, moves others, or ends the line.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
        // Marks that pile up on the character before them.
        || matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_text_stays_as_it_is() {
        for text in ["", "USD Coin", "Größe €", "日本円", "a<b>&\"'"] {
            assert_eq!(shown(text, 100), text);
        }
    }

    #[test]
    fn characters_that_deceive_are_shown_by_their_numbers() {
        assert_eq!(shown("a\u{202e}b", 100), "a\\u{202e}b");
        assert_eq!(shown("x\n\0\u{7f}\u{85}", 100), "x\\u{a}\\u{0}\\u{7f}\\u{85}");
        for character in ['\u{200b}', '\u{200f}', '\u{2028}', '\u{2066}', '\u{feff}', '\u{e0041}', '\u{336}'] {
            let text = shown(&format!("U{character}SD"), 100);
            assert!(text.starts_with("U\\u{") && text.ends_with("}SD"), "{text}");
        }
    }

    #[test]
    fn text_is_cut_by_characters_and_never_within_an_escape() {
        assert_eq!(shown("ééééé", 3), "ééé…");
        assert_eq!(shown("ab\u{202e}", 5), "ab…");
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown(&"\u{202e}".repeat(1_000), 20), "\\u{202e}\\u{202e}…");
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(shown_bytes(b"a\xffb", 10), "a\u{fffd}b");
        assert_eq!(shown_bytes("é".repeat(100).as_bytes(), 2), "éé…");
    }
}
